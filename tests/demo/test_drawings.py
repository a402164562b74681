from dataclasses import replace
from itertools import islice
from random import Random

import pytest

from batchgen.demo.captions import WORDS, caption, plain_caption
from batchgen.demo.drawings import (
    CANVAS,
    COLOURS,
    CONTOURS,
    REACH,
    RIMS,
    STRIPES,
    combinations,
    draw,
    dressed,
    held_out,
    one_shape,
    rim_colour,
    sample_one,
    stream,
    stripe_colour,
)


def test_equal_seeds_give_equal_pictures():
    first = [draw(scene).tobytes() for scene in islice(stream("a"), 20)]
    again = [draw(scene).tobytes() for scene in islice(stream("a"), 20)]
    other = [draw(scene).tobytes() for scene in islice(stream("b"), 20)]

    assert first == again
    assert first != other


def test_held_out_combinations_are_never_sampled_for_training():
    shown = [(f, scene.background) for scene in islice(stream("any seed", "seen"), 3000) for f in scene.figures]

    assert not any(held_out(figure.colour, figure.shape, background) for figure, background in shown)


def test_every_combination_is_either_seen_or_held_out():
    seen, kept = set(combinations("seen")), set(combinations("held-out"))

    assert seen | kept == set(combinations("any"))
    assert not seen & kept
    assert 0.05 < len(kept) / len(seen | kept) < 0.15


def test_every_shape_and_colour_is_among_the_held_out():
    kept = combinations("held-out")

    assert {shape for _, shape, _ in kept} == set(CONTOURS)
    assert {colour for colour, _, _ in kept} == set(COLOURS)


def test_drawings_have_the_canvas_size_and_their_background_at_the_corners():
    for scene in islice(stream("corners"), 50):
        picture = draw(scene)

        assert picture.size == (CANVAS, CANVAS)
        assert picture.mode == "RGB"
        assert picture.getpixel((0, 0)) == scene.background_rgb


@pytest.mark.parametrize("shape", CONTOURS)
def test_no_contour_reaches_further_than_it_may(shape):
    longest = max(abs(length) for contour in CONTOURS[shape] for point in contour for length in point)

    assert longest <= REACH


@pytest.mark.parametrize("shape", CONTOURS)
def test_one_shape_does_not_touch_the_edge_of_the_picture(shape):
    rng = Random("edge")
    for size in ("small", "normal", "large"):
        for position in ("", "on the left", "at the top", "at the bottom"):
            scene = one_shape(rng, ("red", shape, "blue"), size=size, position=position)
            picture = draw(scene)
            edge = [picture.getpixel((k, j)) for k in range(CANVAS) for j in (0, CANVAS - 1)]
            edge += [picture.getpixel((j, k)) for k in range(CANVAS) for j in (0, CANVAS - 1)]

            assert set(edge) == {scene.background_rgb}


def test_an_outline_shows_less_figure_than_a_filled_shape():
    scene = one_shape(Random("outline"), ("red", "square", "blue"), size="large")

    filled, outline = (draw(replace(scene, outline=only)) for only in (False, True))

    def figure(picture):
        return sum(picture.getpixel((x, y)) != scene.background_rgb for x in range(CANVAS) for y in range(CANVAS))

    assert figure(outline) < 0.6 * figure(filled)


def test_captions_use_the_words_of_the_grammar_only():
    rng = Random("words")
    for scene in islice(stream("words"), 500):
        words = caption(scene, rng).replace(",", " ,").split()

        assert set(words) <= set(WORDS)


def test_a_plain_caption_says_everything():
    scene = one_shape(Random("plain"), ("orange", "heart", "white"), size="small", position="at the top")

    assert plain_caption(scene) == "a small orange heart at the top on a white background"


def test_one_shape_scenes_have_one_figure():
    rng = Random("one")

    assert all(len(sample_one(rng, "any").figures) == 1 for _ in range(100))


def test_stripes_and_rims_differ_from_what_they_lie_on():
    for colour in COLOURS:
        for background in COLOURS:
            assert stripe_colour(colour, background) not in {colour, background}
            assert rim_colour(colour, background) not in {colour, background}


def test_stripes_and_rims_share_no_colour():
    assert not set(STRIPES) & set(RIMS)


def test_a_dressed_scene_keeps_what_its_caption_says():
    for scene in islice(stream("dressed"), 50):
        both = dressed(scene, frozenset({"striped", "outlined"}))

        assert plain_caption(both) == plain_caption(scene)
        assert len(both.figures) == len(scene.figures)


def test_stripes_lie_inside_the_shape_and_a_rim_around_it():
    scene = one_shape(Random("dress"), ("red", "square", "blue"))

    flat, striped, outlined = (draw(dressed(scene, frozenset(styles))) for styles in ((), ("striped",), ("outlined",)))

    def count(picture, colour):
        return sum(picture.getpixel((x, y)) == colour for x in range(CANVAS) for y in range(CANVAS))

    assert count(striped, COLOURS["white"]) > 100
    assert count(outlined, COLOURS["black"]) > 100
    assert count(striped, scene.background_rgb) == count(flat, scene.background_rgb)
    assert count(outlined, scene.background_rgb) < count(flat, scene.background_rgb)


def test_a_rim_leaves_the_edge_of_the_picture_to_the_background():
    rng = Random("rim")
    for _ in range(100):
        scene = dressed(sample_one(rng, "any"), frozenset({"outlined"}))
        picture = draw(scene)
        edge = [picture.getpixel(place) for k in range(CANVAS) for place in ((k, 0), (0, k))]

        assert edge.count(scene.background_rgb) >= 0.9 * len(edge)  # a rim's round corner may just touch it


def test_an_enlarged_drawing_made_smaller_is_the_drawing():
    for scene in islice(stream("enlarged"), 10):
        large, small = draw(scene, 2), draw(scene)
        differences = [abs(a - b) for a, b in zip(large.reduce(2).tobytes(), small.tobytes(), strict=True)]

        assert large.size == (2 * CANVAS, 2 * CANVAS)
        assert sum(differences) / len(differences) < 1
