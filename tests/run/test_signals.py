import os
import signal

import pytest

from batchgen.errors import Interrupted
from batchgen.events import Ended
from batchgen.run.signals import Signals
from batchgen.store.history import history

TO_STOP = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def interrupting(events, number, times=1, at="Stepped"):
    """A listener that sends this process a signal at the first event of a kind."""

    def listen(event):
        events.append(event)
        if [type(each).__name__ for each in events].count(at) == 1 and type(event).__name__ == at:
            for _ in range(times):
                os.kill(os.getpid(), number)

    return listen


@pytest.mark.parametrize("number", TO_STOP, ids=lambda number: number.name)
def test_the_first_signal_finishes_the_batch_in_hand_and_leaves(a, directory, faults, number):
    faults({"do": "sleep", "value": 30})
    events = []

    outcome = a.go(directory, a.cells(20), batch=4, listen=interrupting(events, number))

    assert outcome.error is None
    assert (outcome.summary.made, outcome.summary.left, outcome.summary.interrupted) == (4, 16, True)
    assert isinstance(events[-1], Ended)
    assert (events[-1].made, events[-1].left, events[-1].interrupted) == (4, 16, True)
    a.check(directory, a.cells(4))


def test_the_same_command_goes_on_afterwards(a, directory, faults):
    faults({"do": "sleep", "value": 30})
    a.go(directory, a.cells(12), batch=4, listen=interrupting([], signal.SIGINT))
    faults()

    outcome = a.go(directory, a.cells(12), batch=4)

    assert len(outcome.made) == 8
    a.check(directory, a.cells(12))


def test_the_second_signal_leaves_at_once(a, directory, faults):
    """Half a minute a step: only a worker that is killed lets this test end."""
    faults({"do": "sleep", "value": 30_000, "seed": 5})
    events = []

    outcome = a.go(directory, a.cells(8), batch=4, listen=interrupting(events, signal.SIGINT, times=2, at="Finished"))

    assert isinstance(outcome.error, Interrupted)
    assert events[-1].left == 8 - events[-1].made
    assert history(directory).done.keys() == {each.id for each in events if type(each).__name__ == "Finished"}


def test_a_signal_between_models_opens_no_other(a, directory):
    asked = a.cells(2, "one") + a.cells(2, "two")
    events = []

    outcome = a.go(directory, asked, listen=interrupting(events, signal.SIGINT))

    assert outcome.summary.interrupted
    assert [event.model for event in events if type(event).__name__ == "Loading"] == ["one"]
    a.check(directory, asked[:2])


def test_a_run_that_is_done_anyway_heard_the_signal_and_was_not_interrupted(a, directory):
    events = []

    outcome = a.go(directory, a.cells(4), batch=4, listen=interrupting(events, signal.SIGINT))

    assert outcome.error is None
    assert (outcome.summary.made, outcome.summary.interrupted) == (4, True)
    assert not events[-1].interrupted


def test_the_command_line_gets_its_own_signals_back(a, directory):
    before = [signal.getsignal(number) for number in TO_STOP]

    a.go(directory, a.cells(1))

    assert [signal.getsignal(number) for number in TO_STOP] == before


def test_a_signal_that_is_ignored_stays_ignored():
    """As `nohup` asks for."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.count == 0
    finally:
        signal.signal(signal.SIGHUP, before)
