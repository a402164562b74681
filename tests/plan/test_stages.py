"""The order of what builds on other pictures: stages first, each model loaded once, adapters switched seldom."""

from itertools import groupby

import pytest

from batchgen.job import UPSCALER
from batchgen.plan.plan import Reason, make_plan


def cells_of(plan):
    return [cell for group in plan.groups for batch in group.batches for cell in batch]


def assert_stages_come_first(plan):
    made = set()
    for group in plan.groups:
        for batch in group.batches:
            for cell in batch:
                assert {stage.id for stage in cell.job.stages} <= made | set(plan.done)
            made |= {cell.job.id for cell in batch}


HIRES = """
    prompts: [a, b]
    seeds: [1, 2]
    sweep: {hires: [none, {strength: 0.3}, {strength: 0.6}, {scale: 1.5, upscaler: sharp}]}
"""


@pytest.mark.parametrize("order", ["grouped", "breadth"])
def test_a_first_pass_is_made_once_for_all_that_build_on_it_and_before_them(place, order):
    cells = place.sweep(HIRES).cells
    plan = make_plan(cells, {}, batch=3, order=order)

    made = [cell.job.id for cell in cells_of(plan)]
    assert len(made) == len(set(made)) == plan.to_make == 4 * 5
    assert_stages_come_first(plan)
    assert sum(reason is Reason.STAGE for reason in plan.reasons.values()) == 4  # what the upscaler makes in between
    assert plan.asked == 16
    assert plan.wanted == 20


def test_what_is_not_asked_for_is_made_only_where_something_needs_it(place):
    cells = place.sweep("prompts: [a]\nsweep: {hires: [{strength: 0.3}, {strength: 0.6}]}").cells
    first = cells[0].job.stages[0]
    plan = make_plan(cells, {}, batch=4)
    assert plan.reasons[first.id] is Reason.STAGE
    assert next(iter(plan.reasons)) == first.id

    one_left = make_plan(cells, {first.id: Reason.DONE, cells[0].job.id: Reason.DONE}, batch=4)
    assert [*one_left.reasons] == [cells[1].job.id]
    nothing = make_plan(cells, {cell.job.id: Reason.DONE for cell in cells}, batch=4)
    assert not nothing.reasons


def test_ids_do_not_depend_on_what_stands_beside(place):
    alone = place.sweep("prompts: [b]\nseeds: [2]\nset: {hires: {strength: 0.6}}").cells[0].job.id
    assert alone in {cell.job.id for cell in place.sweep(HIRES).cells}


def test_an_upscaler_stands_beside_the_model_and_each_is_loaded_once(place):
    text = (
        "prompts: [a]\nseeds: 0..2\nsweep: {model: [small, large], hires: [{upscaler: sharp}], upscale: [none, soft]}"
    )
    cells = place.sweep(text).cells
    plan = make_plan(cells, {}, batch=4)
    assert_stages_come_first(plan)
    denoisers = [group.model.name for group in plan.groups if group.model.family != UPSCALER]
    assert [name for name, _ in groupby(denoisers)] == ["small", "large"]


def test_upscaled_pictures_of_two_models_come_behind_each_model(place):
    cells = place.sweep("prompts: [a]\nset: {upscale: sharp}\nsweep: {model: [small, large]}").cells
    plan = make_plan(cells, {}, batch=4)
    assert [group.model.name for group in plan.groups] == ["small", "sharp", "large", "sharp"]
    assert plan.loads == plan.load_bound == 3


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_an_upscaler_in_between_comes_in_between_in_any_precision(place, precision):
    cells = place.sweep(f"prompts: [a]\nset: {{precision: {precision}, hires: {{upscaler: sharp}}}}").cells
    plan = make_plan(cells, {}, batch=4)
    assert_stages_come_first(plan)
    assert [group.model.name for group in plan.groups] == ["small", "sharp", "small"]


def test_a_first_pass_in_another_precision_comes_first(place):
    text = """
        prompts: [a, b]
        bundles:
          p:
            fine: {precision: fp16, init_image: {from: draft}, strength: 0.3}
            draft: {precision: fp32}
    """
    plan = make_plan(place.sweep(text).cells, {}, batch=4)
    assert_stages_come_first(plan)
    assert plan.loads == 2


def test_models_are_in_one_round_of_each_where_one_builds_on_the_other(place):
    text = """
        prompts: [a, b]
        bundles:
          p:
            base: {model: small}
            refined: {model: large, init_image: {from: base}, strength: 0.3}
            back: {model: small, init_image: {from: refined}, strength: 0.2}
    """
    plan = make_plan(place.sweep(text).cells, {}, batch=4)
    assert_stages_come_first(plan)
    assert [group.model.name for group in plan.groups] == ["small", "large", "small"]


def test_no_batch_holds_a_picture_and_what_begins_with_it(place):
    text = """
        prompts: [a]
        seeds: 0..3
        bundles:
          p:
            draft: {steps: 4}
            once: {steps: 8, strength: 0.5, init_image: {from: draft}}
            twice: {steps: 8, strength: 0.5, init_image: {from: once}}
    """
    plan = make_plan(place.sweep(text).cells, {}, batch=16)
    assert_stages_come_first(plan)
    assert [len(batch) for group in plan.groups for batch in group.batches] == [4, 4, 4]


@pytest.mark.parametrize("order", ["grouped", "breadth"])
def test_adapters_are_switched_as_seldom_as_can_be(place, order):
    text = """
        prompts: [a]
        seeds: 0..3
        sweep: {loras: [grain, outlined, striped], model: [small, large], sampler: [euler, heun, lms]}
    """
    plan = make_plan(place.sweep(text).cells, {}, batch=2, order=order)
    switches = len(list(groupby((cell.job.model, cell.job.loras) for cell in cells_of(plan))))
    takes = 4 if order == "breadth" else 1
    assert plan.loads == 2
    assert switches <= 2 * 3 * takes
    assert switches == 6 or order == "breadth"
