"""The journal: what happened, one checksummed line each, so that a torn or altered one is known as such.

    <CRC-32 of the JSON, 8 hex digits> {"seq": 0, "event": "done", ...}

One writer; one `write` a line. It is an index: the pictures with the records inside them are the truth, and what is cut
away from a damaged journal is found again by looking at them.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchgen.errors import TryLater, UsageError
from batchgen.store.content import content
from batchgen.store.publish import said_plainly

Entry = Mapping[str, Any]
"""One line: `seq`, `event` and what belongs to the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A journal as found."""

    entries: tuple[Entry, ...]
    good: int
    """Bytes of the lines before the first bad one."""
    bad: int
    """Bytes from there on."""


def line(entry: Entry) -> bytes:
    """`entry` as it stands in the journal."""
    text = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(whole: bytes, seq: int) -> Entry | None:
    """What a line without its end says, or None if it is not the line number `seq` exactly as it was written."""
    text = whole[9:]
    # Compared as text: read as a number, the checksum "0A" would be as good as "0a", and a flipped bit go unseen.
    if whole[:9] != b"%08x " % zlib.crc32(text):
        return None
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and entry.get("seq") == seq else None


def parse(data: bytes) -> Reading:
    """Read the lines of `data` up to the first bad one."""
    entries: list[Entry] = []
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        entry = _entry(data[start:end], len(entries))
        if entry is None:
            break
        entries.append(entry)
        start = end + 1
    return Reading(entries=tuple(entries), good=start, bad=len(data) - start)


def read(path: Path) -> Reading:
    """Read the journal at `path`, changing nothing; none is an empty one.

    Raises:
        UsageError: it is no file, or cannot be read.
    """
    try:
        return parse(content(path, None))
    except FileNotFoundError:
        return Reading(entries=(), good=0, bad=0)
    except OSError as error:
        raise UsageError(f"{error.strerror or error}, and no journal that can be read", where=str(path)) from error


class Journal:
    """A journal that is open for writing, cut behind its last good line."""

    def __init__(self, path: Path, *, write: Callable[[int, bytes], int] = os.write) -> None:
        """Open the journal at `path`, or begin one.

        Args:
            path: The file.
            write: `os.write`, or what a test puts in its place.
        """
        found = read(path)
        self.entries = found.entries
        """What was in it when it was opened."""
        self._path = path
        self._write = write
        self._seq = len(found.entries)
        self._size = found.good
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        if found.bad:
            os.ftruncate(self._file, found.good)
            os.fsync(self._file)
        os.lseek(self._file, found.good, os.SEEK_SET)

    def append(self, event: str, **fields: Any) -> None:
        """Write a line; it is durable only after `sync`.

        Raises:
            TryLater: no room for it. The journal ends behind its last whole line again.
            StoreError: it cannot be written for another reason; the same holds.
        """
        data = line({"seq": self._seq, "event": event} | fields)
        with said_plainly(self._path):
            try:
                written = self._write(self._file, data)
            except OSError:
                self._cut_back()
                raise
        if written != len(data):
            self._cut_back()
            raise TryLater("no room for a whole line; make room and run the same command again", where=str(self._path))
        self._seq += 1
        self._size += len(data)

    def sync(self) -> None:
        """Make what was appended survive a power cut; if that fails the run must stop, not try again."""
        with said_plainly(self._path):
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _cut_back(self) -> None:
        # If even this fails, the next start cuts the torn line by its checksum.
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
