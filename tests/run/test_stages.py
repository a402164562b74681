"""Runs of pictures that build on others, on the fake engine: order, kills, failures, and what is loaded how often."""

import pytest

from batchgen.engine import Runtime
from batchgen.events import Attached, Failed, Finished
from batchgen.job import UPSCALER, File, Lora, Model, Stage
from batchgen.parts import Canvas
from batchgen.plan.making import upscaling
from batchgen.run import messages
from batchgen.run.runner import Work
from batchgen.store.record import Asked

SHARP = Model(digest="cd" * 32, family=UPSCALER, name="sharp", path="/models/sharp.pth")
TWICE = Canvas(width=128, height=96)


def second(a, first, strength=0.5, **changes):
    """A second pass over what another cell makes."""
    return a.cell(
        first.job.seed,
        first.job.model.name,
        init_image=Stage(job=first.job),
        strength=strength,
        width=128,
        height=96,
        **changes,
    )


def upscaled(a, first):
    cell = a.cell(first.job.seed)
    return type(cell)(
        coordinates=cell.coordinates, job=upscaling(Stage(job=first.job), SHARP, TWICE), name=None, note=None
    )


def made_before(outcome, first, later):
    return outcome.made.index(first.job.id) < outcome.made.index(later.job.id)


def test_a_first_stage_is_made_once_for_all_variants_and_before_them(a, directory):
    firsts = a.cells(3)
    variants = [second(a, first, strength) for first in firsts for strength in (0.3, 0.6)]

    outcome = a.go(directory, variants, batch=2)

    assert sorted(outcome.made) == sorted({cell.job.id for cell in (*firsts, *variants)})
    assert all(
        made_before(outcome, first, each) for first in firsts for each in variants if each.job.stages == (first.job,)
    )
    a.check(directory, [*firsts, *variants])


def test_after_a_stop_the_first_stage_is_not_rendered_again(a, directory, faults):
    first = a.cell(1)
    variants = [second(a, first, strength) for strength in (0.3, 0.6)]
    faults({"do": "error", "seed": 1})
    begun = a.go(directory, [first], batch=1)
    assert begun.failed
    faults()
    a.go(directory, [first])

    outcome = a.go(directory, variants)

    assert sorted(outcome.made) == sorted(cell.job.id for cell in variants)


def test_a_killed_worker_resumes_with_what_is_there(a, directory, faults):
    first = a.cell(1, steps=3)
    variants = [second(a, first, strength, steps=5) for strength in (0.3, 0.6)]
    faults({"do": "signal", "value": 9, "times": 1})

    outcome = a.go(directory, variants, batch=1)

    assert not outcome.failed
    a.check(directory, [first, *variants])


def test_where_a_first_stage_fails_what_needs_it_is_given_up_with_the_reason(a, directory, faults):
    good, bad = a.cell(1), a.cell(2)
    variants = [second(a, good), second(a, bad)]
    last = second(a, variants[1], 0.2)
    faults({"do": "error", "seed": 2})

    outcome = a.go(directory, [*variants, last], batch=4)

    assert outcome.failed.keys() == {bad.job.id, variants[1].job.id, last.job.id}
    assert "asked to fail" in outcome.failed[bad.job.id]
    assert outcome.failed[last.job.id] == "the picture that it begins with was not made"
    a.check(directory, [good, variants[0]])
    assert len(outcome.of(Failed)) == 3
    assert outcome.summary.left == 0


def test_nothing_begins_before_the_picture_it_needs_is_published(a, directory):
    firsts = a.cells(6)
    asked = [second(a, first) for first in firsts]
    there = []

    def listen(event):
        if isinstance(event, Finished):
            there.append(event.id)

    a.go(directory, asked, batch=3, listen=listen)

    for first, later in zip(firsts, asked, strict=True):
        assert there.index(first.job.id) < there.index(later.job.id)


def test_a_model_an_upscaler_and_the_model_again_are_each_loaded_once(a, directory):
    firsts = a.cells(2)
    between = [upscaled(a, first) for first in firsts]
    again = [a.cell(0, init_image=Stage(job=each.job), width=128, height=96) for each in between]

    outcome = a.go(directory, again, batch=2)

    assert outcome.loads == ["toy", "sharp"]
    a.check(directory, [*firsts, *between, *again])


def test_a_sweep_of_adapters_and_checkpoints_switches_as_often_as_it_must(a, directory):
    """3 LoRAs x 2 checkpoints x 3 samplers x 4 seeds."""
    names = ("grain", "outlined", "striped")
    loras = [(Lora(file=File(digest=name, name=name, path=f"/{name}")),) for name in names]
    asked = [
        a.cell(seed, model, loras=lora, sampler=sampler)
        for seed in range(4)
        for sampler in ("euler", "heun", "lms")
        for lora in loras
        for model in ("one", "two")
    ]

    outcome = a.go(directory, asked, batch=4)

    assert outcome.loads == ["one", "two"]
    assert [event.adapters for event in outcome.of(Attached)] == [("grain",), ("outlined",), ("striped",)] * 2
    assert len(outcome.made) == 72


def test_to_none_is_a_switch_too_and_back_to_the_model_none_is_said(a, directory):
    lora = (Lora(file=File(digest="g", name="grain", path="/grain")),)
    outcome = a.go(directory, [a.cell(1, loras=lora), a.cell(2), a.cell(3, "two")], batch=1)
    assert [event.adapters for event in outcome.of(Attached)] == [("grain",), ()]


@pytest.mark.parametrize("rehearse", [False, True])
def test_a_rehearsal_needs_no_first_stage(a, directory, rehearse):
    first = a.cell(1)
    work = Work(runtime=Runtime(engine="fake"), stem=a.stem, rehearse=rehearse)
    outcome = a.go(directory, [second(a, first)], work=work)
    assert not outcome.failed
    assert len(outcome.made) == 2


def test_messages_carry_jobs_inside_of_jobs(a):
    first = a.cell(1, init_image=File(digest="p", name="fox.png", path="/p/fox.png"))
    middle = upscaled(a, first)
    lora = Lora(file=File(digest="l", name="grain", path="/l/grain.safetensors"), scale=0.8, clip_scale=0.4)
    mask = File(digest="m", name="m.png", path="/p/m.png")
    last = a.cell(1, init_image=Stage(job=middle.job, path="/run/x.png"), mask_image=mask, loras=(lora,), mask_blur=4)
    message = messages.Render(number=1, asked=(Asked(job=last.job),), attempt=1, degradations=())

    arrived = messages.decode(messages.encode(message))

    assert arrived == message
    job = arrived.asked[0].job
    assert job.id == last.job.id
    assert job.init_image.path == "/run/x.png"
    assert job.mask_image.path == "/p/m.png"
    assert job.loras[0].file.path == "/l/grain.safetensors"
    assert job.init_image.job.model.path == SHARP.path
    assert job.first.init_image.path == "/p/fox.png"
