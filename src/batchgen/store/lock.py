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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from batchgen.errors import StoreError, TryLater


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
        """Close the descriptor. A worker that still lives keeps the lock."""
        os.close(self.file)


def take(path: Path) -> Lock:
    """Take the lock at `path` or say at once who has it.

    Raises:
        TryLater: another run, or the worker of one that was killed, holds it.
        StoreError: the file system has no locks.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise TryLater(f"held by {_described(read_holder(path))}", where=str(path.parent.parent)) from None
        raise StoreError(f"cannot be locked: {error.strerror}", where=str(path)) from error
    held = Holder(host=socket.gethostname(), pid=os.getpid(), started=datetime.now(UTC).isoformat(timespec="seconds"))
    # A full disk must not keep a lock from being held: the name inside it only serves a message.
    with contextlib.suppress(OSError):
        _write(file, held)
    return Lock(file, held)


def read_holder(path: Path) -> Holder | None:
    """Who wrote the lock file last: the holder, if it is held at all."""
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def at_work(path: Path) -> Holder | None:
    """Who holds the lock now, as far as can be told without touching it; None where nobody does."""
    holder = read_holder(path)
    if holder is None or holder.host != socket.gethostname():
        return holder
    return holder if _alive(holder.pid) or (holder.worker and _alive(holder.worker)) else None


def _write(file: int, holder: Holder) -> None:
    text = json.dumps(asdict(holder)).encode()
    # First written, then cut: a reader in between finds trailing bytes at worst, and says "another run".
    os.pwrite(file, text, 0)
    os.ftruncate(file, len(text))


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
