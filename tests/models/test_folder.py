import json
from collections.abc import Callable
from pathlib import Path

import pytest

from batchgen.errors import ModelError
from batchgen.models.families import FAMILIES
from batchgen.models.folder import component_weights, files_in_use, read_index

SD15 = FAMILIES["sd15"]
DESCRIPTIONS = {
    "model_index.json",
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "scheduler/scheduler_config.json",
}
WEIGHTS = {
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
}


def test_what_a_session_loads_is_in_use_and_nothing_else(model_folder: Path) -> None:
    files = files_in_use(model_folder, SD15)
    assert files.keys() == DESCRIPTIONS | WEIGHTS
    assert all(path == model_folder / name for name, path in files.items())


def test_without_weights_it_is_what_describes_the_model(model_folder: Path) -> None:
    assert files_in_use(model_folder, SD15, weights=False).keys() == DESCRIPTIONS


def test_a_variant_is_taken_only_where_the_plain_weights_are_not(model_folder: Path) -> None:
    assert component_weights(model_folder / "unet")[0] is None
    (model_folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert component_weights(model_folder / "unet")[0] == "fp16"
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in files_in_use(model_folder, SD15)


def test_fp16_comes_before_other_variants(model_folder: Path, make_weights: Callable[..., Path]) -> None:
    (model_folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    make_weights(model_folder / "unet" / "diffusion_pytorch_model.a_first.safetensors")
    assert component_weights(model_folder / "unet")[0] == "fp16"


@pytest.mark.parametrize("index", ["model.safetensors.index.json", "model.safetensors.index.fp16.json"])
def test_weights_in_several_files_are_all_in_use(
    model_folder: Path, make_weights: Callable[..., Path], index: str
) -> None:
    folder = model_folder / "text_encoder"
    (folder / "model.safetensors").unlink()
    shards = [make_weights(folder / f"model-0000{n}-of-00002.safetensors").name for n in (1, 2)]
    (folder / index).write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1], "c": shards[0]}}))
    names = {name for name in files_in_use(model_folder, SD15) if name.startswith("text_encoder/")}
    assert names == {f"text_encoder/{name}" for name in ("config.json", index, *shards)}
    (folder / shards[1]).unlink()
    with pytest.raises(ModelError, match=f"{shards[1]}: is missing"):
        files_in_use(model_folder, SD15)


def test_of_one_file_and_several_each_library_takes_its_own(
    model_folder: Path, make_weights: Callable[..., Path]
) -> None:
    for component, base in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        shard = make_weights(model_folder / component / f"{base}-00001-of-00001.safetensors").name
        (model_folder / component / f"{base}.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"w": shard}})
        )
    used = files_in_use(model_folder, SD15)
    assert "unet/diffusion_pytorch_model-00001-of-00001.safetensors" in used
    assert "unet/diffusion_pytorch_model.safetensors" not in used
    assert "text_encoder/model.safetensors" in used
    assert "text_encoder/model-00001-of-00001.safetensors" not in used


@pytest.mark.parametrize(
    "content", ["", "{}", '{"weight_map": {"a": "../../other.safetensors"}}', '{"weight_map": {"a": "x.bin"}}']
)
def test_an_index_that_names_no_files_beside_it_is_refused(model_folder: Path, content: str) -> None:
    (model_folder / "text_encoder" / "model.safetensors").unlink()
    (model_folder / "text_encoder" / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ModelError, match="index"):
        files_in_use(model_folder, SD15)


def test_weights_that_are_only_a_pickle_are_refused(model_folder: Path) -> None:
    for file in (model_folder / "unet").glob("*.safetensors"):
        file.unlink()
    with pytest.raises(ModelError, match="only as a pickle"):
        files_in_use(model_folder, SD15)


@pytest.mark.parametrize("name", sorted(DESCRIPTIONS | WEIGHTS))
def test_a_missing_file_is_noticed(model_folder: Path, name: str) -> None:
    (model_folder / name).unlink()
    if name.startswith("tokenizer/"):  # which of its files a tokenizer needs, only its class knows
        assert name not in files_in_use(model_folder, SD15)
    elif "unet/diffusion" in name:
        assert component_weights(model_folder / "unet")[0] == "fp16"
    else:
        with pytest.raises(ModelError) as caught:
            files_in_use(model_folder, SD15)
        assert str(model_folder) in str(caught.value)


def test_a_missing_component_is_named(model_folder: Path) -> None:
    (model_folder / "vae").rename(model_folder / "away")
    with pytest.raises(ModelError, match="the folder vae/ is missing"):
        files_in_use(model_folder, SD15)


@pytest.mark.parametrize("content", ["", "[]", "{", "\udcff"])
def test_a_damaged_index_of_the_model_is_refused(model_folder: Path, content: str) -> None:
    (model_folder / "model_index.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match="JSON"):
        read_index(model_folder)


def test_a_link_to_nothing_is_a_missing_file(model_folder: Path) -> None:
    (model_folder / "unet" / "config.json").unlink()
    (model_folder / "unet" / "config.json").symlink_to(model_folder / "blobs" / "gone")
    with pytest.raises(ModelError, match=r"unet/config\.json: is missing"):
        files_in_use(model_folder, SD15)


def test_a_component_that_the_index_does_not_list_is_in_use_all_the_same(model_folder: Path) -> None:
    index = model_folder / "model_index.json"
    listed = json.loads(index.read_text())
    del listed["scheduler"], listed["unet"]
    index.write_text(json.dumps(listed))
    assert files_in_use(model_folder, SD15).keys() == DESCRIPTIONS | WEIGHTS


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_component_of_a_family_is_in_use(tmp_path: Path, make_folder: Callable[..., Path], family: str) -> None:
    folder = make_folder(tmp_path / "whole", FAMILIES[family].pipelines[0])
    names = files_in_use(folder, FAMILIES[family])
    places = {name.partition("/")[0] for name in names} - {"model_index.json"}
    assert places == {*FAMILIES[family].modules, *FAMILIES[family].texts}
    for place in sorted(places):
        (folder / place).rename(folder / "away")
        with pytest.raises(ModelError, match=f"the folder {place}/ is missing"):
            files_in_use(folder, FAMILIES[family])
        (folder / "away").rename(folder / place)


def test_an_adapter_beside_weights_is_refused(model_folder: Path) -> None:
    (model_folder / "text_encoder" / "adapter_config.json").write_text("{}")
    with pytest.raises(
        ModelError, match=r"text_encoder/adapter_config\.json: would be laid over the weights"
    ) as caught:
        files_in_use(model_folder, SD15)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("place", "other"), [("unet", "model"), ("text_encoder", "diffusion_pytorch_model")])
def test_weights_by_the_name_that_the_other_library_reads_are_not_in_use(
    model_folder: Path, make_weights: Callable[..., Path], place: str, other: str
) -> None:
    make_weights(model_folder / place / f"{other}.safetensors")
    assert files_in_use(model_folder, SD15).keys() == DESCRIPTIONS | WEIGHTS
