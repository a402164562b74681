"""What a run leaves in its gallery while it is under way. The clock is ours; the process that writes is a real one."""

import json
import shutil
from pathlib import Path

import pytest

from batchgen.cli.following import BETWEEN, FIRST, Follower
from batchgen.events import Ended, Failed, Finished, Started
from batchgen.store.layout import RunDirectory


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Watched(Follower):
    """Counts the processes that it starts, and starts none."""

    def __init__(self, directory, clock):
        super().__init__(directory, clock=clock)
        self.begun = 0
        self.under_way = False

    def _begin(self):
        self.begun += 1
        self.under_way = True

    def _at_work(self):
        return self.under_way


@pytest.fixture
def directory(tmp_path):
    found = RunDirectory(tmp_path / "night")
    found.gallery.mkdir(parents=True)
    return found


def finished(seconds=2.0):
    return Finished(id="0" * 64, picture=Path("x.png"), seconds=seconds)


def live(directory):
    return json.loads((directory.gallery / "live.js").read_text().partition("(")[2].rpartition(");")[0])


def test_the_gallery_is_written_after_a_while_and_then_every_few_minutes(directory):
    clock = Clock()
    follower = Watched(directory, clock)
    listen = follower.beside(lambda _: None)
    begun = []

    listen(Started(directory=directory.root, asked=1000, done=0))
    for second in range(int(FIRST + 3 * BETWEEN)):
        clock.now = float(second)
        listen(finished())
        begun.append(follower.begun)
        follower.under_way = False

    assert begun[int(FIRST) - 1] == 0
    assert begun[int(FIRST)] == 1
    assert begun[-1] == 3


def test_no_second_process_begins_while_one_is_at_work(directory):
    clock = Clock()
    follower = Watched(directory, clock)
    listen = follower.beside(lambda _: None)

    listen(Started(directory=directory.root, asked=100, done=0))
    for hour in range(10):
        clock.now = hour * 3600.0
        listen(finished())

    assert follower.begun == 1


def test_a_page_that_is_open_hears_how_far_the_run_is(directory):
    clock = Clock()
    listen = Watched(directory, clock).beside(lambda _: None)

    listen(Started(directory=directory.root, asked=10, done=3))
    clock.now = 60.0
    listen(Failed(id="1" * 64, reason="out of memory"))
    clock.now = 120.0
    listen(finished(4.0))

    said = live(directory)
    assert said.pop("updated") > 1_700_000_000
    assert said == {
        "version": None,
        "running": True,
        "asked": 10,
        "made": 4,
        "failed": 1,
        "left": 5,
        "seconds_left": 20,
    }


def test_what_listens_hears_everything_also_where_the_page_cannot_be_written(directory):
    shutil.rmtree(directory.gallery)
    directory.gallery.write_text("a file in its place")
    heard = []
    listen = Watched(directory, Clock()).beside(heard.append)
    events = [Started(directory=directory.root, asked=2, done=0), finished(), finished()]
    events.append(Ended(made=2, failed=0, left=0, seconds=1.0))

    for event in events:
        listen(event)

    assert heard == events


def test_a_run_with_nothing_to_do_writes_nothing(directory):
    follower = Watched(directory, Clock())
    listen = follower.beside(lambda _: None)

    listen(Started(directory=directory.root, asked=2, done=2))
    listen(Ended(made=0, failed=0, left=0, seconds=0.1))

    assert follower.begun == 0
    assert not list(directory.gallery.iterdir())
