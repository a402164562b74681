import os
import stat

import pytest

from batchgen.errors import StoreError, TryLater
from batchgen.store.publish import place, said_plainly, sync_directory, write_atomic, write_new


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_a_new_file_is_as_readable_as_the_umask_allows(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_new(tmp_path / "a", b"abc")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask
    assert (tmp_path / "a").read_bytes() == b"abc"


def test_a_file_that_is_there_is_not_written_anew(tmp_path):
    (tmp_path / "a").write_bytes(b"old")

    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"new")

    assert (tmp_path / "a").read_bytes() == b"old"


def test_without_room_nothing_of_a_new_file_stays(tmp_path, room_for):
    with pytest.raises(TryLater, match="make room"), said_plainly(tmp_path), room_for(1000):
        write_new(tmp_path / "a", b"x" * 5000)

    assert list(tmp_path.iterdir()) == []


def test_replacing_is_whole_or_not_at_all(tmp_path, room_for):
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    write_atomic(tmp_path / "a", b"old", tmp)

    with pytest.raises(OSError, match="too large"), room_for(1000):
        write_atomic(tmp_path / "a", b"x" * 5000, tmp)

    assert (tmp_path / "a").read_bytes() == b"old"
    write_atomic(tmp_path / "a", b"new", tmp)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert list(tmp.iterdir()) == []


def test_a_file_that_already_says_so_is_left_alone(tmp_path):
    write_atomic(tmp_path / "a", b"same", tmp_path)
    before = (tmp_path / "a").stat()

    write_atomic(tmp_path / "a", b"same", tmp_path)

    after = (tmp_path / "a").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_placing_gives_the_file_its_name_and_takes_the_other_away(tmp_path):
    write_new(tmp_path / "fresh", b"abc")

    place(tmp_path / "fresh", tmp_path / "final")

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"final": b"abc"}


def test_placing_what_is_there_already_is_fine(tmp_path):
    write_new(tmp_path / "fresh", b"abc")
    write_new(tmp_path / "final", b"abc")

    place(tmp_path / "fresh", tmp_path / "final")

    assert [path.name for path in tmp_path.iterdir()] == ["final"]


@pytest.mark.parametrize("other", [b"abd", b"abcd", b""])
def test_placing_never_overwrites(tmp_path, other):
    write_new(tmp_path / "fresh", b"abc")
    write_new(tmp_path / "final", other)

    with pytest.raises(StoreError, match="holds something else"):
        place(tmp_path / "fresh", tmp_path / "final")

    assert (tmp_path / "final").read_bytes() == other


def test_errors_of_the_system_become_words(tmp_path):
    with pytest.raises(StoreError, match="cannot write: No such file"), said_plainly(tmp_path / "a"):
        sync_directory(tmp_path / "none")
