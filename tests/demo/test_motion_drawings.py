from itertools import islice
from random import Random

import numpy as np
import pytest

from batchgen.demo.motion_captions import WORDS, caption, plain_caption
from batchgen.demo.motion_drawings import (
    CANVAS,
    COLOURS,
    FRAMES,
    MOTIONS,
    SHAPES,
    combinations,
    draw,
    held_out,
    move_of,
    sample,
    stream,
)


def test_equal_seeds_give_equal_clips():
    first = [draw(move).tobytes() for move in islice(stream("a"), 5)]
    again = [draw(move).tobytes() for move in islice(stream("a"), 5)]
    other = [draw(move).tobytes() for move in islice(stream("b"), 5)]

    assert first == again
    assert first != other


def test_held_out_combinations_are_never_sampled_for_training():
    shown = islice(stream("any seed", "seen"), 2000)

    assert not any(held_out(move.colour, move.shape, move.background) for move in shown)


def test_every_combination_is_either_seen_or_held_out():
    seen, kept = set(combinations("seen")), set(combinations("held-out"))

    assert seen | kept == set(combinations("any"))
    assert not seen & kept
    assert 0.05 < len(kept) / len(seen | kept) < 0.15


def test_every_shape_and_colour_is_among_the_held_out():
    kept = combinations("held-out")

    assert {shape for _, shape, _ in kept} == set(SHAPES)
    assert {colour for colour, _, _ in kept} == set(COLOURS)


def test_clips_are_bytes_of_one_size():
    clip = draw(next(stream("size")))

    assert clip.shape == (FRAMES, CANVAS, CANVAS, 3)
    assert clip.dtype == np.uint8


def test_no_shape_touches_the_edge():
    for move in islice(stream("edges", "any"), 200):
        edge = draw(move).astype(int)
        edge[:, 1:-1, 1:-1] = move.background_rgb

        assert (edge == move.background_rgb).all()


@pytest.mark.parametrize(
    ("motion", "right", "down"), [("right", 1, 0), ("left", -1, 0), ("down", 0, 1), ("up", 0, -1), ("still", 0, 0)]
)
def test_shapes_go_where_the_word_says(motion, right, down):
    move = move_of(Random("ways"), ("red", "circle", "blue"), motion)

    assert round((move.last.x - move.first.x) / 17) == right
    assert round((move.last.y - move.first.y) / 17) == down
    assert move.last.radius == move.first.radius


def test_growing_shapes_grow_and_shrinking_ones_shrink():
    grown, shrunk = (move_of(Random("sizes"), ("red", "ring", "blue"), word) for word in ("growing", "shrinking"))

    assert grown.last.radius >= 2 * grown.first.radius
    assert shrunk.first.radius >= 2 * shrunk.last.radius


def test_the_way_between_is_even():
    move = next(stream("even"))

    assert move.at(0) == move.first
    assert move.at(0.5).x == pytest.approx((move.first.x + move.last.x) / 2)


def test_plain_captions_say_everything():
    move = move_of(Random("plain"), ("red", "circle", "blue"), "right")

    assert plain_caption(move) == "a red circle moving right on a blue background"


def test_captions_use_the_words_of_the_grammar_alone():
    rng = Random("words")
    texts = [caption(sample(rng), rng) for _ in range(2000)]

    assert {word for text in texts for word in text.lower().replace(",", " ,").split()} <= set(WORDS)


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_motion_has_words_of_its_own(motion):
    move = move_of(Random("own"), ("red", "circle", "blue"), motion)
    others = [move_of(Random("own"), ("red", "circle", "blue"), other) for other in MOTIONS if other != motion]

    assert plain_caption(move) not in [plain_caption(other) for other in others]
