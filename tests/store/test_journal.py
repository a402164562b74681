import os
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchgen.errors import StoreError, TryLater
from batchgen.store.journal import Journal, line, parse, read

EVENTS = [
    {"seq": 0, "event": "done", "id": "ab"},
    {"seq": 1, "event": "failed", "reason": "ü\n\0"},
    {"seq": 2, "event": "x"},
]
WHOLE = b"".join(line(event) for event in EVENTS)
ENDS = [sum(len(line(event)) for event in EVENTS[:count]) for count in range(len(EVENTS) + 1)]


def fill(journal):
    for _ in range(9):
        journal.append("done", id="ab")


def lines_within(length):
    return sum(end <= length for end in ENDS[1:])


def test_what_is_appended_is_read_after_closing(tmp_path):
    journal = Journal(tmp_path / "journal")
    journal.append("done", id="ab")
    journal.append("failed", id="cd", reason='a "reason"\nof two lines')
    journal.sync()
    journal.close()

    assert [entry["seq"] for entry in read(tmp_path / "journal").entries] == [0, 1]
    assert read(tmp_path / "journal").entries[1]["reason"] == 'a "reason"\nof two lines'
    assert read(tmp_path / "journal").bad == 0


def test_truncated_at_any_byte_the_whole_lines_before_are_there():
    for length in range(len(WHOLE) + 1):
        found = parse(WHOLE[:length])

        assert list(found.entries) == EVENTS[: lines_within(length)]
        assert found.good == ENDS[lines_within(length)]
        assert found.good + found.bad == length


def test_with_any_bit_flipped_exactly_the_lines_before_it_are_there():
    for position in range(len(WHOLE)):
        for bit in range(8):
            damaged = bytearray(WHOLE)
            damaged[position] ^= 1 << bit

            assert list(parse(bytes(damaged)).entries) == EVENTS[: lines_within(position)], (position, bit)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_garbage_behind_the_lines_changes_nothing(garbage):
    assert list(parse(WHOLE + garbage).entries[:3]) == EVENTS
    assert len(parse(WHOLE + garbage).entries) == 3


def test_a_missing_or_repeated_line_ends_the_journal_there():
    first, second, third = (line(event) for event in EVENTS)

    assert len(parse(first + third).entries) == 1
    assert len(parse(first + second + second + third).entries) == 2


def test_a_line_nested_without_end_is_a_bad_one():
    text = b'{"seq":0,"event":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    found = parse(b"%08x %s\n" % (zlib.crc32(text), text))

    assert found.entries == ()
    assert found.bad


def test_opening_cuts_the_bad_end_and_goes_on_numbering(tmp_path):
    path = tmp_path / "journal"
    path.write_bytes(WHOLE[:-3])

    journal = Journal(path)
    journal.append("done", id="ef")
    journal.close()

    assert [entry["seq"] for entry in journal.entries] == [0, 1]
    assert [entry.get("id") for entry in read(path).entries] == ["ab", None, "ef"]
    assert read(path).bad == 0


def test_reading_changes_nothing(tmp_path):
    path = tmp_path / "journal"
    path.write_bytes(WHOLE[:-3])

    read(path)

    assert path.read_bytes() == WHOLE[:-3]
    assert read(tmp_path / "none").entries == ()


class Disk:
    """Takes `room` bytes, then says that it is full."""

    def __init__(self, room):
        self.room = room

    def write(self, file, data):
        if not self.room:
            raise OSError(28, "No space left on device")
        part = bytes(data[: self.room])
        self.room -= len(part)
        return os.write(file, part)


@pytest.mark.parametrize("room", range(0, 120, 7))
def test_a_full_disk_leaves_whole_lines_and_asks_to_try_later(tmp_path, room):
    path, disk = tmp_path / "journal", Disk(room)
    journal = Journal(path, write=disk.write)

    with pytest.raises(TryLater, match="room"):
        fill(journal)

    assert read(path).bad == 0
    assert len(read(path).entries) == room // len(line({"seq": 0, "event": "done", "id": "ab"}))
    disk.room = 1000
    journal.append("done", id="cd")
    assert read(path).entries[-1]["id"] == "cd"


def test_a_real_limit_of_the_system_does_the_same(tmp_path, room_for):
    path = tmp_path / "journal"
    journal = Journal(path)
    with pytest.raises(TryLater), room_for(100):
        fill(journal)

    assert len(read(path).entries) == 2
    assert read(path).bad == 0


def test_another_error_of_the_disk_is_no_reason_to_wait(tmp_path):
    def broken(file, data):
        raise OSError(5, "Input/output error")

    with pytest.raises(StoreError, match="Input/output error"):
        Journal(tmp_path / "journal", write=broken).append("done", id="ab")
