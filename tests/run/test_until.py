import time
from datetime import datetime, timedelta

import pytest

from batchgen.engine import Runtime
from batchgen.events import Ended, Started
from batchgen.run.runner import Work
from batchgen.run.until import coming, earliest, span

NOW = datetime(2026, 3, 1, 23, 15, 40)  # noqa: DTZ001 - on the clock of whoever runs this


@pytest.mark.parametrize("text", ["", "8", "h", "-8h", "8 h", "0h", "8h8h", "1m1h", "07:30", "1e3s", "nan"])
def test_what_is_no_length_of_time_is_refused_with_examples(text):
    with pytest.raises(ValueError, match="8h, 90min, 45s or 1h30m"):
        span(text)


def test_hours_may_have_a_fraction():
    assert span("1.5h") == timedelta(minutes=90)


@pytest.mark.parametrize(
    ("text", "day", "hour"), [("07:30", 2, 7), ("7:30", 2, 7), ("23:30", 1, 23), ("23:15", 2, 23), ("00:00", 2, 0)]
)
def test_a_time_of_day_is_the_next_one(text, day, hour):
    found = coming(text, NOW)

    assert (found.day, found.hour) == (day, hour)
    assert (found.minute, found.second) == (int(text[-2:]), 0)
    assert timedelta(0) < found - NOW <= timedelta(days=1)


@pytest.mark.parametrize("text", ["24:00", "7.30", "7:3", "730", "", "07:60", " 07:30"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="written 07:30"):
        coming(text, NOW)


def test_the_earlier_of_both_counts():
    assert earliest(NOW, lasting=None, at=None) is None
    assert earliest(NOW, lasting=timedelta(hours=1), at="07:30") == NOW.timestamp() + 3600
    assert earliest(NOW, lasting=timedelta(hours=20), at="07:30") == coming("07:30", NOW).timestamp()


def work(a, until):
    return Work(runtime=Runtime(engine="fake"), stem=a.stem, until=until)


def test_a_run_whose_time_is_over_begins_nothing(a, directory):
    outcome = a.go(directory, a.cells(4), work=work(a, time.time() - 1))

    assert outcome.error is None
    assert [type(event) for event in outcome.events] == [Started, Ended]
    assert (outcome.summary.made, outcome.summary.left) == (0, 4)
    assert not directory.worker_log.exists()


def test_at_its_time_a_run_finishes_the_batch_in_hand_and_leaves_without_an_error(a, directory, faults):
    """The second batch takes longer than the run may."""
    faults({"do": "sleep", "value": 3_000, "seed": 4})

    outcome = a.go(directory, a.cells(20), work=work(a, time.time() + 4))

    assert outcome.error is None
    assert outcome.summary.made < 20
    assert outcome.summary.made % 4 == 0
    assert outcome.summary.left == 20 - outcome.summary.made
    a.check(directory, a.cells(outcome.summary.made))


def test_a_run_that_is_done_before_its_time_is_just_done(a, directory):
    outcome = a.go(directory, a.cells(4), work=work(a, time.time() + 3600))

    assert (outcome.summary.made, outcome.summary.left) == (4, 0)
