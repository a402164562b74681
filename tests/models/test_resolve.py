import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.digest import DigestCache
from batchgen.models.families import FAMILIES
from batchgen.models.find import Source
from batchgen.models.option import ModelConf
from batchgen.models.resolve import resolve

Make = Callable[..., Path]


def conf(source: Source, family: str = "sd15") -> ModelConf:
    return ModelConf(name="mine", family=family, source=source, recommended={}, where="conf/model/mine.yaml")


@pytest.fixture
def digest(tmp_path: Path) -> Callable[..., str]:
    cache = DigestCache(tmp_path / "cache.json")
    return lambda path, family="sd15": resolved(path, family, cache).digest


def resolved(path: Path, family: str, cache: DigestCache) -> Model:
    source = Source(folder=str(path)) if path.is_dir() else Source(file=(str(path),))
    return resolve(conf(source, family), [], cache)


def test_a_folder_becomes_a_model_with_its_place_and_digest(tmp_path: Path, model_folder: Path) -> None:
    model = resolved(model_folder, "sd15", DigestCache(tmp_path / "cache.json"))
    assert (model.name, model.family, model.path) == ("mine", "sd15", str(model_folder))
    assert len(model.digest) == 64


@pytest.mark.parametrize(
    "name",
    [
        "model_index.json",
        "unet/config.json",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "scheduler/scheduler_config.json",
    ],
)
def test_a_changed_file_in_use_changes_the_digest(model_folder: Path, digest: Callable[..., str], name: str) -> None:
    before = digest(model_folder)
    content = (model_folder / name).read_text()
    (model_folder / name).write_text(content + "\n")
    assert digest(model_folder) != before
    (model_folder / name).write_text(content)
    assert digest(model_folder) == before


def test_a_changed_weight_changes_the_digest(
    model_folder: Path, digest: Callable[..., str], make_weights: Make
) -> None:
    before = digest(model_folder)
    make_weights(model_folder / "vae" / "diffusion_pytorch_model.safetensors", value=2.0)
    assert digest(model_folder) != before


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "safety_checker/model.safetensors",
        "tokenizer/.cache.lock",
    ],
)
def test_a_changed_file_that_is_not_used_changes_nothing(
    model_folder: Path, digest: Callable[..., str], name: str
) -> None:
    before = digest(model_folder)
    (model_folder / name).write_bytes(b"other")
    assert digest(model_folder) == before


def test_a_moved_model_keeps_its_digest(tmp_path: Path, model_folder: Path, digest: Callable[..., str]) -> None:
    before = digest(model_folder)
    assert digest(model_folder.rename(tmp_path / "elsewhere")) == before


def test_a_model_of_the_hub_is_the_same_as_its_copy(hub: Make, model_folder: Path, digest: Callable[..., str]) -> None:
    assert digest(hub("owner/name")) == digest(model_folder)


def test_weights_that_are_not_whole_are_refused_before_they_are_hashed(tmp_path: Path, model_folder: Path) -> None:
    weights = model_folder / "unet" / "diffusion_pytorch_model.safetensors"
    os.truncate(weights, weights.stat().st_size - 1)
    with pytest.raises(ModelError, match=f"{weights}: is cut short"):
        resolved(model_folder, "sd15", DigestCache(tmp_path / "cache.json"))
    assert not (tmp_path / "cache.json").exists()


def test_a_folder_of_another_family_is_refused(tmp_path: Path, make_folder: Make, digest: Callable[..., str]) -> None:
    folder = make_folder(tmp_path / "xl", "StableDiffusionXLPipeline")
    digest(folder, "sdxl")
    with pytest.raises(
        ModelError, match=r"conf/model/mine\.yaml: .* is Stable Diffusion XL, not Stable Diffusion 1\.5"
    ):
        digest(folder, "sd15")
    with pytest.raises(ModelError, match=r"is PixArtPipeline, not Stable"):
        digest(make_folder(tmp_path / "other", "PixArtPipeline"), "sd15")


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_a_checkpoint_is_of_the_family_its_tensors_show(
    tmp_path: Path,
    whole: Mapping[str, object],
    family: str,
    make_weights: Make,
    make_folder: Make,
    digest: Callable[..., str],
) -> None:
    make_folder(tmp_path / "w", FAMILIES[family].pipelines[0])
    checkpoint = make_weights(tmp_path / "w.safetensors", whole[family])
    digest(checkpoint, family)
    for other in {"sd15", "sdxl", "flux"} - {family}:
        with pytest.raises(ModelError, match="as its family says"):
            digest(checkpoint, other)


