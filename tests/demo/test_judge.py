from random import Random

import pytest
from PIL import Image, ImageDraw, ImageFilter

from batchgen.demo.drawings import CONTOURS, RADII, draw, one_shape, sample_one
from batchgen.demo.judge import NOTHING, UNCLEAR, Verdict, agrees, judge


def right(scene, picture):
    figure = scene.figures[0]
    return agrees(judge(picture), background=scene.background, foreground=figure.colour, shape=figure.shape)


def test_the_judge_knows_fresh_drawings():
    rng = Random("ceiling")
    scenes = [sample_one(rng, "any") for _ in range(300)]

    assert sum(right(scene, draw(scene)) for scene in scenes) >= 0.99 * len(scenes)


def test_the_judge_knows_blurred_drawings():
    rng = Random("blurred")
    scenes = [sample_one(rng, "any") for _ in range(300)]
    blur = ImageFilter.GaussianBlur(1.0)

    assert sum(right(scene, draw(scene).filter(blur)) for scene in scenes) >= 0.97 * len(scenes)


@pytest.mark.parametrize("shape", CONTOURS)
@pytest.mark.parametrize("size", RADII)
def test_the_judge_knows_every_shape_in_every_size(shape, size):
    scene = one_shape(Random("shapes"), ("green", shape, "pink"), size=size)

    assert judge(draw(scene)) == Verdict(background="pink", foreground="green", shape=shape)


def test_the_judge_takes_pictures_of_other_sizes():
    scene = one_shape(Random("sizes"), ("white", "star", "purple"))
    wide = Image.new("RGB", (96, 64), scene.background_rgb)
    wide.paste(draw(scene), (16, 0))

    assert judge(wide) == Verdict(background="purple", foreground="white", shape="star")


def test_something_else_than_asked_is_refused():
    verdict = judge(draw(one_shape(Random("refused"), ("red", "ring", "white"))))

    assert agrees(verdict, foreground="red", shape="ring", background="white")
    assert not agrees(verdict, foreground="pink", shape="ring", background="white")
    assert not agrees(verdict, foreground="red", shape="circle", background="white")
    assert not agrees(verdict, foreground="red", shape="ring", background="yellow")


def test_what_was_not_asked_does_not_count():
    verdict = judge(draw(one_shape(Random("asked"), ("red", "ring", "white"))))

    assert agrees(verdict, shape="ring")
    assert agrees(verdict)


def test_an_empty_picture_shows_nothing():
    assert judge(Image.new("RGB", (64, 64), (45, 80, 210))) == Verdict(
        background="blue", foreground=NOTHING, shape=NOTHING
    )


def test_a_colour_far_from_every_name_is_unclear():
    assert judge(Image.new("RGB", (64, 64), (128, 128, 128))).background == UNCLEAR


def test_a_blot_is_no_shape():
    picture = Image.new("RGB", (64, 64), (245, 245, 245))
    ImageDraw.Draw(picture).rectangle((6, 30, 57, 33), fill=(220, 40, 40))

    assert judge(picture) == Verdict(background="white", foreground="red", shape=UNCLEAR)
