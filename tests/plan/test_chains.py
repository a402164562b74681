"""Clips that begin with a frame of another one: what is asked for, what is refused, when a clip is made again."""

from dataclasses import replace
from textwrap import dedent

import pytest

from batchgen.errors import UsageError
from batchgen.job import Stage
from batchgen.plan.joining import joins
from batchgen.plan.plan import Reason, make_plan

SHOTS = """
    prompts: [{template: "a fox ${what}"}]
    seeds: [1, 2]
    set: {model: still}
    bundles:
      shot:
        shot1: {init_image: a.png, what: wakes}
        shot2: {init_image: {from: shot1}, what: runs}
        shot3: {init_image: {from: shot2, frame: last}, what: sleeps}
"""


@pytest.fixture(autouse=True)
def models(confs):
    """Models of clips, from words and from a picture."""
    small = confs.models["small"]
    fields = {**small.recommended, "sampler": "cogvideox_ddim", "schedule": "simple", "frames": 9}
    confs.models["moving"] = replace(small, name="moving", family="cogvideox", recommended=fields)
    confs.models["still"] = replace(small, name="still", family="cogvideox_i2v", recommended=fields)
    confs.beside.sizes |= dict.fromkeys(["a.png", "b.png"], (64, 64))


def shots(place, text=SHOTS):
    return {(cell.coordinates["shot"], cell.coordinates["seed"]): cell.job for cell in place.sweep(text).cells}


def test_a_shot_begins_with_the_last_frame_of_the_one_before(place):
    found = shots(place)

    assert len(found) == 6
    for seed in (1, 2):
        assert found["shot2", seed].init_image == Stage(job=found["shot1", seed], frame=9)
        assert found["shot3", seed].init_image == Stage(job=found["shot2", seed], frame=9)
        assert found["shot3", seed].text.prompt == "a fox sleeps"


@pytest.mark.parametrize(("said", "frame"), [("", 9), (", frame: last", 9), (", frame: first", 1), (", frame: 4", 4)])
def test_the_frame_is_one_number_however_it_is_said(place, said, frame):
    found = shots(place, SHOTS.replace("{from: shot1}", f"{{from: shot1{said}}}"))

    assert found["shot2", 1].init_image.frame == frame
    assert found["shot2", 1].recipe["init_image"]["frame"] == frame
    assert (found["shot2", 1].id == shots(place)["shot2", 1].id) is (frame == 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHOTS.replace("{from: shot1}", "{from: shot1, frame: 10}"), "shot1 frame 10: that clip has 9 frames"),
        (SHOTS.replace("{from: shot1}", "{from: shot1, frame: 0}"), "frame: is first, last, or a number .*, not 0"),
        (SHOTS.replace("{from: shot1}", "{from: shot1, frame: lats}"), "not 'lats'"),
        (SHOTS.replace("{from: shot1}", "{from: shot4}"), "unknown option 'shot4'; did you mean 'shot"),
        (
            "prompts: [x]\nbundles: {p: {a: {steps: 4}, b: {init_image: {from: a, frame: 2}}}}",
            "from a frame 2 is no frame: a picture is made there",
        ),
        ("prompts: [x]\nset: {model: still}", "init_image is missing: CogVideoX image to video makes a clip"),
        ("prompts: [x]\nset: {model: moving, init_image: a.png}", "init_image is not for CogVideoX"),
        ("prompts: [x]\nset: {model: moving, hires: 2}", "hires is not for CogVideoX"),
        ("prompts: [x]\nset: {model: still, init_image: a.png, hires: 2}", "hires is not for CogVideoX image to video"),
    ],
)
def test_what_no_clip_can_begin_with_or_become_is_refused_by_name(place, text, said):
    with pytest.raises(UsageError, match=said):
        place.sweep(text)


def test_pictures_to_animate_are_an_axis_and_the_clip_keeps_its_size(place, confs):
    confs.beside.globbed["photos/*.png"] = ["a.png", "b.png"]
    cells = place.sweep("prompts: [x]\nset: {model: still}\nsweep: {init_image: photos/*.png}").cells

    assert [cell.job.init_image.name for cell in cells] == ["a.png", "b.png"]
    assert {(cell.job.canvas.width, cell.job.motion.frames) for cell in cells} == {(64, 9)}


def test_a_clip_is_made_larger_as_a_whole(place):
    (cell,) = place.sweep("prompts: [x]\nset: {model: moving, upscale: sharp, fps: 12}").cells

    assert cell.job.init_image.frame is None
    assert cell.job.motion == cell.job.init_image.job.motion
    assert (cell.job.recipe["frames"], cell.job.recipe["fps"]) == (9, 12)
    assert cell.job.init_image.job.stages == ()


