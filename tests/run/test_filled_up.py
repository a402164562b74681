"""Batches that are filled up with copies, so that a picture is made again in a batch of the size it was made in."""

from dataclasses import replace

import pytest

from batchgen.engine import Runtime
from batchgen.events import Finished
from batchgen.plan.plan import make_plan
from batchgen.run import messages
from batchgen.run.retries import Queue
from batchgen.run.runner import Work, run
from batchgen.store.held import hold
from batchgen.store.record import Asked


def go(a, directory, asked, *, batch, size):
    events = []
    with hold(directory) as held:
        plan = make_plan(asked, held.known, batch=batch)
        plan = replace(plan, groups=tuple(replace(group, size=size) for group in plan.groups))
        summary = run(plan, held, Work(runtime=Runtime(engine="fake"), stem=a.stem), events.append)
    return summary, [event.id for event in events if isinstance(event, Finished)]


def test_the_size_arrives_at_the_worker(a):
    asked = (Asked(job=a.cell().job),)
    message = messages.Render(number=1, asked=asked, attempt=1, degradations=(), size=4)

    assert messages.decode(messages.encode(message)).size == 4


def test_copies_are_rendered_and_thrown_away_and_the_records_say_how_many_went_through_together(a, directory):
    asked = a.cells(5)

    summary, finished = go(a, directory, asked, batch=4, size=4)

    assert (summary.made, len(finished)) == (5, 5)
    a.check(directory, asked)
    executions = {record["recipe"]["seed"]: record["execution"] for record in a.records(directory)}
    assert {each["batch_size"] for each in executions.values()} == {4}
    assert executions[4]["batch_ids"] == [asked[4].job.id] * 4


def test_the_engine_sees_the_copies(a, directory, faults):
    faults({"do": "out_of_memory", "value": 2})

    summary, _ = go(a, directory, a.cells(1), batch=1, size=3)

    assert (summary.made, summary.failed) == (0, 1)


def test_a_batch_that_does_not_fit_is_filled_up_no_further_than_what_fits(a, directory, faults):
    faults({"do": "out_of_memory", "value": 2})
    asked = a.cells(4)

    summary, _ = go(a, directory, asked, batch=4, size=4)

    assert summary.made == 4
    a.check(directory, asked)
    assert {record["execution"]["batch_size"] for record in a.records(directory)} == {2}


@pytest.mark.parametrize("fault", [{"do": "error", "seed": 1, "times": 1}, {"do": "signal", "value": 9, "times": 1}])
def test_a_batch_that_failed_is_filled_up_again_as_it_was(a, directory, faults, fault):
    faults(fault)
    asked = a.cells(2)

    summary, _ = go(a, directory, asked, batch=2, size=3)

    assert summary.made == 2
    a.check(directory, asked)
    assert {record["execution"]["batch_size"] for record in a.records(directory)} == {3}


def test_without_a_size_nothing_is_filled_up(a):
    cells = a.cells(3)

    assert Queue([tuple(cells)]).next().size == 0
    assert Queue([tuple(cells)], 4).next().size == 4
