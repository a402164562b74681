"""Runs of clips that begin with a frame of another one, on the fake engine: what they begin with, kills, and damage."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from batchgen.engine import Runtime
from batchgen.events import Failed, Finished
from batchgen.fake import picture_of
from batchgen.job import UPSCALER, Model, Stage
from batchgen.parts import Canvas
from batchgen.plan.expand import Cell, Coordinates
from batchgen.plan.making import upscaling
from batchgen.run import messages
from batchgen.run.runner import Work
from batchgen.store import clips, media
from batchgen.store.clips import Keeping
from batchgen.store.film import Film
from batchgen.store.history import history
from batchgen.store.journal import read
from batchgen.store.record import Asked
from batchgen.store.verify import verify

SHARP = Model(digest="cd" * 32, family=UPSCALER, name="sharp", path="/models/sharp.pth")

CHILD = """
import importlib.util, os, sys
from pathlib import Path
def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found
builders, chains = load("builders", sys.argv[1]), load("chains", sys.argv[2])
left = [int(sys.argv[4])]
def listen(event):
    if isinstance(event, builders.Finished):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), 9)
builders.go(builders.RunDirectory(Path(sys.argv[3])), chains.chain(builders, 3), batch=1, listen=listen)
"""


def chain(a, count, seed=0, **fields):
    """Clips, each of which begins with the last frame of the one before."""
    found = [a.cell(seed, frames=9, **fields)]
    while len(found) < count:
        begin = Stage(job=found[-1].job, frame=9)
        found.append(a.cell(seed + len(found), frames=9, init_image=begin, **fields))
    return found


def upscaled(cell):
    job = upscaling(Stage(job=cell.job), SHARP, Canvas(width=128, height=96))
    return Cell(coordinates=Coordinates((), ()), job=job, name=None, note=None)


def work(a, container="webp", **others):
    return Work(runtime=Runtime(engine="fake"), stem=a.stem, clips=Keeping(container=container), **others)


def hashes_as_rendered(cells):
    """What the frames of a chain must be by their hash: each begins with the last frame of the one before."""
    found, last = {}, None
    for cell in cells:
        frames = picture_of(cell.job)
        if last is not None:
            frames[0] = last
            frames.reshape(-1)[:32] = np.frombuffer(bytes.fromhex(cell.job.id), np.uint8)
        found[cell.job.id] = clips.pixel_sha256(frames, Film.of(frames, 8.0))
        last = frames[-1]
    return found


def check(directory, asked):
    """Assert that exactly these are there, with the frames that they must have, and that nothing else is kept."""
    done = history(directory).done
    assert {id_: each.pixel_sha256 for id_, each in done.items()} == hashes_as_rendered(asked)
    for id_, each in done.items():
        assert media.validate(each.picture)[0]["id"] == id_
    assert not list(directory.frames.iterdir())
    assert not list(directory.tmp.iterdir())
    directory.plan.write_text("{}")
    assert verify(directory).findings == ()


@pytest.mark.parametrize("container", ["mp4", "gif", "frames"])
def test_a_clip_begins_with_the_frame_as_it_was_rendered_however_clips_are_kept(a, directory, container):
    asked = chain(a, 3)

    outcome = a.go(directory, asked, work=work(a, container))

    assert outcome.made == [cell.job.id for cell in asked]
    check(directory, asked)
    assert media.record_in(history(directory).done[asked[2].job.id].picture)["execution"]["stage_batch_sizes"] == {
        cell.job.id: 1 for cell in asked[:2]
    }


def test_frames_are_kept_until_the_last_clip_that_begins_with_them_is_there(a, directory):
    first, second = chain(a, 2)
    other = a.cell(7, frames=9, init_image=Stage(job=first.job, frame=1))
    kept = []

    def listen(event):
        if isinstance(event, Finished):
            kept.append(sorted(path.stem for path in directory.frames.iterdir()))

    a.go(directory, [first, second, other], batch=1, work=work(a), listen=listen)

    assert kept == [[first.job.id], [first.job.id], []]


def test_frames_of_what_is_to_be_joined_stay(a, directory):
    asked = chain(a, 2)
    ids = {cell.job.id for cell in asked}

    a.go(directory, asked, work=work(a, joined=frozenset(ids)))

    assert {path.stem for path in directory.frames.iterdir()} == ids


def test_a_clip_with_which_nothing_begins_is_kept_once(a, directory):
    a.go(directory, [a.cell(0, frames=9)], work=work(a))
    assert not list(directory.frames.iterdir())


@pytest.mark.parametrize("finished", [1, 2])
def test_a_run_killed_between_two_clips_goes_on_and_makes_none_of_them_twice(a, directory, finished):
    asked = chain(a, 3)
    here = __file__
    words = [sys.executable, "-c", CHILD, a.cell.__code__.co_filename, here, str(directory.root), str(finished)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL

    again = a.go(directory, asked, batch=1)

    assert again.made == [cell.job.id for cell in asked[finished:]]
    check(directory, asked)


def test_a_worker_killed_in_the_second_clip_goes_on_with_it(a, directory, faults):
    asked = chain(a, 3)
    faults({"do": "signal", "seed": 1, "value": 9, "times": 1})

    outcome = a.go(directory, asked, batch=1, work=work(a))

    assert outcome.made == [cell.job.id for cell in asked]
    check(directory, asked)


def test_a_clip_asked_for_later_has_the_one_before_rendered_again_and_its_file_stays(a, directory):
    first, second, third = chain(a, 3)
    a.go(directory, [first, second], work=work(a))
    before = {path: path.read_bytes() for path in directory.clips.iterdir()}

    outcome = a.go(directory, [first, second, third], work=work(a, "gif"))

    assert outcome.made == [cell.job.id for cell in (first, second, third)]
    assert {path: path.read_bytes() for path in before} == before
    assert sum(entry["event"] == "done" for entry in read(directory.journal).entries) == 3
    check(directory, [first, second, third])


def test_nothing_is_rendered_again_where_clips_are_kept_without_loss(a, directory):
    asked = chain(a, 3)
    a.go(directory, asked[:2], work=work(a, "frames"))

    assert a.go(directory, asked, work=work(a, "frames")).made == [asked[2].job.id]

    check(directory, asked)


def test_nothing_goes_on_from_a_clip_that_is_rendered_otherwise_by_now(a, directory, faults):
    first, second = chain(a, 2)
    faults({"do": "single_colour", "seed": 0, "times": 1})
    a.go(directory, [first], work=work(a))
    (clip,) = directory.clips.iterdir()
    before = clip.read_bytes()

    outcome = a.go(directory, [first, second], work=work(a))

    assert "is rendered with other frames now than it was" in outcome.failed[first.job.id]
    assert str(clip) in outcome.failed[first.job.id]
    assert outcome.failed[second.job.id] == "the picture that it begins with was not made"
    assert clip.read_bytes() == before
    clip.unlink()
    assert not a.go(directory, [first, second], work=work(a)).failed
    check(directory, [first, second])


def torn(path, _):
    path.write_bytes(path.read_bytes()[:-100])


def altered(path, _):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def of_another(path, other):
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("damage", [torn, altered, of_another])
def test_damaged_frames_are_refused_in_a_line_removed_and_made_again(a, directory, faults, damage):
    asked, beside = chain(a, 2), chain(a, 2, seed=5)
    faults({"do": "error", "seed": 1}, {"do": "error", "seed": 6})
    a.go(directory, [*asked, *beside], batch=1, work=work(a))
    faults()
    damage(directory.frames_of(asked[0].job.id), directory.frames_of(beside[0].job.id))

    refused = a.go(directory, asked, batch=1, work=work(a))

    assert list(refused.failed) == [asked[1].job.id]
    (reason,) = refused.failed.values()
    assert reason.startswith("the frames of the clip that it begins with are damaged; another run makes them again")
    assert len(refused.of(Failed)) == 1
    mended = a.go(directory, [*asked, *beside], batch=1, work=work(a))
    assert asked[0].job.id in mended.made
    assert not mended.failed
    done = {id_: each.pixel_sha256 for id_, each in history(directory).done.items()}
    assert done == hashes_as_rendered(asked) | hashes_as_rendered(beside)


def test_one_damaged_beginning_costs_no_other_clip_of_the_batch(a, directory, faults):
    firsts = a.cells(2, frames=9)
    seconds = [a.cell(5, frames=9, init_image=Stage(job=first.job, frame=9)) for first in firsts]
    faults({"do": "error", "seed": 5})
    a.go(directory, [*firsts, *seconds], work=work(a))
    faults()
    torn(directory.frames_of(firsts[0].job.id), None)

    outcome = a.go(directory, [*firsts, *seconds], work=work(a))

    assert (list(outcome.failed), outcome.made) == ([seconds[0].job.id], [seconds[1].job.id])


def test_a_clip_is_made_larger_frame_by_frame_and_what_it_was_before_is_kept_too(a, directory):
    first, second = chain(a, 2)
    larger = [upscaled(cell) for cell in (first, second)]

    outcome = a.go(directory, [first, second, *larger], work=work(a))

    assert len(outcome.made) == 4
    for cell in larger:
        record = media.record_in(history(directory).done[cell.job.id].picture)
        output = record["output"]
        assert (output["frames"], output["width"], output["height"], output["fps"]) == (9, 128, 96, 8.0)
    assert not list(directory.frames.iterdir())


def test_a_picture_may_begin_with_a_frame_too(a, directory):
    first = a.cell(0, frames=9)
    picture = a.cell(1, init_image=Stage(job=first.job, frame=4), strength=0.5)

    outcome = a.go(directory, [first, picture], work=work(a))

    assert outcome.made == [first.job.id, picture.job.id]
    record = media.record_in(history(directory).done[picture.job.id].picture)
    assert record["recipe"]["init_image"]["frame"] == 4
    assert not list(directory.frames.iterdir())


def test_messages_carry_which_frame_and_whose_frames_are_wanted(a):
    first, second = chain(a, 2)
    asked = Asked(job=second.job)
    message = messages.Render(
        number=1, asked=(asked,), attempt=1, degradations=(), with_frames=(first.job.id, second.job.id)
    )

    arrived = messages.decode(messages.encode(message))

    assert arrived == message
    assert arrived.asked[0].job.init_image.frame == 9
    assert arrived.asked[0].job.id == second.job.id
