import json
from datetime import UTC, datetime

import pytest

from batchgen.errors import Interrupted, TryLater
from batchgen.events import Ended, Failed, Started
from batchgen.run.account import Account, Failure
from batchgen.store.held import hold

STARTED = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)


def account(heard=None, later=0):
    heard = [] if heard is None else heard
    return Account(started=STARTED, name_of=lambda id_: f"heron_{id_}", show=heard.append, later=later)


def ending(found, directory, error):
    """A run in `directory` that an error ends."""
    with hold(directory), found.kept(directory):
        told(found, directory)
        raise error


def told(found, directory, *, failed=1, left=2, interrupted=False):
    found(Started(directory=directory.root, asked=10, done=4))
    for number in range(failed):
        found(Failed(id=f"job{number}", reason="it hung"))
    found(Ended(made=6 - failed - left, failed=failed, left=left, seconds=12.34, interrupted=interrupted))


def summary(directory):
    return json.loads(directory.summary.read_text(encoding="utf-8"))


def test_the_summary_says_what_was_made_what_failed_and_why_and_what_is_left(directory):
    found = account()

    with hold(directory), found.kept(directory):
        told(found, directory)
        found.sheets = [directory.sheets / "heron.png"]
        found.gallery = directory.gallery / "index.html"
        found.findings = ["euler is nearest"]
        found.joined = {"f0": directory.joined / "heron.mp4"}

    assert summary(directory) == {
        "ended": "stopped at its time",
        "started": "2026-11-21T23:00:00+00:00",
        "seconds": 12.3,
        "asked": 10,
        "there_before": 4,
        "made": 3,
        "failed": [{"id": "job0", "name": "heron_job0", "reason": "it hung"}],
        "left": 2,
        "pictures": "pictures",
        "sheets": ["sheets/heron.png"],
        "gallery": "gallery/index.html",
        "findings": ["euler is nearest"],
        "joined": ["joined/heron.mp4"],
    }
    assert not list(directory.tmp.iterdir())


@pytest.mark.parametrize(("failed", "ended"), [(0, "complete"), (1, "some are missing")])
def test_it_says_whether_all_is_there(directory, failed, ended):
    found = account()

    with hold(directory), found.kept(directory):
        told(found, directory, failed=failed, left=0)

    assert summary(directory)["ended"] == ended


def test_what_was_rejected_is_counted_and_none_of_what_is_missing(directory):
    found = account()

    with hold(directory), found.kept(directory):
        found(Started(directory=directory.root, asked=10, done=4, rejected=3))
        found(Ended(made=6, failed=0, left=0, seconds=1.0))

    assert {"asked": 13, "there_before": 4, "made": 6, "left": 0, "rejected": 3}.items() <= summary(directory).items()
    assert summary(directory)["ended"] == "complete"


def test_a_run_that_was_interrupted_has_one_too(directory):
    with hold(directory), (found := account()).kept(directory):
        told(found, directory, interrupted=True)

    assert summary(directory)["ended"] == "interrupted"
    assert summary(directory)["made"] == 3


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (Interrupted("stopped at once"), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (TryLater("no room", where="/disk"), "/disk: no room"),
        (ZeroDivisionError("oh"), "ZeroDivisionError('oh')"),
    ],
    ids=repr,
)
def test_whatever_ends_a_run_it_has_one(directory, error, ended):
    with pytest.raises(type(error)):
        ending(account(), directory, error)

    assert summary(directory)["ended"] == ended
    assert summary(directory)["left"] == 2


def test_pictures_beyond_those_of_this_run_are_left(directory):
    with hold(directory), (found := account(later=5)).kept(directory):
        told(found, directory, failed=0, left=0)

    assert {"asked": 15, "made": 6, "left": 5, "ended": "some are missing"}.items() <= summary(directory).items()


def test_where_it_cannot_be_written_the_first_trouble_is_told_of(directory):
    directory.summary.mkdir(parents=True)

    with pytest.raises(Interrupted, match="the first"):
        ending(account(), directory, Interrupted("the first"))


def test_every_event_is_passed_on(directory):
    heard = []
    found = account(heard)

    told(found, directory)

    assert [type(event).__name__ for event in heard] == ["Started", "Failed", "Ended"]
    assert found.failures == [Failure(id="job0", name="heron_job0", reason="it hung")]
