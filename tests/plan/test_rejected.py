"""What a person rejected is neither there nor to make, and serves as a stage all the same."""

import pytest

from batchgen.plan.plan import Reason, make_plan

PASSES = "prompts: [a]\nsweep: {hires: [none, {strength: 0.3}, {strength: 0.6}]}"


def batches_of(plan):
    return [[cell.job.id for cell in batch] for group in plan.groups for batch in group.batches]


@pytest.mark.parametrize("order", ["grouped", "breadth"])
def test_what_is_rejected_is_not_made_and_the_rest_keeps_its_order(place, order):
    cells = place.sweep("prompts: [a, b]\nseeds: 0..2\nsweep: {steps: [4, 8]}").cells
    whole = [id_ for batch in batches_of(make_plan(cells, {}, batch=1, order=order)) for id_ in batch]
    rejected = {whole[1], whole[6], "f" * 64}

    plan = make_plan(cells, {whole[0]: Reason.DONE}, batch=1, order=order, rejected=rejected)

    assert batches_of(plan) == [[id_] for id_ in whole[1:] if id_ not in rejected]
    assert set(plan.rejected) == {whole[1], whole[6]}
    assert (plan.asked, plan.wanted, plan.to_make, plan.done) == (12, 10, 9, (whole[0],))


def test_a_rejected_picture_that_is_there_is_rejected_and_not_there(place):
    ids = [cell.job.id for cell in place.sweep("prompts: [a]\nseeds: 0..2").cells]

    plan = make_plan(
        place.sweep("prompts: [a]\nseeds: 1..2").cells, dict.fromkeys(ids, Reason.DONE), batch=1, rejected={*ids[:2]}
    )

    assert (plan.rejected, plan.done, plan.to_make) == ((ids[1],), (ids[2],), 0)
    assert plan.stale == (ids[0],)


def test_a_rejected_job_is_made_as_a_stage_while_something_needs_it(place):
    first, *second = (cell.job.id for cell in place.sweep(PASSES).cells)
    cells = place.sweep(PASSES).cells

    needed = make_plan(cells, {}, batch=1, rejected={first})
    assert {id_: str(reason) for id_, reason in needed.reasons.items()} == {
        first: "first stage",
        second[0]: "new",
        second[1]: "new",
    }
    assert batches_of(needed) == [[first], *([id_] for id_ in second)]
    assert (needed.rejected, needed.asked, needed.wanted) == ((first,), 3, 3)

    served = make_plan(cells, dict.fromkeys(second, Reason.DONE), batch=1, rejected={first})
    assert (served.to_make, served.rejected) == (0, (first,))

    neither = make_plan(cells, {}, batch=1, rejected={first, *second})
    assert (neither.to_make, neither.asked) == (0, 3)


def test_a_rejected_picture_that_is_there_serves_as_a_stage(place):
    first, *second = (cell.job.id for cell in place.sweep(PASSES).cells)

    plan = make_plan(place.sweep(PASSES).cells, {first: Reason.DONE}, batch=1, rejected={first})

    assert [*plan.reasons] == second
    assert plan.rejected == (first,)


def test_a_plan_that_is_cut_short_still_says_what_is_rejected(place):
    cells = place.sweep("prompts: [a]\nseeds: 0..4").cells

    plan = make_plan(cells, {}, batch=2, rejected={cells[0].job.id}).first(1)

    assert (plan.to_make, plan.rejected) == (1, (cells[0].job.id,))
