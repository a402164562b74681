from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchgen.errors import ModelError
from batchgen.models.families import FAMILIES
from batchgen.models.find import Source, find
from batchgen.models.folder import files_in_use

Make = Callable[..., Path]
PARTS = {"transformer": "flux1", "vae": "ae", "text_encoder": "clip_l", "text_encoder_2": "t5xxl"}
FOLDERS = {"transformer": "diffusion_models", "vae": "vae", "text_encoder": "clip", "text_encoder_2": "text_encoders"}


@pytest.fixture
def models(
    tmp_path: Path,
    hub: Make,
    cast: Mapping[str, Mapping[str, tuple[int, ...]]],
    make_weights: Make,
    make_vocabularies: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A models folder with FLUX.1 in four files, and vocabularies beside them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    held = {"transformer": "flux", "vae": "vae", "text_encoder": "clip", "text_encoder_2": "t5"}
    for part, name in PARTS.items():
        make_weights(tmp_path / "models" / FOLDERS[part] / f"{name}.safetensors", cast[held[part]])
    make_vocabularies(tmp_path / "models")
    return tmp_path / "models"


def refused(models: Path, **parts: str) -> str:
    with pytest.raises(ModelError) as caught:
        find(Source(parts=PARTS | parts), [models], name="mine", where="conf/model/mine.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_four_files_become_one_folder_with_links_to_them(models: Path) -> None:
    folder = find(Source(parts=PARTS), [models], name="mine")
    files = files_in_use(folder, FAMILIES["flux"])
    for part, name in PARTS.items():
        held = files[f"{part}/original.safetensors"]
        assert held.is_symlink()
        assert held.samefile(models / FOLDERS[part] / f"{name}.safetensors")
    assert {"transformer/config.json", "tokenizer/vocab.json", "tokenizer_2/tokenizer.json"} <= files.keys()
    assert find(Source(parts=PARTS), [models], name="mine") == folder


def test_other_files_are_another_folder(models: Path) -> None:
    first = find(Source(parts=PARTS), [models], name="mine")
    (models / "vae/ae.safetensors").rename(models / "vae/other.safetensors")
    assert find(Source(parts=PARTS | {"vae": "other"}), [models], name="mine") != first


def test_what_is_wrong_with_the_parts_is_said(models: Path) -> None:
    assert "vae 'none' is not on this machine" in refused(models, vae="none")
    assert "unknown component 'text_encoder_3'; did you mean 'text_encoder_2'?" in refused(
        models, text_encoder_3="t5xxl"
    )
    assert "the denoiser is of no family known here" in refused(models, transformer=str(models / "vae/ae.safetensors"))
    wrong = refused(models, vae=str(models / "clip/clip_l.safetensors"))
    assert wrong.startswith(f"{models}/clip/clip_l.safetensors: holds no whole vae")
    less = {part: name for part, name in PARTS.items() if part != "vae"}
    with pytest.raises(ModelError, match=r"m\.yaml: source\.parts: vae is missing"):
        find(Source(parts=less), [models], name="mine", where="m.yaml")
    with pytest.raises(ModelError, match=r"m\.yaml: source\.parts: the denoiser is missing"):
        find(Source(parts={"vae": "ae"}), [models], name="mine", where="m.yaml")
