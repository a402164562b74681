"""Clips in a run directory: published, found again, adopted, verified."""

import hashlib
import os

import pytest

from batchgen.fake import picture_of
from batchgen.store import media
from batchgen.store.clips import Keeping
from batchgen.store.held import hold
from batchgen.store.history import history
from batchgen.store.journal import Journal, read
from batchgen.store.posters import keep_poster, poster
from batchgen.store.verify import verify

CONTAINERS = ["mp4", "webm", "gif", "webp", "frames"]


@pytest.fixture(params=CONTAINERS)
def keeping(request):
    return Keeping(container=request.param)


def published(directory, build_, *seeds, keeping):
    jobs = [build_.job(seed, frames=9) for seed in seeds]
    with hold(directory) as held:
        held.save(manifest=None, settings=None, plan={"jobs": [job.id for job in jobs]})
        done = held.publish([build_.fresh_clip(directory, job, keeping=keeping) for job in jobs]).done
    assert len(done) == len(seeds)
    return jobs


def test_clips_lie_in_a_folder_of_their_own_with_their_records_and_are_known_afterwards(directory, build_, keeping):
    jobs = published(directory, build_, 0, 1, keeping=keeping)

    past = history(directory)

    assert set(past.done) == {job.id for job in jobs}
    for job in jobs:
        clip = past.done[job.id].picture
        assert clip.parent == directory.clips
        assert media.embedded(clip)[1] == directory.record(job.id).read_text()
        assert hashlib.sha256(clip.read_bytes()).hexdigest() == past.done[job.id].file_sha256
    assert not list(directory.pictures.iterdir())
    assert not list(directory.tmp.iterdir())
    assert verify(directory).findings == ()


def test_pictures_and_clips_are_published_together(directory, build_):
    with hold(directory) as held:
        held.publish([build_.fresh(directory, build_.job(0)), build_.fresh_clip(directory, build_.job(1, frames=9))])

    assert {done.picture.suffix for done in history(directory).done.values()} == {".png", ".mp4"}


def test_a_clip_whose_line_is_gone_is_adopted(directory, build_, keeping):
    """As after a kill between the link and the line of the journal."""
    (job,) = published(directory, build_, 0, keeping=keeping)
    before = dict(read(directory.journal).entries[-1])
    directory.journal.unlink()

    with hold(directory) as held:
        assert [path.suffix for path in held.adopted] == [history(directory).done[job.id].picture.suffix]

    after = dict(read(directory.journal).entries[-1])
    for name in ("id", "path", "bytes", "file_sha256", "pixel_sha256"):
        assert after[name] == before[name]


def test_a_clip_that_is_torn_or_another_s_is_set_aside_and_made_again(directory, build_, keeping):
    one, other = published(directory, build_, 0, 1, keeping=keeping)
    paths = [history(directory).done[job.id].picture for job in (one, other)]
    data = paths[0].read_bytes()
    paths[0].write_bytes(data[:-3])

    with hold(directory) as held:
        assert set(held.done) == {other.id}
        assert [path.read_bytes() for path in held.quarantined] == [data[:-3]]


def test_a_half_clip_without_a_line_is_set_aside(directory, build_, keeping):
    published(directory, build_, 0, keeping=keeping)
    (clip,) = directory.clips.iterdir()
    stray = clip.with_stem("stray")
    stray.write_bytes(clip.read_bytes()[:400])

    with hold(directory) as held:
        assert [path.name for path in held.quarantined] == [stray.name]

    assert [path.name for path in directory.clips.iterdir()] == [clip.name]


@pytest.mark.parametrize("place", [0.1, 0.5, 0.95])
def test_verify_finds_a_changed_bit(directory, build_, keeping, place):
    published(directory, build_, 0, keeping=keeping)
    (clip,) = directory.clips.iterdir()
    data = bytearray(clip.read_bytes())
    data[int(place * len(data))] ^= 4
    clip.write_bytes(data)

    found = verify(directory).findings

    assert {finding.kind for finding in found} == {"altered"}
    assert clip in {finding.file for finding in found}


