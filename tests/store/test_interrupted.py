import json
import os

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from batchgen.engine import Bookmark
from batchgen.store.held import hold
from batchgen.store.interrupted import KeptBookmarks, interrupted

ENVIRONMENT = "e" * 64
SAID = {
    "run": {"sigmas": [14.6146, 0.1 + 0.2, float("inf")], "shape": [2, 4, 8, 8]},
    "state": {"calls": 3, "note": "日"},
}


@pytest.fixture
def jobs(build_):
    return [build_.job(seed) for seed in (4, 5, 5)]


@pytest.fixture
def bookmark():
    draw = np.random.default_rng(1)
    latents = draw.standard_normal((2, 4, 8, 8), dtype=np.float32)
    generator = draw.integers(0, 256, 5056, dtype=np.uint8)
    return Bookmark(arrays=[latents, generator, np.array(0.25), np.zeros((0, 3))], said=SAID)


@pytest.fixture
def kept(directory):
    directory.create()
    return KeptBookmarks(directory, ENVIRONMENT)


def equal(one, other):
    pairs = zip(one.arrays, other.arrays, strict=True)
    same = all(np.array_equal(a, b) and (a.dtype, a.shape) == (b.dtype, b.shape) for a, b in pairs)
    return same and one.said == other.said


def files(directory):
    return [path.name for folder in (directory.tmp, directory.interrupted) for path in folder.iterdir()]


def test_what_was_kept_is_found_bit_for_bit_under_the_first_job_s_id(directory, kept, jobs, bookmark):
    kept.keep(jobs, bookmark)

    assert files(directory) == [f"{jobs[0].id}.safetensors"]
    assert equal(KeptBookmarks(directory, ENVIRONMENT).find(jobs), bookmark)


def test_a_later_bookmark_takes_the_place_of_the_one_before(directory, kept, jobs, bookmark):
    later = Bookmark(arrays=[bookmark.arrays[0] + 1], said={"state": {"calls": 4}})
    kept.keep(jobs, bookmark)
    kept.keep(jobs, later)

    assert len(files(directory)) == 1
    assert equal(kept.find(jobs), later)


def test_of_nothing_nothing_is_found(directory, kept, jobs):
    assert kept.find(jobs) is None
    directory.interrupted.rmdir()
    assert kept.find(jobs) is None
    assert interrupted(directory) == ()


def test_a_forgotten_one_is_gone(directory, kept, jobs, bookmark):
    kept.keep(jobs, bookmark)
    kept.forget(jobs)
    kept.forget(jobs)

    assert files(directory) == []


@pytest.mark.parametrize("change", ["order", "one less", "one more", "environment"])
def test_one_of_other_jobs_or_another_environment_is_removed(directory, kept, build_, jobs, bookmark, change):
    kept.keep(jobs, bookmark)
    asked = {"order": [jobs[0], jobs[2], build_.job(6)], "one less": jobs[:2], "one more": [*jobs, jobs[2]]}
    finding = KeptBookmarks(directory, "f" * 64 if change == "environment" else ENVIRONMENT)

    assert finding.find(asked.get(change, jobs)) is None
    assert files(directory) == []


def test_one_of_another_batchgen_is_removed(directory, kept, jobs, bookmark, monkeypatch):
    monkeypatch.setattr("batchgen.store.interrupted.__version__", "0.0.9")
    KeptBookmarks(directory, ENVIRONMENT).keep(jobs, bookmark)

    assert kept.find(jobs) is None
    assert files(directory) == []


def unpacked(path):
    with safe_open(path, framework="np") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict


def change_numbers(by):
    def change(path):
        said, arrays = unpacked(path)
        save_file(by(arrays), path, metadata=said)

    return change


def change_said(by):
    def change(path):
        said, arrays = unpacked(path)
        save_file(arrays, path, metadata=by(said))

    return change


def flip(at):
    def change(path):
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return change


