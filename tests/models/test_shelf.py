import os
from collections.abc import Callable
from pathlib import Path

import pytest

from batchgen.errors import ModelError
from batchgen.models.shelf import Shelf, in_natural_order

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_hub(hub: Make) -> None:
    """No test looks into the person's own cache."""


def complaint(shelf: Shelf, kind: str, name: str) -> str:
    with pytest.raises(ModelError) as caught:
        shelf.find(kind, name, "m.yaml:3")
    assert caught.value.where == "m.yaml:3"
    assert "\n" not in str(caught.value)
    return caught.value.message


def names(shelf: Shelf, kind: str) -> list[str]:
    return [entry.name for entry in shelf.all(kind)]


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("checkpoint", "checkpoints"),
        ("checkpoint", "Stable-diffusion"),
        ("checkpoint", ""),
        ("diffusion_model", "diffusion_models"),
        ("diffusion_model", "unet"),
        ("text_encoder", "text_encoders"),
        ("text_encoder", "clip"),
        ("lora", "loras"),
        ("lora", "Lora"),
        ("vae", "vae"),
        ("vae", "VAE"),
        ("upscaler", "upscale_models"),
        ("upscaler", "ESRGAN"),
        ("embedding", "embeddings"),
        ("embedding", "../embeddings"),
    ],
)
@pytest.mark.parametrize("named", ["models", ""])
def test_each_kind_lies_where_comfyui_and_a1111_put_it(
    tmp_path: Path, make_weights: Make, kind: str, place: str, named: str
) -> None:
    file = make_weights(tmp_path / "program/models" / place / "mine.safetensors")
    shelf = Shelf([tmp_path / "program" / named])
    (entry,) = shelf.all(kind)
    assert entry.path.samefile(file)
    assert shelf.find(kind, "mine").samefile(file)
    others = {"checkpoint", "diffusion_model", "text_encoder", "lora", "vae", "upscaler", "embedding"} - {kind}
    assert not any(shelf.all(other) for other in others)


@pytest.mark.parametrize("name", ["grain", "grain.safetensors", "film/grain", "film/grain.safetensors", "FILM\\Grain"])
def test_a_model_is_named_by_its_stem_its_file_or_its_path(tmp_path: Path, make_weights: Make, name: str) -> None:
    file = make_weights(tmp_path / "loras/film/grain.safetensors")
    assert Shelf([tmp_path]).find("lora", name) == file
    assert Shelf([]).find("lora", str(file)) == file


def test_a_dot_in_a_name_is_no_ending(tmp_path: Path, make_weights: Make) -> None:
    file = make_weights(tmp_path / "checkpoints/sd_v1.5.safetensors")
    assert Shelf([tmp_path]).find("checkpoint", "sd_v1.5") == file


def test_the_same_spelling_comes_before_another_case(tmp_path: Path, make_weights: Make) -> None:
    make_weights(tmp_path / "loras/a/Grain.safetensors")
    exact = make_weights(tmp_path / "loras/b/grain.safetensors")
    assert Shelf([tmp_path]).find("lora", "grain") == exact
    assert "is both" in complaint(Shelf([tmp_path]), "lora", "GRAIN")


def test_two_of_one_name_are_both_named_and_a_path_tells_them_apart(tmp_path: Path, make_weights: Make) -> None:
    files = [make_weights(tmp_path / f"loras/{folder}/grain.safetensors") for folder in "ab"]
    said = complaint(Shelf([tmp_path]), "lora", "grain")
    assert all(str(file) in said for file in files)
    assert Shelf([tmp_path]).find("lora", "b/grain") == files[1]


def test_a_part_of_a_name_is_not_the_name(tmp_path: Path, make_weights: Make) -> None:
    make_weights(tmp_path / "loras/grain_v2.safetensors")
    said = complaint(Shelf([tmp_path]), "lora", "grain")
    assert "did you mean 'grain_v2'?" in said
    assert f"looked in {tmp_path}/loras" in said


def test_where_a_kind_has_no_folder_yet_it_says_where_one_belongs(tmp_path: Path) -> None:
    assert f"looked in {tmp_path}/upscale_models" in complaint(Shelf([tmp_path]), "upscaler", "4x")
    assert "set paths.models" in complaint(Shelf([]), "upscaler", "4x")


