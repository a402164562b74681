"""Kills in every phase of the commit. The run is a process of its own and kills itself exactly there."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest

from batchgen.engine import Runtime
from batchgen.errors import TryLater
from batchgen.fake import read_id
from batchgen.run.messages import Open, Render, SetUp, encode
from batchgen.run.process import Process
from batchgen.store.held import hold
from batchgen.store.history import history
from batchgen.store.images import open_picture
from batchgen.store.journal import read
from batchgen.store.lock import at_work, read_holder
from batchgen.store.record import Asked

STEPS = ["place", "record", "folder", "line", "sync"]
PLACES = [f"{when} {step}" for step in STEPS for when in ("before", "after")]


def hashes(directory):
    found = history(directory).done.values()
    return {done.id: hashlib.sha256(done.picture.read_bytes()).hexdigest() for done in found if not done.missing}


@pytest.mark.parametrize(
    ("place", "group"),
    [*((place, 1) for place in PLACES), *((place, 2) for place in PLACES if place.split()[1] in ("place", "line"))],
)
def test_a_run_killed_anywhere_loses_nothing_it_acknowledged(a, directory, faults, place, group):
    faults({"do": "sleep", "value": 300, "seed": 11})  # so that not everything arrives together
    child = a.start(directory, 12, place, str(group))
    acknowledged = child.communicate(timeout=60)[0].split()
    faults()
    assert (len(acknowledged) > 0) == (group > 1)
    assert child.returncode == -signal.SIGKILL
    for path in directory.pictures.iterdir():  # whatever is to be seen is whole
        assert read_id(open_picture(path).pixels)
    before = hashes(directory)
    assert before.keys() >= set(acknowledged)

    outcome = wait_for_lock(a, directory)

    assert outcome.summary.failed == 0
    a.check(directory, a.cells(12))
    assert hashes(directory).items() >= before.items()
    done = [entry["id"] for entry in read(directory.journal).entries if entry["event"] == "done"]
    assert len(done) == len(set(done)) == 12
    assert not list(directory.quarantine.iterdir())


def wait_for_lock(a, directory):
    """Run again; the worker of the killed run may need a moment to see that it is alone."""
    for _ in range(200):
        try:
            return a.go(directory, a.cells(12))
        except TryLater:
            subprocess.run(["sleep", "0.05"], check=True)
    raise AssertionError("the lock is still held")


@pytest.mark.parametrize("number", range(1, 9))
def test_a_worker_killed_while_pictures_are_written_loses_none(a, directory, number):
    """From outside, at the n-th picture: some are rendered, some in `tmp/`, some published."""
    killed = []

    def listen(event):
        if type(event).__name__ == "Finished":
            killed.append(event.id)
            if len(killed) == number:
                os.kill(read_holder(directory.lock).worker, signal.SIGKILL)

    a.go(directory, a.cells(20), batch=2, listen=listen)

    a.check(directory, a.cells(20))
    assert len(killed) == len(set(killed)) == 20


def test_a_worker_whose_run_was_killed_ends_by_itself_and_frees_the_directory(a, directory, faults):
    """It would sleep for minutes otherwise."""
    faults({"do": "sleep", "value": 60_000})
    child = a.start(directory, 12)
    while (holder := read_holder(directory.lock)) is None or not holder.worker:
        assert child.poll() is None

    child.kill()
    child.communicate()

    faults()
    wait_for_lock(a, directory)
    a.check(directory, a.cells(12))


def test_a_directory_stays_held_while_a_worker_lives_whose_run_is_gone(directory):
    stubborn = (sys.executable, "-c", "import sys; sys.stdin.read()")
    with hold(directory) as held:
        process = Process(held.lock.file, directory.worker_log, stubborn)

    with pytest.raises(TryLater, match="held by"), hold(directory):
        pass

    process.kill()
    with hold(directory):
        pass


def test_a_worker_ignores_the_interrupt_and_ends_when_nobody_listens(a, tmp_path):
    replies, theirs = os.pipe()
    words = [sys.executable, "-m", "batchgen.run.worker", str(theirs)]
    worker = subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=[theirs])
    os.close(theirs)
    setup = SetUp(runtime=Runtime(engine="fake"), tmp=tmp_path, compression=1, manifest=None)
    render = Render(number=1, asked=(Asked(job=a.cell().job),), attempt=1, degradations=())
    worker.stdin.write(encode(setup) + encode(Open(model=a.model())))
    worker.stdin.flush()
    assert b"Opened" in os.read(replies, 1 << 16)

    worker.send_signal(signal.SIGINT)
    worker.stdin.write(encode(render))
    worker.stdin.flush()

    said = b""
    while b"Made" not in said:
        said += os.read(replies, 1 << 16)
    worker.stdin.close()
    assert worker.wait(timeout=20) == 3
    os.close(replies)
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_a_worker_stuck_in_native_code_ends_with_its_run(a, directory, faults, tmp_path):
    faults({"do": "hang_native", "value": 1, "times": 1})
    child = a.start(directory, 1)
    wait_until((tmp_path / "faults" / "fault-0").exists)

    child.kill()
    child.communicate()

    wait_until(lambda: at_work(directory.lock) is None)


def wait_until(true):
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it did not come true in half a minute")
