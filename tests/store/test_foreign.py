"""Run directories that came from somewhere else: unpacked, moved, put together by somebody who means harm."""

import json

import pytest

from batchgen.errors import UsageError
from batchgen.store.held import hold
from batchgen.store.history import history
from batchgen.store.journal import Journal
from batchgen.store.layout import RunDirectory

ID = "ab" * 32
DONE = {"id": ID, "path": "pictures/a.png", "bytes": 1, "file_sha256": "", "pixel_sha256": "", "seconds": 0.5}


@pytest.fixture
def victim(tmp_path):
    """A person's folder, in which nothing may change."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "thesis.txt").write_bytes(b"years of work")
    (folder / "photo.png").write_bytes(b"no picture of batchgen")
    return folder


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def tell(directory, event="done", **fields):
    """Write a line of the journal, as somebody could who knows its form."""
    directory.create()
    journal = Journal(directory.journal)
    journal.append(event, **fields)
    journal.close()


@pytest.mark.parametrize(
    "name",
    ["hidden", "tmp", "latents", "interrupted", "frames", "quarantine", "pictures", "records", "sheets", "joined"],
)
def test_a_directory_with_a_linked_folder_is_refused_and_nothing_behind_the_link_changes(directory, victim, name):
    before = content(victim)
    link = getattr(directory, name)
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)

    with pytest.raises(UsageError, match="is a symbolic link") as error, hold(directory):
        pass

    assert error.value.where == str(link)
    assert content(victim) == before


@pytest.mark.parametrize("name", ["lock", "journal", "worker_log"])
def test_a_directory_with_a_linked_file_is_refused_and_the_file_behind_the_link_stays(directory, victim, name):
    before = content(victim)
    directory.create()
    getattr(directory, name).symlink_to(victim / "thesis.txt")

    with pytest.raises(UsageError, match=f"{getattr(directory, name).name}: is a symbolic link"), hold(directory):
        pass

    assert content(victim) == before


def test_a_journal_is_not_opened_through_a_link(tmp_path, victim):
    (tmp_path / "journal").symlink_to(victim / "thesis.txt")

    with pytest.raises(OSError, match="symbolic links"):
        Journal(tmp_path / "journal")

    assert content(victim)["thesis.txt"] == b"years of work"


def test_the_directory_itself_may_be_a_link(build_, directory, tmp_path):
    (tmp_path / "disk").mkdir()
    directory.root.symlink_to(tmp_path / "disk")

    with hold(directory) as held:
        held.publish([build_.fresh(directory, build_.job())])

    with hold(RunDirectory(tmp_path / "disk")) as held:
        assert held.done.keys() == {build_.job().id}


@pytest.mark.parametrize(
    "path",
    [
        "../victim/photo.png",
        "{victim}/photo.png",
        "pictures/../../victim/photo.png",
        "pictures/linked/photo.png",
        "linked/photo.png",
        ".batchgen/lock",
        "pictures/a\0.png",
        "pictures/\ud800.png",
    ],
)
def test_a_journal_that_points_outside_the_pictures_moves_nothing(directory, victim, path):
    before = content(victim)
    tell(directory, **DONE | {"path": path.replace("{victim}", str(victim))})
    (directory.pictures / "linked").symlink_to(victim)
    (directory.root / "linked").symlink_to(victim)

    with hold(directory) as held:
        assert held.found == {}
        assert held.quarantined == ()
    assert content(victim) == before


def test_a_link_in_the_place_of_a_picture_is_moved_and_what_it_points_to_stays(build_, directory, victim):
    with hold(directory) as held:
        (done,) = held.publish([build_.fresh(directory, build_.job())]).done
    done.picture.rename(victim / "moved.png")
    done.picture.symlink_to(victim / "moved.png")
    before = content(victim)

    with hold(directory) as held:
        assert held.found[done.id].missing
        assert [path.is_symlink() for path in held.quarantined] == [True]
        held.publish([build_.fresh(directory, build_.job())])
    assert content(victim) == before
    assert not done.picture.is_symlink()


def test_a_link_is_no_picture_even_of_the_right_size(directory, victim):
    target = str(victim / "photo.png")
    tell(directory, **DONE | {"bytes": len(target)})
    directory.picture("a").symlink_to(target)

    assert history(directory).done[ID].missing


def test_of_two_pictures_of_one_name_and_size_the_later_one_is_there(directory):
    tell(directory, **DONE)
    tell(directory, **DONE | {"id": "cd" * 32})
    directory.picture("a").write_bytes(b"x")

    assert {key: done.missing for key, done in history(directory).done.items()} == {ID: True, "cd" * 32: False}


def test_links_and_folders_among_the_pictures_are_left_alone(directory, victim):
    directory.create()
    (directory.pictures / "link.png").symlink_to(victim / "photo.png")
    (directory.pictures / "folder.png").mkdir()

    with hold(directory) as held:
        assert (held.adopted, held.quarantined) == ((), ())

    assert {path.name for path in directory.pictures.iterdir()} == {"link.png", "folder.png"}


def test_a_folder_among_the_unfinished_files_stays_and_stops_nobody(directory, victim):
    directory.create()
    (directory.tmp / "x").mkdir()
    (directory.tmp / "x" / "mine").write_bytes(b"mine")
    (directory.tmp / "unfinished.png").write_bytes(b"half")
    (directory.tmp / "link").symlink_to(victim)

    with hold(directory):
        assert {path.name for path in directory.tmp.iterdir()} == {"x"}

    assert (directory.tmp / "x" / "mine").read_bytes() == b"mine"
    assert (victim / "thesis.txt").exists()


@pytest.mark.parametrize("name", DONE)
@pytest.mark.parametrize("value", [None, [], {}, "soon\0", -1.5, float("1e300")], ids=str)
def test_a_line_that_says_nonsense_is_passed_over(directory, name, value):
    tell(directory, **DONE)
    tell(directory, **DONE | {"id": "cd" * 32, name: value})

    found = history(directory).done

    # No value of those is right for any field but a text, which is compared with what is found and nothing else.
    sha256 = name in ("file_sha256", "pixel_sha256") and isinstance(value, str)
    assert found.keys() == ({ID, "cd" * 32} if sha256 else {ID})


@pytest.mark.parametrize("name", [*DONE, "event"])
def test_a_line_that_lacks_something_is_passed_over(directory, name):
    entry = {"event": "done"} | DONE
    del entry[name]
    tell(directory, **{"event": "none"} | entry)

    with hold(directory) as held:
        assert held.found == {}


@pytest.mark.parametrize(
    "fields", [{}, {"id": ID}, {"id": ID, "reason": 3}, {"id": [], "reason": "x"}, {"reason": "x"}]
)
def test_a_failure_that_lacks_something_is_passed_over(directory, fields):
    tell(directory, "failed", **fields)

    assert history(directory).failed == {}


def test_an_id_that_is_a_path_is_none(directory):
    tell(directory, **DONE | {"id": "../../../victim"})

    assert history(directory).done == {}


@pytest.mark.parametrize("seconds", ["soon", [], None, -3, 1e300, 10**400, True], ids=lambda value: str(value)[:9])
def test_a_picture_whose_record_says_nonsense_of_its_time_is_adopted(build_, directory, seconds):
    job = build_.job()
    record = json.loads(build_.text(job)) | {"seconds": seconds}
    directory.create()
    directory.picture("a").write_bytes(build_.png(job, text=json.dumps(record)))

    with hold(directory) as held:
        assert held.adopted == (directory.picture("a"),)
    assert history(directory).done[job.id].seconds in (0.0, 1.0)


def test_a_picture_whose_record_is_nested_without_end_goes_to_quarantine(build_, directory):
    directory.create()
    text = '{"schema": 1, "id": "x", "recipe": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}"
    directory.picture("a").write_bytes(build_.png(build_.job(), text=text))

    with hold(directory) as held:
        assert [path.name for path in held.quarantined] == ["a.png"]


def test_the_record_of_another_picture_is_never_overwritten(build_, directory):
    job = build_.job()
    other = json.dumps({"id": job.id[:12] + "f" * 52})
    directory.create()
    directory.record(job.id).write_text(other)

    with hold(directory) as held:
        published = held.publish([build_.fresh(directory, job), build_.fresh(directory, build_.job(1))])

    assert [done.id for done in published.done] == [build_.job(1).id]
    assert "record of another picture" in published.refused[job.id]
    assert "\n" not in published.refused[job.id]
    assert directory.record(job.id).read_text() == other
    assert len(list(directory.pictures.iterdir())) == 1


def test_a_picture_is_adopted_beside_the_record_of_another_one(build_, directory):
    job = build_.job()
    other = json.dumps({"id": job.id[:12] + "f" * 52})
    directory.create()
    directory.record(job.id).write_text(other)
    directory.picture("a").write_bytes(build_.png(job))

    with hold(directory) as held:
        assert held.done.keys() == {job.id}
    assert directory.record(job.id).read_text() == other


@pytest.mark.parametrize("junk", [b"", b"\xff", b"[]", b"{}", b"[" * 100_000], ids=lambda junk: repr(junk[:2]))
def test_a_record_that_is_none_is_replaced(build_, directory, junk):
    job = build_.job()
    directory.create()
    directory.record(job.id).write_bytes(junk)

    with hold(directory) as held:
        assert held.publish([build_.fresh(directory, job)]).refused == {}
    assert directory.record(job.id).read_text() == build_.text(job)
