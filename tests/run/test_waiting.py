"""Batches that may not begin yet, as when a GPU is too hot."""

import signal

import pytest

from batchgen.engine import Runtime
from batchgen.events import Finished, Paused, Stepped
from batchgen.run.patience import Patience
from batchgen.run.runner import Work

HOT = "GPU at 86 degrees, limit 80"


class Gate:
    """Holds everything back as often as it is told to, from the `after`-th question on."""

    def __init__(self, times, after=0):
        self._answers = [None] * after + [HOT] * times

    def __call__(self):
        return self._answers.pop(0) if self._answers else None


def go(a, directory, asked, gate, **others):
    return a.go(directory, asked, work=Work(runtime=Runtime(engine="fake"), stem=a.stem, may_begin=gate, **others))


def test_nothing_begins_while_there_is_a_reason_and_all_is_made_afterwards(a, directory):
    outcome = go(a, directory, a.cells(8), Gate(3))

    a.check(directory, a.cells(8))
    assert [event.reason for event in outcome.of(Paused)] == [HOT] * 3
    first = next(place for place, event in enumerate(outcome.events) if isinstance(event, Stepped))
    assert not [event for event in outcome.events[first:] if isinstance(event, Paused)]


def test_what_is_in_the_worker_is_finished_and_the_next_waits(a, directory):
    outcome = go(a, directory, a.cells(12), Gate(50, after=1))

    a.check(directory, a.cells(12))
    kinds = [type(event) for event in outcome.events]
    # The first question lets two batches begin: one in hand and one that waits in the worker.
    assert kinds[: len(kinds) - kinds[::-1].index(Paused)].count(Finished) == 8


def test_a_worker_that_has_nothing_to_do_is_not_blamed_for_silence(a, directory):
    """Its patience is over at once; what it waits for takes three looks, each a second long."""
    outcome = go(a, directory, a.cells(2), Gate(4), patience=Patience(quiet=0.5, grace=0.5))

    assert len(outcome.loads) == 1
    a.check(directory, a.cells(2))


def test_a_run_that_waits_hears_that_it_is_to_stop(a, directory):
    events = []

    def listen(event):
        events.append(event)
        if isinstance(event, Paused):
            signal.raise_signal(signal.SIGINT)

    outcome = a.go(
        directory,
        a.cells(2),
        work=Work(runtime=Runtime(engine="fake"), stem=a.stem, may_begin=lambda: HOT),
        listen=listen,
    )

    assert (outcome.summary.left, outcome.summary.interrupted) == (2, True)
    assert len([event for event in events if isinstance(event, Paused)]) == 1


@pytest.mark.parametrize("asked", [0, 3])
def test_nobody_is_asked_where_nothing_waits(a, directory, asked):
    a.go(directory, a.cells(asked))

    def never():
        raise AssertionError

    assert go(a, directory, a.cells(asked), never).error is None
