"""What stands in a file of a run directory, which may be a stranger's.

A pipe that nobody writes to is waited for without end, and a device may never end: neither is opened.
"""

import errno
import os
import stat
from pathlib import Path

LARGEST = 1 << 30
"""Bytes of what is read whole. No picture is larger, and the plan of ten million pictures has 0.7 GB."""


def is_no_file(path: Path) -> bool:
    """Say whether `path` is a pipe, a device, a folder, or a link to one.

    What is not there, or cannot be looked at, is none of them: whoever opens it hears why.
    """
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def content(path: Path, most: int | None = LARGEST) -> bytes:
    """Return what is in the file at `path`, of at most `most` bytes.

    Raises:
        OSError: it cannot be read, is no file, or is larger.
    """
    if is_no_file(path):
        raise OSError(errno.EINVAL, "is no file")
    # Should it become a pipe just now, that is not waited for either.
    with open(path, "rb", opener=_at_once) as file:
        data = file.read(-1 if most is None else most + 1)
    if most is not None and len(data) > most:
        raise OSError(errno.EINVAL, f"is too large: more than {most:,} bytes")
    return data


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