DAMAGES = {
    "one bit of the last number": flip(-1),
    "one bit of the first number": change_numbers(
        lambda arrays: arrays | {"0": np.nextafter(arrays["0"], np.float32(9))}
    ),
    "another shape": change_numbers(lambda arrays: arrays | {"0": arrays["0"].reshape(2, 8, 4, 8)}),
    "another kind of number": change_numbers(lambda arrays: arrays | {"0": arrays["0"].view(np.int32)}),
    "a number less": change_numbers(lambda arrays: {name: arrays[name] for name in ("0", "1", "2")}),
    "other names": change_numbers(lambda arrays: {f"x{name}": array for name, array in arrays.items()}),
    "another step": change_said(lambda said: said | {"batchgen": said["batchgen"].replace('"calls": 3', '"calls": 2')}),
    "nothing said": change_said(lambda _: {}),
    "no checksum": change_said(lambda said: {"batchgen": said["batchgen"]}),
    "nonsense said": change_said(lambda said: said | {"batchgen": "[" * 100_000}),
    "a list": change_said(lambda said: said | {"batchgen": "[]"}),
    "other ids": change_said(lambda said: said | {"batchgen": json.dumps({"ids": 3})}),
}


def is_removed(directory, kept, jobs, bookmark, damage):
    kept.keep(jobs, bookmark)
    path = directory.bookmark(jobs[0].id)
    damage(path)
    assert os.path.lexists(path)
    interrupted(directory)

    assert kept.find(jobs) is None

    assert not os.path.lexists(path)
    kept.keep(jobs, bookmark)
    assert equal(kept.find(jobs), bookmark)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_not_as_it_was_written_is_removed_and_the_batch_begins_anew(
    directory, kept, jobs, bookmark, damage
):
    is_removed(directory, kept, jobs, bookmark, DAMAGES[damage])


def test_a_bookmark_to_which_something_happened_is_removed(directory, kept, jobs, bookmark, harm):
    is_removed(directory, kept, jobs, bookmark, harm)


def test_without_room_the_one_before_stays_and_nothing_is_left_behind(directory, kept, jobs, bookmark, room_for):
    small = Bookmark(arrays=[np.zeros(2)], said={})
    kept.keep(jobs, small)
    with room_for(1000):
        kept.keep(jobs, bookmark)

    assert files(directory) == [f"{jobs[0].id}.safetensors"]
    assert equal(kept.find(jobs), small)


@pytest.mark.parametrize("folder", ["interrupted", "tmp"])
def test_without_a_folder_nothing_is_kept_and_nothing_fails(directory, kept, jobs, bookmark, folder):
    getattr(directory, folder).rmdir()
    kept.keep(jobs, bookmark)

    directory.create()
    assert files(directory) == []


def test_one_leaves_when_its_first_picture_is_published_and_others_stay(directory, kept, build_, jobs, bookmark):
    other = [build_.job(9)]
    with hold(directory) as held:
        for each in (jobs, other):
            kept.keep(each, bookmark)
        held.publish([build_.fresh(directory, jobs[0])])

        assert files(directory) == [f"{other[0].id}.safetensors"]


def test_a_start_removes_those_of_pictures_that_are_there_and_of_no_others(directory, kept, build_, bookmark):
    done, other = build_.job(0), build_.job(1)
    with hold(directory) as held:
        held.publish([build_.fresh(directory, done)])
    for job in (done, other):
        kept.keep([job], bookmark)

    with hold(directory):
        pass

    assert files(directory) == [f"{other.id}.safetensors"]


def test_which_jobs_were_interrupted_together_is_known_without_an_environment(directory, kept, build_, jobs, bookmark):
    alone = build_.job(9)
    kept.keep(jobs, bookmark)
    kept.keep([alone], bookmark)
    directory.bookmark("f" * 64).write_bytes(b"nonsense")

    assert sorted(interrupted(directory)) == sorted([(jobs[0].id, jobs[1].id), (alone.id,)])
