"""One writer for a run directory: `flock` on a file that also says who holds it.

`flock` and not `lockf`: a lock of the latter kind is lost when any descriptor of the file is closed in the process. The
worker inherits the descriptor, so that a run whose supervisor was killed stays held until its worker has ended too. For
the same reason nothing here ever unlocks: the lock ends with the last copy of its descriptor.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from batchgen.errors import StoreError, TryLater
from batchgen.store.content import is_no_file

_HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES})
"""What `flock` answers where somebody else has the lock."""

_TRIES = 5
_NAP = 0.01
"""Seconds between tries: `at_work` has a lock for microseconds to see whether it can."""

_MOST_BYTES = 4096
"""Of a lock file, which anybody may have written."""

_TO_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Not through a link, and without waiting for the other end of a pipe."""

_MOST_PROCESSES = 1 << 31
"""No process id is as large; a larger one is no number that can be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a run directory."""

    host: str
    pid: int
    """Process id of the supervisor."""
    started: str
    """UTC, ISO 8601."""
    worker: int = 0
    """Process id of its worker; 0 while there is none."""


class Lock:
    """A held lock; its descriptor may be inherited."""

    def __init__(self, file: int, holder: Holder) -> None:
        """Keep the locked descriptor `file`, which `holder` was written to."""
        self.file = file
        self.holder = holder

    def name_worker(self, pid: int) -> None:
        """Write down the worker's process id, for the message of whoever finds the lock held."""
        self.holder = Holder(host=self.holder.host, pid=self.holder.pid, started=self.holder.started, worker=pid)
        _write(self.file, self.holder)

    def release(self) -> None:
        """Close the descriptor. A worker that still lives keeps the lock, and its name stays to be read."""
        if not (self.holder.worker and _alive(self.holder.worker)):
            with contextlib.suppress(OSError):
                os.ftruncate(self.file, 0)
        os.close(self.file)


def take(path: Path, *, nap: Callable[[float], None] = time.sleep) -> Lock:
    """Take the lock at `path` or say at once who has it.

    Args:
        path: The file.
        nap: Waits for so many seconds.

    Raises:
        TryLater: another run, or the worker of one that was killed, holds it.
        StoreError: the file system has no locks.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        _locked(file, nap)
    except OSError as error:
        os.close(file)
        if error.errno in _HELD:
            raise _held(path, read_holder(path)) from None
        raise StoreError(f"cannot be locked: {error.strerror}", where=str(path)) from error
    held = Holder(host=socket.gethostname(), pid=os.getpid(), started=datetime.now(UTC).isoformat(timespec="seconds"))
    # A full disk must not keep a lock from being held: the name inside it only serves a message.
    with contextlib.suppress(OSError):
        _write(file, held)
    return Lock(file, held)


def see_free(path: Path) -> None:
    """Refuse a directory that somebody works in, before time is spent on what is to be done there.

    It may be taken a moment later: `take` has the last word.

    Raises:
        TryLater: as `take`.
    """
    if holder := at_work(path):
        raise _held(path, holder if holder.pid else None)


def read_holder(path: Path) -> Holder | None:
    """Who wrote the lock file last: the holder, if it is held at all."""
    file = _opened(path)
    if file is None:
        return None
    try:
        return _holder(file)
    finally:
        os.close(file)


def at_work(path: Path) -> Holder | None:
    """Return who holds the lock now, or None where nobody does; a run that starts meanwhile is not disturbed.

    The lock itself is asked, not the file: what is written there may be of a run that was killed, of another machine
    from which the directory was copied, or of a process whose id stands for another one now. Where a worker outlived
    its run, `pid` is the worker's; it is 0 where the holder could not write itself down.
    """
    file = _opened(path)
    if file is None:
        return None
    try:
        # Shared, so that two who ask do not take each other for a run.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return _at_work(_holder_in_time(file), held=error.errno in _HELD)
    else:
        return None
    finally:
        os.close(file)


def _opened(path: Path) -> int | None:
    try:
        return None if is_no_file(path) else os.open(path, _TO_READ)
    except OSError:
        return None


def _at_work(holder: Holder | None, *, held: bool) -> Holder | None:
    if holder is None:
        return Holder(host=socket.gethostname(), pid=0, started="") if held else None
    if holder.host != socket.gethostname() or _alive(holder.pid):
        return holder
    if holder.worker and (held or _alive(holder.worker)):
        return replace(holder, pid=holder.worker)
    return holder if held else None


def _locked(file: int, nap: Callable[[float], None]) -> None:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD or not left:
                raise
            nap(_NAP)
        else:
            return


def _holder_in_time(file: int) -> Holder | None:
    """Read who holds the lock; whoever has only just taken it may still be writing."""
    for _ in range(_TRIES):
        if holder := _holder(file):
            return holder
        time.sleep(_NAP)
    return None


def _holder(file: int) -> Holder | None:
    try:
        holder = Holder(**json.loads(os.pread(file, _MOST_BYTES, 0)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    words, ids = (holder.host, holder.started), (holder.pid, holder.worker)
    # A process id below 1 stands for whole groups of processes.
    named = all(isinstance(each, str) and each.isprintable() for each in words)
    numbered = all(isinstance(each, int) and 0 <= each < _MOST_PROCESSES for each in ids) and holder.pid > 0
    return holder if named and numbered else None


def _write(file: int, holder: Holder) -> None:
    text = json.dumps(asdict(holder)).encode()
    # First written, then cut: a reader in between finds trailing bytes at worst, and says "another run".
    os.pwrite(file, text, 0)
    os.ftruncate(file, len(text))


def _held(path: Path, holder: Holder | None) -> TryLater:
    return TryLater(f"held by {_described(holder)}", where=str(path.parent.parent))


def _described(holder: Holder | None) -> str:
    if holder is None:
        return "another run; wait for it to end"
    place = f"on {holder.host} since {holder.started}"
    if holder.host == socket.gethostname() and not _alive(holder.pid):
        worker = f"{holder.worker} " if holder.worker else ""
        return f"the worker {worker}{place}, which outlived its run {holder.pid}; it ends by itself, or end it"
    return f"another run, process {holder.pid} {place}; wait for it to end"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
