"""Runs that make clips, and what may go wrong with the program that encodes them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from batchgen.engine import Runtime
from batchgen.errors import TryLater
from batchgen.fake import picture_of, read_id
from batchgen.run.runner import Work
from batchgen.store import clips
from batchgen.store.clips import Keeping
from batchgen.store.history import history
from batchgen.store.journal import read
from batchgen.store.media import look_at, record_in, validate
from batchgen.store.verify import verify

CHILD = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("builders", sys.argv[1])
builders = importlib.util.module_from_spec(spec)
spec.loader.exec_module(builders)
directory = builders.RunDirectory(Path(sys.argv[2]))
builders.go(directory, builders.cells(int(sys.argv[3]), frames=9), listen=builders.tell)
"""


@pytest.fixture
def work(a):
    def how(**keeping):
        return Work(runtime=Runtime(engine="fake"), stem=a.stem, clips=Keeping(**keeping))

    return how


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    """Let workers find a shell script in the place of ffmpeg; `$REAL` in it is the real one."""
    real = get_ffmpeg_exe()

    def put(text):
        path = tmp_path / "ffmpeg"
        path.write_text(f'#!/bin/sh\nREAL="{real}"\n{text}\nexec "$REAL" "$@"\n')
        path.chmod(0o755)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))

    yield put
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)


def check(directory, asked):
    """Assert that exactly the clips that are asked for are there, whole and told of once, and nothing else is."""
    past = history(directory)
    assert past.done.keys() == {each.job.id for each in asked}
    assert {path.name for path in directory.clips.iterdir()} == {done.picture.name for done in past.done.values()}
    for job_id, done in past.done.items():
        assert validate(done.picture)[0]["id"] == job_id
        assert len(list(clips.frames(done.picture))) == 9
    assert not list(directory.tmp.iterdir())
    directory.plan.write_text("{}")
    assert verify(directory).findings == ()


@pytest.mark.parametrize("container", ["mp4", "webm", "gif", "webp", "frames"])
def test_every_clip_asked_for_is_there_and_is_the_right_one(a, directory, work, container):
    asked = a.cells(4, frames=9)

    outcome = a.go(directory, asked, batch=2, work=work(container=container))

    assert (outcome.summary.made, outcome.summary.failed) == (4, 0)
    check(directory, asked)
    for each in asked:
        done = history(directory).done[each.job.id]
        assert look_at(done.picture).pixel_sha256 == done.pixel_sha256
        assert done.pixel_sha256 == clips.pixel_sha256(picture_of(each.job), clips.Film.of(picture_of(each.job), 8.0))
        assert directory.poster(each.job.id).is_file()
        if container == "frames":
            first, last = list(clips.frames(done.picture))[:: len(list(clips.frames(done.picture))) - 1]
            assert read_id(picture_of(each.job)) == first.tobytes()[:32].hex() == last.tobytes()[-32:].hex()


def test_pictures_and_clips_are_made_by_one_run(a, directory):
    asked = [*a.cells(2), *a.cells(2, frames=9)]

    assert a.go(directory, asked).summary.made == 4

    assert len(list(directory.clips.iterdir())) == len(list(directory.pictures.iterdir())) == 2


def test_clips_that_are_there_are_not_made_again_however_they_are_to_be_kept_now(a, directory, work):
    asked = a.cells(2, frames=9)
    a.go(directory, asked, work=work(container="webp"))

    outcome = a.go(directory, [*asked, a.cell(7, frames=9)], work=work(container="gif"))

    assert outcome.summary.made == 1
    assert sorted(path.suffix for path in directory.clips.iterdir()) == [".gif", ".webp", ".webp"]


def test_a_clip_without_frames_is_a_failure_of_that_job(a, directory, faults):
    faults({"do": "no_frames", "seed": 1})
    asked = a.cells(3, frames=9)

    outcome = a.go(directory, asked, batch=1)

    assert outcome.failed.keys() == {asked[1].job.id}
    assert "the engine returned a clip of ((0, 48, 64, 3), 'uint8')" in outcome.failed[asked[1].job.id]
    check(directory, [asked[0], asked[2]])


