"""Folders that a run writes to: is there room, and does their file system keep what batchgen builds on?"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from batchgen.preflight.finding import Finding, size

LITTLE = 1_000_000_000
"""Bytes. Less free disk than that is worth a word: it is some hundred pictures of 1024x1024."""

_ELSEWHERE = "choose a folder on a local disk: output.root=FOLDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What is asked of the operating system."""

    flock: Callable[[int, int], None] = fcntl.flock
    link: Callable[[Path, Path], None] = os.link
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free


SYSTEM = System()


def output(root: Path, system: System = SYSTEM) -> Iterator[Finding]:
    """Look at the folder of run directories, or where it would be made, by working there for a moment."""
    place = _nearest(root)
    try:
        with TemporaryDirectory(prefix=".batchgen-doctor-", dir=place) as folder:
            yield Finding(state="ok", about="output", says=f"{root} can be written")
            yield _locks(Path(folder), system)
            yield _links(Path(folder), system)
    except OSError as error:
        says = f"{root} cannot be written: {error.strerror or error}"
        yield Finding(state="wrong", about="output", says=says, mend="choose another folder: output.root=FOLDER")
        return
    yield _disk(place, system)


def cache(folder: Path) -> Finding:
    """Look at the folder in which hashes of weights are remembered."""
    try:
        with TemporaryDirectory(prefix=".batchgen-doctor-", dir=_nearest(folder)):
            return Finding(state="ok", about="cache", says=f"{folder} can be written")
    except OSError as error:
        says = f"{folder} cannot be written: {error.strerror or error}; models are hashed anew by every command"
        return Finding(state="warning", about="cache", says=says, mend="choose another folder: paths.cache=FOLDER")


def _nearest(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _locks(folder: Path, system: System) -> Finding:
    file = folder / "lock"
    first, second = (os.open(file, os.O_RDWR | os.O_CREAT, 0o600) for _ in range(2))
    try:
        system.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        system.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Finding(state="ok", about="locks", says="a run directory is kept to one run at a time")
    except OSError as error:
        return Finding(state="wrong", about="locks", says=f"there are none here: {error.strerror}", mend=_ELSEWHERE)
    finally:
        os.close(first)
        os.close(second)
    says = "a second lock on the same file is granted, so that two runs would write over each other"
    return Finding(state="wrong", about="locks", says=says, mend=_ELSEWHERE)


def _links(folder: Path, system: System) -> Finding:
    file = folder / "picture"
    file.touch()
    try:
        system.link(file, folder / "name")
    except OSError as error:
        says = f"no hard links here ({error.strerror}): pictures are renamed into place after a look at the name"
        return Finding(state="warning", about="links", says=says, mend=_ELSEWHERE)
    return Finding(state="ok", about="links", says="a picture is put into place whole, and never over another")


def _disk(place: Path, system: System) -> Finding:
    free = system.free(place)
    if free >= LITTLE:
        return Finding(state="ok", about="disk", says=f"{size(free)} free at {place}")
    return Finding(
        state="warning",
        about="disk",
        says=f"only {size(free)} free at {place}",
        mend="make room, or output.root=FOLDER",
    )
