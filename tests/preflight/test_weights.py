import shutil

import pytest

from batchgen.preflight.weights import folders, options
from batchgen.settings import Words, load_settings
from batchgen.shipped import shipped_model

MINE = "family: sd15\nsource: {folder: %s}\nrecommended: {width: 64, height: 64}\n"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings of an empty folder with the models folder `models`; other homes and caches are out of sight."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "conf/model").mkdir(parents=True)

    def load(*words):
        return load_settings(Words(settings=(("paths.models", str(tmp_path / "models")), *words)), cwd=tmp_path)

    return load


def by_name(findings):
    return {finding.about: finding for finding in findings}


def test_the_embedded_model_is_here_and_others_say_how_to_get_them(settings):
    found = by_name(options(settings()))

    assert found["model demo_shapes"].state == "ok"
    assert "Stable Diffusion 1.5, 7.6 MB" in found["model demo_shapes"].says
    assert found["model sdxl"].state == "warning"
    assert "looked for stabilityai/stable-diffusion-xl-base-1.0" in found["model sdxl"].says
    assert "hf download stabilityai/stable-diffusion-xl-base-1.0" in found["model sdxl"].mend


def test_a_model_that_is_damaged_is_wrong_and_the_file_is_named(settings, tmp_path):
    shutil.copytree(shipped_model("demo_shapes"), tmp_path / "mine")
    weights = tmp_path / "mine/unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (tmp_path / "conf/model/mine.yaml").write_text(MINE % (tmp_path / "mine"))

    found = by_name(options(settings()))["model mine"]

    assert found.state == "wrong"
    assert str(weights) in found.says
    assert "cut short: 100 of" in found.says


def test_the_model_that_is_used_where_nobody_names_one_is_needed(settings, tmp_path):
    (tmp_path / "conf/job.yaml").write_text(
        "defaults: [_self_, {model: mine}, {runtime: auto}, {output: default}, {sampler: null}]\n"
    )
    (tmp_path / "conf/model/mine.yaml").write_text(MINE % "nowhere")

    assert by_name(options(settings()))["model mine"].state == "wrong"


def test_an_option_that_cannot_be_read_is_wrong_and_the_others_are_looked_at(settings, tmp_path):
    (tmp_path / "conf/model/broken.yaml").write_text("family: sd16\nsource: {builtin: demo_shapes}\n")

    found = by_name(options(settings()))

    assert found["model broken"].state == "wrong"
    assert "conf/model/broken.yaml:1" in found["model broken"].says
    assert found["model demo_shapes"].state == "ok"


def test_a_models_folder_that_is_not_there_is_told_of_with_the_words_to_say(settings):
    (found,) = folders(settings())

    assert found.state == "warning"
    assert "paths.models=" in found.mend


def test_what_lies_in_a_models_folder_is_named_with_its_size(settings, tmp_path):
    (tmp_path / "models/checkpoints").mkdir(parents=True)
    (tmp_path / "models/checkpoints/herons.safetensors").write_bytes(b"x" * 1500)
    shutil.copytree(shipped_model("demo_shapes"), tmp_path / "models/diffusers/shapes")

    (found,) = folders(settings())

    assert found.state == "ok"
    assert found.says.endswith("herons.safetensors (1.5 kB), shapes/")


def test_of_many_models_some_are_named_and_the_rest_is_counted(settings, tmp_path):
    (tmp_path / "models").mkdir()
    for number in range(11):
        (tmp_path / f"models/{number:02}.safetensors").touch()

    (found,) = folders(settings())

    assert found.says.endswith("07.safetensors (0 B) and 3 more")