def test_an_odd_size_is_a_failure_of_that_job_and_names_the_nearest_even_ones(a, directory):
    odd, even = a.cell(0, frames=9, width=65), a.cell(1, frames=9)

    outcome = a.go(directory, [odd, even], batch=1)

    assert "take 64x48 or 66x48, or output.clips=webm" in outcome.failed[odd.job.id]
    check(directory, [even])


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('case "$*" in *80x48*) head -c 20000 > /dev/null; kill -9 $$; esac', "ffmpeg was ended by SIGKILL"),
        ('case "$*" in *80x48*) echo "it broke" >&2; exit 9; esac', "ffmpeg ended with exit status 9: it broke"),
        ('case "$*" in *80x48*) head -c 30000 | "$REAL" "$@"; exit; esac', "whole frames instead of 9"),
        ('case "$*" in *80x48*) cat > /dev/null; exit 0; esac', "No such file"),
    ],
)
def test_an_encoder_that_fails_costs_that_clip_alone(a, directory, encoder, script, said):
    encoder(script)
    asked = [a.cell(0, frames=9), a.cell(1, frames=9, width=80), a.cell(2, frames=9)]

    outcome = a.go(directory, asked, batch=1)

    assert list(outcome.failed) == [asked[1].job.id]
    assert said in outcome.failed[asked[1].job.id]
    check(directory, [asked[0], asked[2]])


def test_without_ffmpeg_clips_fail_one_by_one_and_pictures_are_made(a, directory, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    asked = [*a.cells(2), *a.cells(2, frames=9)]

    outcome = a.go(directory, asked)

    assert outcome.summary.made == 2
    assert set(outcome.failed) == {each.job.id for each in asked[2:]}
    assert all("/nowhere/ffmpeg: ffmpeg cannot be started" in reason for reason in outcome.failed.values())
    assert not directory.clips.exists()


def test_without_room_the_run_ends_and_goes_on_later(a, directory, encoder):
    """ffmpeg alone has no room here, and says so as it does on a full disk."""
    encoder("ulimit -f 4")
    asked = a.cells(2, frames=9, width=256, height=256)
    outcome = a.go(directory, asked)
    assert isinstance(outcome.error, TryLater)
    assert "no room" in str(outcome.error)
    assert not directory.clips.exists()

    encoder("")
    a.go(directory, asked)

    check(directory, asked)


def started(directory, count):
    words = [sys.executable, "-c", CHILD, str(Path(__file__).with_name("conftest.py")), str(directory.root), str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("whom", ["run", "worker"])
def test_a_death_while_a_clip_is_encoded_leaves_no_half_clip(a, directory, encoder, tmp_path, whom):
    held = f'case "$*" in *-crf*) mkdir "{tmp_path}/began" 2>/dev/null && head -c 20000 >/dev/null && sleep 600; esac'
    encoder(held)
    child = started(directory, 3)
    wait_until((tmp_path / "began").exists)
    wait_until(lambda: (children(child.pid) or [0])[0] and children(children(child.pid)[0]))
    worker = children(child.pid)[0]
    encoding = children(worker)

    os.kill(child.pid if whom == "run" else worker, signal.SIGKILL)
    child.communicate(timeout=120)

    assert child.returncode == (-signal.SIGKILL if whom == "run" else 0)
    for clip in directory.clips.iterdir() if directory.clips.exists() else ():
        validate(clip)
    end(*(each for pid in encoding for each in children(pid)))  # the sleep, and nothing else: what encodes ends itself
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in encoding))
    outcome = wait_for_lock(a, directory, 3)
    assert outcome.error is None
    check(directory, a.cells(3, frames=9))
    assert not list(directory.quarantine.iterdir())


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_run_killed_between_its_clips_loses_none_that_it_acknowledged(a, directory, number):
    child = started(directory, 6)
    said = [child.stdout.readline().strip() for _ in range(number)]
    child.kill()
    said += child.communicate()[0].split()
    before = {id_: done.file_sha256 for id_, done in history(directory).done.items()}
    assert before.keys() >= set(said)
    for clip in directory.clips.iterdir():
        record_in(clip)

    wait_for_lock(a, directory, 6)

    check(directory, a.cells(6, frames=9))
    assert {id_: done.file_sha256 for id_, done in history(directory).done.items()}.items() >= before.items()
    done = [entry["id"] for entry in read(directory.journal).entries if entry["event"] == "done"]
    assert len(done) == len(set(done)) == 6


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(each) for each in task.read_text().split()]
        except OSError:
            continue
    return found


def end(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def wait_for_lock(a, directory, count):
    for _ in range(600):
        try:
            return a.go(directory, a.cells(count, frames=9))
        except TryLater:
            time.sleep(0.05)
    raise AssertionError("the lock is still held")


def wait_until(true):
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it did not come true in half a minute")
