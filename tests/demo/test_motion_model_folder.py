"""What ships as the embedded model demo_motion."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from batchgen.demo.evaluate_motion import MODEL, SAMPLERS, Rendering, load, render, shares, sheet, wanted
from batchgen.demo.motion_captions import WORDS, plain_caption
from batchgen.demo.motion_drawings import CANVAS, FRAMES, draw, held_out
from batchgen.demo.motion_text import new_tokenizer

# diffusers hands a tensor to numpy in a way that numpy 2 finds old-fashioned.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_the_scheduler_is_the_one_it_was_trained_for():
    settings = json.loads((MODEL / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    wanted_ = {
        "_class_name": "CogVideoXDDIMScheduler",
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
        "rescale_betas_zero_snr": True,
        "snr_shift_scale": 1.0,
    }

    assert {key: settings[key] for key in wanted_} == wanted_


def test_its_tokenizer_is_the_one_the_code_writes(tmp_path):
    new_tokenizer().save_pretrained(tmp_path)

    for path in tmp_path.iterdir():
        assert (MODEL / "tokenizer" / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


def test_the_card_names_the_whole_vocabulary():
    card = (MODEL / "README.md").read_text(encoding="utf-8")

    assert all(word in card for word in WORDS)


@pytest.fixture(scope="module")
def pipeline():
    torch.set_num_threads(1)
    return load(MODEL)


def test_it_shows_what_is_asked(pipeline):
    moves = wanted(8, "seen", seed="test")

    figures = shares(moves, render(pipeline, [plain_caption(move) for move in moves], Rendering(steps=12)))

    assert figures["motion"] >= 0.8
    assert figures["foreground"] >= 0.8
    assert figures["background"] >= 0.8
    assert figures["shape"] >= 0.6


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_equal_seeds_give_equal_clips(pipeline, sampler):
    prompt = ["a red circle growing on a white background"]

    first, again = (render(pipeline, prompt, Rendering(sampler=sampler, steps=2))[0].tobytes() for _ in range(2))

    assert first == again


def test_it_reads_any_text(pipeline):
    prompts = ["漢字 🎨 \u0000", "", "blue " * 200]

    assert len(render(pipeline, prompts, Rendering(steps=1))) == 3


def test_other_lengths_and_sizes_are_rendered(pipeline):
    frames = pipeline(
        "a red ring",
        num_frames=17,
        height=64,
        width=48,
        num_inference_steps=1,
        max_sequence_length=24,
        output_type="np",
    ).frames

    assert frames.shape == (1, 17, 64, 48, 3)


def test_drawings_of_what_was_wanted_are_right_and_of_something_else_wrong():
    moves, others = wanted(30, "any"), wanted(30, "any", seed="other")

    assert shares(moves, map(draw, moves))["all"] >= 0.97
    assert shares(moves, map(draw, others))["all"] < 0.1


def test_wanted_moves_are_of_the_split_asked_for_and_the_same_every_time():
    for split, kept in (("seen", False), ("held-out", True)):
        assert all(held_out(m.colour, m.shape, m.background) == kept for m in wanted(50, split))
    assert wanted(20, "seen") == wanted(20, "seen") != wanted(20, "seen", seed="other")


def test_a_sheet_shows_each_clip_as_a_row_of_frames():
    clips = [draw(move) for move in wanted(2, "any")]

    picture = sheet(["one", "two"], clips)

    row = np.concatenate(list(clips[1]), axis=1)
    shown = picture.crop((0, picture.height - 2 * CANVAS, picture.width, picture.height))
    assert picture.width == 2 * CANVAS * FRAMES
    assert np.array_equal(np.asarray(shown.resize((row.shape[1], row.shape[0]), Image.Resampling.NEAREST)), row)
