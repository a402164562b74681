from random import Random

import pytest
from PIL import Image, ImageFilter

from batchgen.demo.drawings import CONTOURS, draw, dressed, one_shape, sample_one
from batchgen.demo.judge import NOTHING
from batchgen.demo.style_judge import Look, look_at, wanted_look

STYLES = [frozenset(), frozenset({"striped"}), frozenset({"outlined"}), frozenset({"striped", "outlined"})]


def fresh(styles, count):
    rng = Random("styles")
    return [dressed(sample_one(rng, "any"), styles) for _ in range(count)]


@pytest.mark.parametrize("styles", STYLES, ids=lambda styles: "+".join(sorted(styles)) or "flat")
def test_the_judge_knows_dressed_drawings(styles):
    scenes = fresh(styles, 100)

    right = sum(look_at(draw(scene)) == wanted_look(scene) for scene in scenes)

    assert right >= 97


@pytest.mark.parametrize("styles", STYLES, ids=lambda styles: "+".join(sorted(styles)) or "flat")
def test_the_judge_knows_blurred_drawings(styles):
    scenes = fresh(styles, 60)
    blur = ImageFilter.GaussianBlur(0.8)

    right = sum(look_at(draw(scene).filter(blur)).styles == styles for scene in scenes)

    assert right >= 54


@pytest.mark.parametrize("shape", CONTOURS)
def test_both_styles_are_seen_on_every_shape(shape):
    scene = dressed(one_shape(Random("shapes"), ("green", shape, "pink")), frozenset({"striped", "outlined"}))

    expected = Look(
        background="pink",
        colours=frozenset({"green", "white"}),
        shape=shape,
        styles=frozenset({"striped", "outlined"}),
    )
    assert look_at(draw(scene)) == expected


def test_a_figure_in_the_colour_of_rims_is_not_outlined():
    for colour, background in (("black", "white"), ("blue", "black")):
        for styles in (frozenset(), frozenset({"striped"})):
            scene = dressed(one_shape(Random("rims"), (colour, "square", background), size="large"), styles)

            assert look_at(draw(scene)).styles == styles


def test_an_empty_picture_shows_nothing():
    look = look_at(Image.new("RGB", (64, 64), (45, 80, 210)))

    assert look == Look(background="blue", colours=frozenset(), shape=NOTHING, styles=frozenset())
