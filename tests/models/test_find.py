from collections.abc import Callable
from pathlib import Path

import pytest

from batchgen.errors import ModelError
from batchgen.models.configuration import configuration
from batchgen.models.find import Source, checkpoints, find
from batchgen.models.hub import hub_cache

Make = Callable[..., Path]


def missing(source: Source, *folders: Path) -> str:
    with pytest.raises(ModelError) as caught:
        find(source, folders, name="mine", where="conf/model/mine.yaml")
    assert caught.value.where == "conf/model/mine.yaml"
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_folder_is_found_by_its_path_from_home_or_by_name(
    tmp_path: Path, make_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    absolute = make_folder(tmp_path / "tiny")
    below = make_folder(tmp_path / "models" / "diffusers" / "owner" / "name")
    folders = [tmp_path / "none", tmp_path / "models"]
    assert find(Source(folder=str(absolute)), [], name="m") == absolute
    assert find(Source(folder="~/tiny"), [], name="m") == absolute
    assert find(Source(folder="owner/name"), folders, name="m") == below
    nearer = make_folder(tmp_path / "models" / "owner" / "name")
    assert find(Source(folder="owner/name"), folders, name="m") == nearer


def test_a_folder_that_is_not_here_says_where_it_was_looked_for(tmp_path: Path) -> None:
    said = missing(Source(folder="tiny"), tmp_path / "a", tmp_path / "b")
    assert said.startswith("model 'mine' is not on this machine: looked for a diffusers folder at ")
    assert all(str(tmp_path / place) in said for place in ("a/tiny", "a/diffusers/tiny", "b/tiny", "b/diffusers/tiny"))
    assert "paths.models=" in said
    assert str(tmp_path / "c" / "model_index.json") in missing(Source(folder=str(tmp_path / "c")))


def test_a_checkpoint_is_found_by_name_wherever_people_keep_them(tmp_path: Path, make_weights: Make) -> None:
    source = Source(file=("Realvis.safetensors",))
    assert "Realvis.safetensors" in missing(source, tmp_path)
    deep = make_weights(tmp_path / "checkpoints" / "Anime" / "turbo" / "Realvis.safetensors")
    assert find(source, [tmp_path], name="m") == deep
    near = make_weights(tmp_path / "checkpoints" / "Realvis.safetensors")
    assert find(source, [tmp_path], name="m") == near
    other = make_weights(tmp_path / "other" / "Realvis.safetensors")
    assert find(source, [tmp_path / "other", tmp_path / "checkpoints"], name="m") == other


def test_the_first_name_that_is_there_counts_and_stars_and_case_do_not_matter(
    tmp_path: Path, make_weights: Make
) -> None:
    first = make_weights(tmp_path / "z" / "realVIS_v3_b.safetensors")
    second = make_weights(tmp_path / "a.safetensors")
    assert (
        find(Source(file=("none.safetensors", "Realvis*.safetensors", "a.safetensors")), [tmp_path], name="m") == first
    )
    assert find(Source(file=("a.safetensors", "*")), [tmp_path], name="m") == second
    assert find(Source(file=(str(first),)), [], name="m") == first


def test_weights_inside_a_diffusers_folder_are_no_checkpoints(tmp_path: Path, make_folder: Make) -> None:
    make_folder(tmp_path / "tiny")
    missing(Source(file=("model.safetensors",)), tmp_path)


def test_linked_folders_are_entered_once(tmp_path: Path, make_weights: Make) -> None:
    weights = make_weights(tmp_path / "disk" / "w.safetensors")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "checkpoints").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "disk")
    (found,) = checkpoints(tmp_path / "models")
    assert found == tmp_path / "models" / "checkpoints" / "w.safetensors"
    assert found.samefile(weights)


@pytest.mark.parametrize("ending", ["ckpt", "pt", "bin", "PTH"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"w.{ending}").write_bytes(b"")
    said = missing(Source(file=(f"w.{ending}",)), tmp_path)
    assert f"w.{ending} is a pickle" in said
    assert "weights_only=True" in said


def test_a_checkpoint_that_is_not_here_says_where_to_put_it(tmp_path: Path) -> None:
    said = missing(Source(file=("a.safetensors", "b.safetensors")), tmp_path / "x", tmp_path / "y")
    assert f"looked for a.safetensors or b.safetensors in {tmp_path}/x, {tmp_path}/y" in said
    assert f"put the file into {tmp_path}/x/checkpoints/" in said
    assert "paths.models=" in said


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/1", "c0ffee"])
def test_a_hub_model_is_found_in_the_local_cache_by_its_revision(hub: Make, revision: str) -> None:
    snapshot = hub("owner/name", "main" if revision == "c0ffee" else revision)
    assert find(Source(hub="owner/name", revision=revision), [], name="m") == snapshot


def test_another_revision_is_not_taken_for_the_one_that_was_asked_for(hub: Make) -> None:
    hub("owner/name", "main")
    said = missing(Source(hub="owner/name", revision="v2", include=("*.json", "*/*.safetensors")))
    assert "looked for owner/name (revision v2) in " in said
    assert said.endswith("hf download owner/name --revision v2 --include '*.json' '*/*.safetensors'")


def test_the_cache_is_where_the_environment_says(tmp_path: Path) -> None:
    assert hub_cache({}) == Path("~/.cache/huggingface/hub").expanduser()
    assert hub_cache({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
    assert hub_cache({"XDG_CACHE_HOME": "/c", "HF_HOME": "/h"}) == Path("/h/hub")
    assert hub_cache({"HF_HOME": "/h", "HF_HUB_CACHE": "/q"}) == Path("/q")


def test_an_embedded_model_that_is_not_in_the_installation_says_so() -> None:
    assert "no_such_model" in missing(Source(builtin="no_such_model"))


def test_a_checkpoint_that_a_repository_has_is_found_in_the_cache(
    tmp_path: Path, hub: Make, make_weights: Make
) -> None:
    source = Source(file=("mine.safetensors", "theirs.safetensors"), hub="owner/name")
    said = missing(source, tmp_path / "models")
    assert "owner/name in " in said
    assert said.endswith("or: batchgen models pull mine")
    held = make_weights(hub("owner/name") / "theirs.safetensors")
    assert find(source, [tmp_path / "models"], name="m") == held
    own = make_weights(tmp_path / "models/mine.safetensors")
    assert find(source, [tmp_path / "models"], name="m") == own


def test_a_name_with_a_folder_means_that_folder(tmp_path: Path, make_weights: Make) -> None:
    make_weights(tmp_path / "checkpoints/a/w.safetensors")
    second = make_weights(tmp_path / "checkpoints/b/w.safetensors")
    assert find(Source(file=("B/w.safetensors",)), [tmp_path], name="m") == second


def test_a_checkpoint_lies_where_extra_model_paths_says(tmp_path: Path, make_weights: Make) -> None:
    (tmp_path / "extra_model_paths.yaml").write_text("a111: {base_path: webui, checkpoints: models/Stable-diffusion}")
    file = make_weights(tmp_path / "webui/models/Stable-diffusion/w.safetensors")
    assert find(Source(file=("w.safetensors",)), [tmp_path / "models"], name="m") == file


def test_a_checkpoints_configuration_is_the_folder_of_its_name_beside_it(
    tmp_path: Path, make_folder: Make, make_weights: Make
) -> None:
    checkpoint = make_weights(tmp_path / "v1.5.safetensors")
    beside = make_folder(tmp_path / "v1.5")
    assert configuration(checkpoint, "sd15") == beside
