"""Files that are whole or not there: written new, replaced or put into place, and on disk when the call returns.

A rename or a link is durable only once its folder is synced too, and a failed `fsync` is never tried again on the same
file: Linux drops the pages it could not write, so that a second call succeeds without them.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from batchgen.errors import StoreError, TryLater
from batchgen.store.content import content

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room: on the disk, in the person's quota, or under a limit on the size of a file."""

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What file systems without hard links (exFAT, some network shares) answer to `link`."""

_COMPARED = 1 << 20


@contextlib.contextmanager
def said_plainly(path: Path) -> Iterator[None]:
    """Turn an `OSError` about `path` into words.

    Raises:
        TryLater: there is no room.
        StoreError: anything else.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in FULL:
            advice = "make room and run the same command again"
            raise TryLater(f"cannot write: {reason}; {advice}", where=str(path)) from error
        raise StoreError(f"cannot write: {reason}", where=str(path)) from error


def write_new(path: Path, data: bytes) -> None:
    """Write `data` to a file that must not exist yet, readable as the umask allows, and sync it.

    Raises:
        OSError: among others `FileExistsError`, or no room; what was written so far is removed.
    """
    # 0o666 less the umask. mkstemp would make pictures that only their owner can read.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        write_whole(file, data)
        os.fsync(file)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(file)


def write_whole(file: int, data: bytes) -> None:
    """Write all of `data`: one call may take only a part of it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def write_atomic(path: Path, data: bytes, tmp: Path) -> None:
    """Give `path` the content `data`, whole or not at all; a file that holds it already is left alone.

    Args:
        path: The file; its folder exists.
        data: Its content.
        tmp: A folder in the same file system.
    """
    with contextlib.suppress(OSError):  # whatever else stands there is replaced, a link and not what it leads to
        if not path.is_symlink() and content(path, len(data)) == data:
            return
    fresh = tmp / f"{os.getpid()}-{path.name}"
    fresh.unlink(missing_ok=True)
    write_new(fresh, data)
    # replace(), not remove() and rename(): between those two the file does not exist.
    fresh.replace(path)
    sync_directory(path.parent)


def place(fresh: Path, final: Path) -> None:
    """Give the file `fresh` the name `final`, which stands for nothing else; the folder is not synced yet.

    Raises:
        StoreError: `final` exists and holds something else. It is left as it is.
        OSError: the file system refuses.
    """
    try:
        _link(fresh, final)
    except FileExistsError:
        if not _same_bytes(fresh, final):
            raise StoreError("is there already and holds something else; move it away", where=str(final)) from None
        fresh.unlink()


def _link(fresh: Path, final: Path) -> None:
    try:
        os.link(fresh, final)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links: nobody else writes here while the lock is held, so looking first is enough.
        if final.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from None
        fresh.rename(final)
    else:
        fresh.unlink()


def _same_bytes(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(_COMPARED):
            if block != right.read(_COMPARED):
                return False
    return True


def sync_file(path: Path) -> None:
    """Make what another program wrote into the file at `path` survive a power cut."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sync_directory(path: Path) -> None:
    """Make the names in the folder `path` survive a power cut."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
