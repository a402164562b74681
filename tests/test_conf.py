"""What ships in conf/ is right: every file reads, and what is recommended can be asked for."""

from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from batchgen.models.families import FAMILIES
from batchgen.parts import FIELDS, Canvas, Motion, Sampling
from batchgen.settings import Settings, Words, load_settings
from batchgen.shipped import shipped

CONF = shipped("conf")


def names(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(Words(), cwd=tmp_path_factory.mktemp("empty"))


def test_the_options_that_people_expect_are_there() -> None:
    assert names("model") == [
        "cogvideox_15_5b",
        "cogvideox_2b",
        "cogvideox_5b",
        "cogvideox_5b_i2v",
        "demo_motion",
        "demo_shapes",
        "flux_dev",
        "flux_dev_comfyui",
        "flux_schnell",
        "ltx_video",
        "realvisxl_v30_turbo",
        "sd15",
        "sdxl",
        "wan21_t2v_14b",
        "wan21_t2v_1_3b",
        "wan22_ti2v_5b",
    ]
    assert names("runtime") == ["auto", "cpu", "cuda", "mps"]
    assert names("output") == ["default", "fast"]


@pytest.mark.parametrize("name", names("model"))
def test_a_model_recommends_what_its_family_can_do(settings: Settings, name: str) -> None:
    conf = settings.model(name)
    family = FAMILIES[conf.family]

    def part(kind: type) -> Any:
        return kind(
            **{each.name: conf.recommended[each.name] for each in fields(kind) if each.name in conf.recommended}
        )

    family.check(part(Canvas), part(Sampling), part(Motion), asked=["init_image"] if family.animates else [])


def test_the_embedded_model_is_here_and_whole(tmp_path: Path) -> None:
    settings = load_settings(Words(settings=(("paths.cache", str(tmp_path)),)), cwd=tmp_path)
    model = settings.resolve("demo_shapes")
    assert (model.family, Path(model.path).name) == ("sd15", "demo_shapes")


@pytest.mark.parametrize(
    ("name", "wanted", "unwanted"),
    [
        (
            "sdxl",
            ["model_index.json", "unet/diffusion_pytorch_model.safetensors", "text_encoder_2/model.safetensors"],
            ["sd_xl_base_1.0.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors", "unet/model.onnx"],
        ),
        (
            "flux_dev",
            ["tokenizer_2/spiece.model", "transformer/diffusion_pytorch_model-00001-of-00003.safetensors"],
            ["flux1-dev.safetensors", "ae.safetensors", "README.md"],
        ),
        (
            "cogvideox_5b",
            [
                "tokenizer/spiece.model",
                "tokenizer/added_tokens.json",
                "transformer/diffusion_pytorch_model.safetensors.index.json",
                "text_encoder/model-00001-of-00002.safetensors",
            ],
            ["README.md", "configuration.txt.bak"],
        ),
        (
            "ltx_video",
            ["model_index.json", "tokenizer/spiece.model", "vae/diffusion_pytorch_model.safetensors"],
            ["ltx-video-2b-v0.9.safetensors", "ltxv-13b-0.9.8-dev.safetensors", "media/example.mp4"],
        ),
    ],
)
def test_what_is_downloaded_is_what_is_used(
    settings: Settings, name: str, wanted: list[str], unwanted: list[str]
) -> None:
    patterns = settings.model(name).source.include

    def downloaded(file: str) -> bool:
        return any(fnmatch(file, pattern) for pattern in patterns)

    assert all(downloaded(file) for file in wanted)
    assert not any(downloaded(file) for file in unwanted)


@pytest.mark.parametrize("name", names("model"))
def test_a_model_says_where_its_recommendations_come_from(name: str) -> None:
    recommended = (CONF / "model" / f"{name}.yaml").read_text().split("recommended:")[1]
    assert recommended.count("#") >= 2 or "README" in recommended


def test_the_distilled_models_are_recommended_as_their_authors_say(settings: Settings) -> None:
    turbo = settings.model("realvisxl_v30_turbo").recommended
    assert 5 <= turbo["steps"] <= 8
    assert 1 <= turbo["guidance_scale"] <= 2.5
    assert (turbo["sampler"], turbo["schedule"]) == ("dpmpp_sde", "karras")
    assert settings.model("flux_dev").recommended["distilled_guidance"] == 3.5
    assert settings.model("flux_schnell").recommended["steps"] == 4


@pytest.mark.parametrize("name", names("runtime"))
def test_every_runtime_is_complete_and_asks_for_no_precision_of_its_own(tmp_path: Path, name: str) -> None:
    chosen = load_settings(Words(settings=(("runtime", name),)), cwd=tmp_path)
    assert chosen.runtime.device == name
    # Requested precision is in a job's id: the same job must keep its id from machine to machine.
    assert chosen.recipe["precision"] == "auto"


@pytest.mark.parametrize("name", names("output"))
def test_every_output_option_reads(tmp_path: Path, name: str) -> None:
    assert load_settings(Words(settings=(("output", name),)), cwd=tmp_path).output.root == tmp_path / "outputs"


def test_a_job_begins_with_every_field_a_person_may_set(settings: Settings) -> None:
    written = (CONF / "job.yaml").read_text()
    for field in FIELDS.keys() - {"prompt", "seed", "mask_alpha"}:  # which is written `mask_image: alpha`
        assert f"{field}:" in written
    assert dict(settings.recipe) == {
        "model": "demo_shapes",
        "negative_prompt": "",
        "emphasis": "comfy",
        "clip_skip": 1,
        "rounding": "round",
        "vae_tiling": "off",
        "precision": "auto",
        "strength": 1.0,
        "resize": "crop",
        "resize_filter": "lanczos",
        "mask_grow": 0,
        "mask_blur": 0,
        "mask_content": "original",
        "mask_paste": True,
        "noise": "cpu",
        "noise_scale": "full",
        "noise_index": 0,
        "noise_rows": 1,
        "dynamic_guidance": False,
    }


@pytest.mark.parametrize("file", sorted(CONF.rglob("*.yaml")), ids=lambda file: file.stem)
def test_no_file_builds_objects_or_reaches_for_the_environment(file: Path) -> None:
    text = file.read_text()
    assert "_target_" not in text
    assert "${" not in text