def test_a_shot_may_begin_with_a_frame_that_was_made_larger(place):
    found = shots(place, SHOTS + "    sweep: {upscale: [sharp]}\n")

    assert found["shot1", 1].unsampled
    assert found["shot2", 1].denoised.init_image == Stage(job=found["shot1", 1], frame=9)


def test_shots_are_made_one_behind_the_other_and_what_is_built_on_is_told(place):
    found = shots(place)
    plan = make_plan(place.sweep(SHOTS).cells, {}, batch=4)

    made = [[cell.coordinates["shot"] for cell in batch] for group in plan.groups for batch in group.batches]
    assert made == [["shot1"] * 2, ["shot2"] * 2, ["shot3"] * 2]
    assert plan.built_on == {
        found[before, seed].id: frozenset([found[after, seed].id])
        for before, after in (("shot1", "shot2"), ("shot2", "shot3"))
        for seed in (1, 2)
    }


def test_a_clip_without_its_frames_is_made_once_more_only_where_something_begins_with_it(place):
    cells = place.sweep(SHOTS).cells
    found = shots(place)
    known = {found[shot, seed].id: Reason.FRAMES_MISSING for shot in ("shot1", "shot2") for seed in (1, 2)}

    plan = make_plan(cells, known | {found["shot3", 1].id: Reason.FRAMES_MISSING}, batch=4)
    assert {id_: str(reason) for id_, reason in plan.reasons.items()} == {
        found["shot1", 2].id: "frames missing",
        found["shot2", 2].id: "frames missing",
        found["shot3", 2].id: "new",
    }
    assert set(plan.done) == {found[shot, 1].id for shot in ("shot1", "shot2", "shot3")}

    kept = make_plan(cells, known | {found["shot2", 1].id: Reason.DONE, found["shot2", 2].id: Reason.DONE}, batch=4)
    assert set(kept.reasons) == {found["shot3", 1].id, found["shot3", 2].id}

    nothing = make_plan(cells, dict.fromkeys((job.id for job in found.values()), Reason.FRAMES_MISSING), batch=4)
    assert not nothing.reasons


def joined(place, text):
    return joins(place.sweep(text), place.manifest(text))


JOINED = SHOTS + "    join: [shot1, shot2, shot3]\n"


def test_shots_are_joined_for_every_combination_of_all_else_without_the_doubled_frames(place):
    found = joined(place, JOINED + "    sweep: {guidance_scale: [2, 3]}\n")

    assert len({join.id for join in found}) == 4
    for join in found:
        assert [cell.coordinates["shot"] for cell in join.cells] == ["shot1", "shot2", "shot3"]
        assert len({(cell.job.seed, cell.job.sampling.guidance_scale) for cell in join.cells}) == 1
        assert (join.begins, join.frames) == ((0, 1, 1), 25)


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        (("{from: shot1}", "{from: shot1, frame: 8}"), (0, 0, 1)),
        (("{from: shot1}", "b.png"), (0, 0, 1)),
        (("join: [shot1, shot2, shot3]", "join: [shot2, shot1]"), (0, 0)),
        (("seeds: [1, 2]", "seeds: [1]\n    sweep: {upscale: [sharp]}"), (0, 1, 1)),
        (("bundles:", "zip: [[shot, steps]]\n    sweep: {steps: [4, 5, 6]}\n    bundles:"), (0, 1, 1)),
    ],
)
def test_only_a_first_frame_that_is_the_last_one_of_the_clip_before_is_left_out(place, change, begins):
    for join in joined(place, JOINED.replace(*change)):
        assert join.begins == begins


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (JOINED.replace("shot3]", "shto3]"), r":\d+: join: unknown option of shot 'shto3'; did you mean 'shot3'\?"),
        ("prompts: [x]\njoin: [a, b]", "join: names options of a bundle, and there is none"),
        (JOINED.replace("[shot1, shot2, shot3]", "[shot1]"), "join: names at least two options"),
        (JOINED.replace("[shot1, shot2, shot3]", "[shot1, shot1]"), "each of them once"),
        (JOINED.replace("[shot1, shot2, shot3]", "shot1"), "join: must be a list such as"),
        (JOINED.replace("what: runs", "what: runs, size: 80x64"), "shot1 is 64x64 with 8 .*, and shot2 is 80x64"),
        (JOINED.replace("what: runs", "what: runs, fps: 16"), "and shot2 is 64x64 with 16 frames a second"),
        ("prompts: [x]\nbundles: {p: {a: {steps: 4}, b: {steps: 5}}}\njoin: [a, b]", "join: a is a picture"),
        (JOINED + "    exclude: [{shot: shot2}]\n", "join: no combination has all of shot1, shot2, shot3"),
    ],
)
def test_what_cannot_be_joined_is_said_with_its_line_while_planning(place, text, said):
    with pytest.raises(UsageError, match=said):
        joined(place, dedent(text))
