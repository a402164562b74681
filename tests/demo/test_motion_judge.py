from random import Random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from batchgen.demo.judge import NOTHING, UNCLEAR
from batchgen.demo.motion_drawings import CANVAS, FRAMES, MOTIONS, SHAPES, draw, move_of, sample
from batchgen.demo.motion_judge import ClipVerdict, judge_clip


def blurred(clip):
    frames = [Image.fromarray(frame).filter(ImageFilter.GaussianBlur(1.0)) for frame in clip]
    return np.stack([np.asarray(frame) for frame in frames])


def test_the_judge_knows_fresh_drawings_sharp_and_blurred():
    rng = Random("ceiling")
    moves = [sample(rng, "any") for _ in range(80)]

    assert all(all(judge_clip(draw(move)).right(move)) for move in moves)
    assert sum(all(judge_clip(blurred(draw(move))).right(move)) for move in moves) >= 0.97 * len(moves)


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_judge_knows_every_shape_in_every_motion(shape, motion):
    move = move_of(Random("every"), ("yellow", shape, "green"), motion)

    assert judge_clip(draw(move)) == ClipVerdict(background="green", foreground="yellow", shape=shape, motion=motion)


@pytest.mark.parametrize(
    ("motion", "backwards"), [("right", "left"), ("up", "down"), ("growing", "shrinking"), ("still", "still")]
)
def test_a_clip_that_runs_backwards_moves_the_other_way(motion, backwards):
    move = move_of(Random("backwards"), ("red", "ring", "white"), motion)

    assert judge_clip(draw(move)[::-1]).motion == backwards


def test_a_shape_that_moves_aslant_is_unclear():
    clip = np.full((FRAMES, CANVAS, CANVAS, 3), 245, dtype=np.uint8)
    for number, frame in enumerate(clip):
        frame[4 + 3 * number : 16 + 3 * number, 4 + 3 * number : 16 + 3 * number] = (220, 40, 40)

    assert judge_clip(clip).motion == UNCLEAR


def test_a_shape_that_vanishes_on_its_way_is_unclear():
    move = move_of(Random("vanishes"), ("red", "circle", "white"), "right")
    clip = draw(move).copy()
    clip[5] = move.background_rgb

    verdict = judge_clip(clip)

    assert (verdict.motion, verdict.shape) == (UNCLEAR, UNCLEAR)


def test_an_empty_clip_shows_nothing():
    clip = np.full((FRAMES, CANVAS, CANVAS, 3), (45, 80, 210), dtype=np.uint8)

    assert judge_clip(clip) == ClipVerdict(background="blue", foreground=NOTHING, shape=NOTHING, motion=NOTHING)