def test_checkpoints_are_counted_as_a_person_counts(tmp_path: Path, make_weights: Make) -> None:
    for name in ("run-1000", "run-900", "run", "other"):
        make_weights(tmp_path / f"loras/{name}.safetensors")
    assert names(Shelf([tmp_path]), "lora") == [
        "other.safetensors", "run-900.safetensors", "run-1000.safetensors", "run.safetensors",
    ]  # fmt: skip


def test_folders_of_steps_come_before_the_file_of_the_end() -> None:
    paths = ["exp7/pytorch_lora_weights", "exp7/step-1000/pytorch_lora_weights", "exp7/step-900/pytorch_lora_weights"]
    assert [str(path) for path in in_natural_order(map(Path, paths))] == [paths[2], paths[1], paths[0]]


@pytest.mark.parametrize("kind", ["checkpoint", "lora", "vae"])
def test_a_pickle_is_listed_and_refused(tmp_path: Path, kind: str) -> None:
    folder = {"checkpoint": "checkpoints", "lora": "loras", "vae": "vae"}[kind]
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "old.ckpt").write_bytes(b"PK")
    shelf = Shelf([tmp_path])
    assert "weights_only=True" in shelf.all(kind)[0].refused
    assert "old.ckpt is a pickle" in complaint(shelf, kind, "old")


def test_upscalers_and_embeddings_may_be_pickles_but_safetensors_come_first(tmp_path: Path, make_weights: Make) -> None:
    for folder in ("upscale_models", "embeddings"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "old.pt").write_bytes(b"PK")
    shelf = Shelf([tmp_path])
    assert shelf.find("upscaler", "old").name == "old.pt"
    assert not shelf.all("embedding")[0].refused
    new = make_weights(tmp_path / "embeddings/old.safetensors")
    assert Shelf([tmp_path]).find("embedding", "old") == new


def test_diffusers_folders_and_the_cache_of_the_hub_are_checkpoints(
    tmp_path: Path, hub: Make, make_folder: Make
) -> None:
    own, snapshot = make_folder(tmp_path / "mine/diffusers/tiny"), hub("owner/name")
    shelf = Shelf([tmp_path / "mine"])
    assert names(shelf, "checkpoint") == ["owner/name", "tiny"]
    assert (shelf.find("checkpoint", "tiny"), shelf.find("checkpoint", "owner/name")) == (own, snapshot)


def test_a_link_to_a_folder_is_followed_and_no_file_is_listed_twice(tmp_path: Path, make_weights: Make) -> None:
    make_weights(tmp_path / "disk/w.safetensors")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/checkpoints").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/loop").symlink_to(tmp_path / "disk")
    assert names(Shelf([tmp_path / "models", tmp_path / "disk"]), "checkpoint") == ["w.safetensors"]


COMFY = """
a111:
    base_path: {base}
    checkpoints: models/Stable-diffusion
    loras: |
        models/Lora
        models/LyCORIS
    embeddings: embeddings
other:
    clip: {base}/clip/
"""


@pytest.mark.parametrize("given", ["models", "extra_model_paths.yaml"])
@pytest.mark.parametrize("base", ["../webui", "$WEBUI", "~/webui"])
def test_extra_model_paths_is_read_beside_the_models_folder_or_by_itself(
    tmp_path: Path, make_weights: Make, monkeypatch: pytest.MonkeyPatch, given: str, base: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WEBUI", str(tmp_path / "webui"))
    (tmp_path / "ComfyUI/models").mkdir(parents=True)
    (tmp_path / "ComfyUI/extra_model_paths.yaml").write_text(COMFY.format(base=base))
    for kind, place in (
        ("checkpoint", "models/Stable-diffusion"),
        ("lora", "models/LyCORIS"),
        ("embedding", "embeddings"),
        ("text_encoder", "clip"),
    ):
        file = make_weights(tmp_path / "webui" / place / "mine.safetensors")
        assert os.path.realpath(Shelf([tmp_path / "ComfyUI" / given]).find(kind, "mine")) == str(file)


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [("a: [", ":1", "is no YAML"), ("- a", "", "must hold groups"), ("a:\n  b: {", ":2", "is no YAML")],
)
def test_extra_model_paths_that_cannot_be_read_says_where(tmp_path: Path, text: str, where: str, words: str) -> None:
    (tmp_path / "extra_model_paths.yaml").write_text(text)
    with pytest.raises(ModelError, match=words) as caught:
        Shelf([tmp_path]).all("lora")
    assert str(caught.value.where).startswith(f"{tmp_path}/extra_model_paths.yaml{where}")
    assert "\n" not in str(caught.value)