UNET = "model.diffusion_model."


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"w": (2, 2)}, "is of no kind that batchgen knows"),
        ({"lora_unet_down_blocks_0.lora_up.weight": (2, 2)}, "is a LoRA, not Stable Diffusion 1.5"),
        (
            {"double_blocks.0.img_attn.qkv.weight": (2, 2), "vector_in.in_layer.weight": (2, 2)},
            "is a bare denoiser, without autoencoder and text encoders",
        ),
        (
            {UNET + "input_blocks.0.0.weight": (2, 4, 3, 3), UNET + "x.attn2.to_k.weight": (4, 1024)},
            "is Stable Diffusion 2, which batchgen does not render with",
        ),
        (
            {UNET + "input_blocks.0.0.weight": (2, 4, 3, 3), UNET + "x.attn2.to_k.weight": (4, 1280)},
            "is SDXL refiner, which batchgen does not render with",
        ),
    ],
)
def test_a_file_that_is_no_whole_checkpoint_of_a_family_is_refused_by_what_it_is(
    tmp_path: Path, shapes: Mapping[str, tuple[int, ...]], words: str, make_weights: Make, digest: Callable[..., str]
) -> None:
    with pytest.raises(ModelError) as caught:
        digest(make_weights(tmp_path / "w.safetensors", shapes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_digest_of_a_checkpoint_covers_its_configuration_but_not_its_name(
    tmp_path: Path, whole: Mapping[str, object], make_weights: Make, make_folder: Make, digest: Callable[..., str]
) -> None:
    folder = make_folder(tmp_path / "a")
    checkpoint = make_weights(tmp_path / "a.safetensors", whole["sd15"])
    before = digest(checkpoint)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()  # weights of the folder are not used
    folder.rename(tmp_path / "b")
    renamed = checkpoint.rename(tmp_path / "b.safetensors")
    assert digest(renamed) == before
    (tmp_path / "b" / "tokenizer" / "merges.txt").write_text("a b")
    assert digest(renamed) != before


UNKNOWN_TRAINING = [
    ('{"rescale_betas_zero_snr": true}', "zero terminal SNR"),
    ('{"beta_schedule": "squaredcos_cap_v2"}', "beta_schedule 'squaredcos_cap_v2' is not supported"),
    ('{"prediction_type": "sample"}', "prediction_type 'sample' is not supported"),
    ('{"beta_start": "low"}', "holds a value of a wrong type"),
    ("[]", "is no JSON object"),
]


@pytest.mark.parametrize(("config", "words"), UNKNOWN_TRAINING)
def test_a_folder_that_was_trained_in_a_way_no_sampler_knows_is_refused_before_it_is_hashed(
    tmp_path: Path, model_folder: Path, config: str, words: str
) -> None:
    (model_folder / "scheduler" / "scheduler_config.json").write_text(config)
    with pytest.raises(ModelError, match=words) as caught:
        resolved(model_folder, "sd15", DigestCache(tmp_path / "cache.json"))
    assert str(caught.value).startswith(str(model_folder / "scheduler"))
    assert "scheduler_config.json" in str(caught.value)
    assert not (tmp_path / "cache.json").exists()


def test_a_checkpoint_that_was_trained_in_a_way_no_sampler_knows_is_refused(
    tmp_path: Path, whole: Mapping[str, object], make_weights: Make, make_folder: Make, digest: Callable[..., str]
) -> None:
    folder = make_folder(tmp_path / "w")
    (folder / "scheduler" / "scheduler_config.json").write_text('{"prediction_type": "sample"}')
    with pytest.raises(ModelError, match="prediction_type 'sample'"):
        digest(make_weights(tmp_path / "w.safetensors", whole["sd15"]))


def test_the_betas_of_a_flow_matching_model_mean_nothing(
    tmp_path: Path, make_folder: Make, digest: Callable[..., str]
) -> None:
    folder = make_folder(tmp_path / "w", FAMILIES["flux"].pipelines[0])
    (folder / "scheduler" / "scheduler_config.json").write_text('{"prediction_type": "flow_prediction"}')
    assert digest(folder, "flux")