def test_verify_tells_of_clips_that_are_cut_gone_or_strangers(directory, build_):
    published(directory, build_, 0, 1, keeping=Keeping())
    cut, gone = sorted(directory.clips.iterdir())
    cut.write_bytes(cut.read_bytes()[:-1])
    gone.rename(gone.with_stem("moved"))
    (directory.clips / "holiday.mp4").write_bytes(b"x")

    found = {finding.file.name: finding.kind for finding in verify(directory).findings}

    assert found == {cut.name: "torn", gone.name: "missing", "moved.mp4": "unknown", "holiday.mp4": "unknown"}


def test_a_name_of_three_hundred_bytes_costs_that_clip_alone(directory, build_):
    bad, good = build_.job(0, frames=9), build_.job(1, frames=9)
    with hold(directory) as held:
        fresh = [build_.fresh_clip(directory, bad, "x" * 300), build_.fresh_clip(directory, good)]
        outcome = held.publish(fresh)

    assert [done.id for done in outcome.done] == [good.id]
    assert "cannot be written: File name too long" in outcome.refused[bad.id]
    assert len(list(directory.clips.iterdir())) == 1


def test_a_folder_of_clips_that_vanished_is_made_again(directory, build_):
    published(directory, build_, 0, keeping=Keeping())
    with hold(directory) as held:
        for clip in directory.clips.iterdir():
            clip.unlink()
        directory.clips.rmdir()
        job = build_.job(1, frames=9)
        assert [done.id for done in held.publish([build_.fresh_clip(directory, job)]).done] == [job.id]


def test_a_linked_folder_of_clips_is_refused_and_nothing_behind_it_changes(directory, build_, tmp_path):
    published(directory, build_, 0, keeping=Keeping())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.mp4").write_bytes(b"mine")
    for clip in directory.clips.iterdir():
        clip.unlink()
    directory.clips.rmdir()
    directory.clips.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Exception, match="is a symbolic link"), hold(directory):
        pass

    assert (tmp_path / "elsewhere" / "a.mp4").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "path", ["clips/../../x.mp4", "clips/sub/x.mp4", "pictures/x.mp4", "clips/x.png", "clips/x.exe"]
)
def test_a_journal_that_names_other_files_as_clips_is_passed_over(directory, path):
    directory.create()
    journal = Journal(directory.journal)
    journal.append("done", id="0" * 64, path=path, bytes=1, file_sha256="", pixel_sha256="", seconds=1.0)
    journal.close()

    assert not history(directory).done


def test_a_poster_is_the_first_frame_and_is_made_again_where_it_is_gone(directory, build_, keeping):
    (job,) = published(directory, build_, 0, keeping=keeping)
    done = history(directory).done[job.id]
    keep_poster(directory, job.id, picture_of(job)[0])

    first = poster(directory, done)
    kept = first.read_bytes()
    first.unlink()
    again = poster(directory, done)

    assert first == again == directory.poster(job.id)
    assert kept.startswith(b"\x89PNG")
    assert again.read_bytes().startswith(b"\x89PNG")


def test_a_poster_is_never_written_through_a_link_nor_waited_for(directory, build_, tmp_path):
    (job,) = published(directory, build_, 0, keeping=Keeping())
    done = history(directory).done[job.id]
    (tmp_path / "mine.png").write_bytes(b"mine")
    directory.poster(job.id).symlink_to(tmp_path / "mine.png")

    assert poster(directory, done).read_bytes() != b"mine"
    assert (tmp_path / "mine.png").read_bytes() == b"mine"

    directory.poster(job.id).unlink()
    os.mkfifo(directory.poster(job.id))
    assert poster(directory, done).read_bytes().startswith(b"\x89PNG")
