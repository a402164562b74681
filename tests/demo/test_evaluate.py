from PIL import Image

from batchgen.demo.drawings import CANVAS, draw, held_out
from batchgen.demo.evaluate import Shares, several, shares, strips, wanted


def test_drawings_of_what_was_wanted_are_right():
    scenes = wanted(60, "any") + several(20, ("two", "three", "pair"))

    assert shares(scenes, map(draw, scenes)).all >= 0.97


def test_drawings_of_something_else_are_wrong():
    scenes, others = wanted(60, "any"), wanted(60, "any", seed="other")

    assert shares(scenes, map(draw, others)).all < 0.1


def test_each_attribute_counts_for_itself():
    (scene,) = wanted(1, "seen")
    empty = Image.new("RGB", (CANVAS, CANVAS), scene.background_rgb)

    assert shares([scene], [empty]) == Shares(background=1.0, foreground=0.0, shape=0.0, all=0.0)


def test_wanted_scenes_are_of_the_split_asked_for():
    for split, kept in (("seen", False), ("held-out", True)):
        for scene in wanted(100, split):
            figure = scene.figures[0]

            assert held_out(figure.colour, figure.shape, scene.background) == kept


def test_equal_questions_are_asked_every_time():
    assert wanted(20, "seen") == wanted(20, "seen")
    assert wanted(20, "seen") != wanted(20, "seen", seed="other")


def test_strips_cover_the_picture():
    widths = [strip.width for strip in strips(Image.new("RGB", (64, 48)), 3)]

    assert sum(widths) == 64
    assert max(widths) - min(widths) <= 1
