from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.plan.plan import Reason, make_plan

MIXED = """
    prompts: [a, b]
    seeds: 0..2
    sweep: {steps: [4, 8], model: [small, large], size: [64x64, 64x96]}
"""


def cells_of(plan):
    return [cell for group in plan.groups for batch in group.batches for cell in batch]


def changes(values):
    return len(list(groupby(values)))


@pytest.mark.parametrize("order", ["grouped", "breadth"])
@pytest.mark.parametrize("batch", [1, 4, 100])
def test_every_job_is_in_one_batch_and_a_batch_shares_its_key(place, order, batch):
    sweep = place.sweep(MIXED)

    plan = make_plan(sweep.cells, {}, batch=batch, order=order)

    assert sorted(cell.job.id for cell in cells_of(plan)) == sorted(cell.job.id for cell in sweep.cells)
    for group in plan.groups:
        for each in group.batches:
            assert 1 <= len(each) <= batch
            assert len({cell.job.batch_key for cell in each}) == 1
            assert {cell.job.model for cell in each} == {group.model}


def test_what_was_begun_together_is_a_batch_again_and_first_among_its_like(place):
    cells = place.sweep("prompts: [a]\nseeds: 0..9\nsweep: {steps: [4, 8]}").cells
    ids = [cell.job.id for cell in cells]
    usual = make_plan(cells, {}, batch=4)
    late, unfit = (ids[15], ids[13], ids[11]), [(ids[2], ids[3]), (*ids[4:10:2], ids[16], ids[18]), ("f" * 64,), ()]

    plan = make_plan(cells, {ids[3]: Reason.DONE}, batch=4, begun=[late, *unfit])

    made = [[cell.job.id for cell in batch] for group in plan.groups for batch in group.batches]
    assert list(late) in made
    assert sorted(id_ for batch in made for id_ in batch) == sorted({*ids} - {ids[3]})
    steps = [batch[0].job.sampling.steps for group in plan.groups for batch in group.batches]
    assert steps == sorted(steps)
    assert made.index(list(late)) == steps.index(8)
    assert all(len(batch) <= 4 for batch in made)
    assert make_plan(cells, {}, batch=4, begun=unfit[1:]) == usual


def test_each_model_is_loaded_once_however_the_manifest_mixes_them(place):
    plan = make_plan(place.sweep(MIXED).cells, {}, batch=4)

    assert [group.model.name for group in plan.groups] == ["small", "large"]
    assert plan.loads == plan.load_bound == 2


@pytest.mark.parametrize("order", ["grouped", "breadth"])
def test_another_precision_is_another_load(place, order):
    text = "prompts: [a, b]\nseeds: 0..2\nsweep: {model: [small, large], precision: [fp32, bf16]}"

    plan = make_plan(place.sweep(text).cells, {}, batch=4, order=order)

    assert len(plan.groups) == 2
    assert plan.loads == plan.load_bound == 4


def test_grouped_changes_shape_and_steps_as_rarely_as_can_be(place):
    cells = cells_of(make_plan(place.sweep(MIXED).cells, {}, batch=4))

    assert changes([(cell.job.model, cell.job.canvas) for cell in cells]) == 4
    assert changes([(cell.job.model, cell.job.canvas, cell.job.sampling) for cell in cells]) == 8


def test_batches_are_full_where_jobs_can_go_together(place):
    plan = make_plan(place.sweep(MIXED).cells, {}, batch=4)

    assert [len(batch) for group in plan.groups for batch in group.batches] == [4, 2] * 8


def test_breadth_shows_one_take_of_everything_before_the_second_of_anything(place):
    sweep = place.sweep(MIXED)

    plan = make_plan(sweep.cells, {}, batch=4, order="breadth")

    for group in plan.groups:
        seeds = [cell.job.seed for batch in group.batches for cell in batch]
        assert seeds == sorted(seeds)
    assert plan.loads == 2


def test_breadth_counts_takes_not_seeds(place):
    sweep = place.sweep("prompts: [{prompt: a, seed: 99}, b]\nseeds: 5..6")

    first = cells_of(make_plan(sweep.cells, {}, batch=1, order="breadth"))

    assert [(cell.job.text.prompt, cell.job.seed) for cell in first] == [("a", 99), ("b", 5), ("b", 6)]


def test_two_cells_with_one_job_are_made_once_under_the_first_one_s_name(place):
    sweep = place.sweep("prompts: [{prompt: a, name: SH1}, {prompt: a, name: SH2}, a]")

    plan = make_plan(sweep.cells, {}, batch=4)

    assert plan.asked == plan.to_make == 1
    assert [cell.name for cell in cells_of(plan)] == ["SH1"]


def test_what_is_done_is_not_made_again_and_the_rest_has_a_reason(place):
    cells = place.sweep("prompts: [a, b, c, d]").cells
    a, b, c, d = (cell.job.id for cell in cells)
    known = {a: Reason.DONE, b: Reason.PICTURE_MISSING, c: Reason.PICTURE_MISSING, "e" * 64: Reason.DONE}

    plan = make_plan(cells, known | {"f" * 64: Reason.PICTURE_MISSING}, batch=4)

    assert plan.done == (a,)
    assert plan.reasons == {b: Reason.PICTURE_MISSING, c: Reason.PICTURE_MISSING, d: Reason.NEW}
    assert plan.stale == ("e" * 64,)
    assert (plan.asked, plan.to_make) == (4, 3)


def test_where_everything_is_done_nothing_is_loaded(place):
    cells = place.sweep("prompts: [a, b]").cells

    plan = make_plan(cells, {cell.job.id: Reason.DONE for cell in cells}, batch=4)

    assert plan.groups == ()
    assert (plan.loads, plan.load_bound, plan.to_make) == (0, 0, 0)


@given(st.data())
def test_any_part_that_is_done_leaves_the_order_of_the_rest(somewhere, data):
    cells = somewhere.sweep(MIXED).cells
    done = data.draw(st.sets(st.sampled_from([cell.job.id for cell in cells])))
    whole = [cell.job.id for cell in cells_of(make_plan(cells, {}, batch=4))]

    rest = make_plan(cells, dict.fromkeys(done, Reason.DONE), batch=4)

    assert [cell.job.id for cell in cells_of(rest)] == [each for each in whole if each not in done]
    assert [*rest.reasons] == [cell.job.id for cell in cells_of(rest)]
