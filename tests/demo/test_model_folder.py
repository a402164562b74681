"""What ships as the embedded model demo_shapes."""

import json

import pytest
import torch

from batchgen.demo.captions import WORDS, plain_caption
from batchgen.demo.drawings import COLOURS, CONTOURS, POSITIONS
from batchgen.demo.evaluate import MODEL, Rendering, load, render, shares, wanted
from batchgen.demo.tokenizer import write_tokenizer

# diffusers hands a tensor to numpy in a way that numpy 2 finds old-fashioned.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_the_scheduler_is_the_one_it_was_trained_for():
    settings = json.loads((MODEL / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))

    assert settings["_class_name"] == "EulerDiscreteScheduler"
    assert settings["prediction_type"] == "v_prediction"
    assert settings["timestep_spacing"] == "trailing"
    assert settings["beta_schedule"] == "scaled_linear"


def test_its_tokenizer_is_the_one_the_code_writes(tmp_path):
    write_tokenizer(tmp_path, WORDS)

    for path in tmp_path.iterdir():
        assert (MODEL / "tokenizer" / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


def test_the_card_names_the_whole_vocabulary():
    card = (MODEL / "README.md").read_text(encoding="utf-8")

    assert all(word in card for word in [*COLOURS, *CONTOURS, *POSITIONS])


@pytest.fixture(scope="module")
def pipeline():
    torch.set_num_threads(1)
    return load(MODEL)


def test_it_draws_what_is_asked(pipeline):
    scenes = wanted(20, "seen", seed="test")

    figures = shares(scenes, render(pipeline, [plain_caption(scene) for scene in scenes], Rendering(steps=12)))

    assert figures.background >= 0.9
    assert figures.all >= 0.7


def test_equal_seeds_give_equal_pictures(pipeline):
    prompt = ["a red heart on a white background"]

    first, again = (render(pipeline, prompt, Rendering(steps=2))[0].tobytes() for _ in range(2))

    assert first == again


def test_it_reads_any_text(pipeline):
    prompts = ["漢字 🎨 \u0000", "", "blue " * 200]

    assert len(render(pipeline, prompts, Rendering(steps=1))) == 3
