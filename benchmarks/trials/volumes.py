"""File systems of their own, mounted for a trial: they need root."""

import contextlib
import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_SHUTDOWN = 0x8004587D
"""The ioctl EXT4_IOC_SHUTDOWN (of XFS at first: XFS_IOC_GOINGDOWN)."""

_NO_LOG_FLUSH = 2
"""Not even the file system's own log is written out: as when the power goes."""


_LONGEST_CLOSING = 30.0
"""Seconds that the threads of a killed process may take to let go of their files."""


def _do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


def _unmount(folder: Path) -> None:
    """Unmount; a process that was killed counts as ended before its last thread has closed its files."""
    deadline = time.monotonic() + _LONGEST_CLOSING
    while True:
        try:
            return _do("umount", str(folder))
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def refusal(kind: str, folder: Path) -> str | None:
    """Try to mount an `ext4` or a `tmpfs` below `folder`; return why that is impossible here, or None."""
    if os.geteuid() != 0:
        return "mounting needs root"
    try:
        if kind == "tmpfs":
            with tmpfs(folder / "try"):
                return None
        with Ext4(folder / "try", megabytes=16):
            return None
    except (subprocess.CalledProcessError, OSError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return f"{kind} cannot be mounted here: {said.strip()}"


@contextlib.contextmanager
def _mounted(folder: Path, words: Sequence[str]) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    _do("mount", *words, str(folder))
    try:
        yield
    finally:
        _unmount(folder)


@contextlib.contextmanager
def tmpfs(folder: Path, *, megabytes: int = 64) -> Iterator[Path]:
    """Mount memory at `folder`."""
    with _mounted(folder, ("-t", "tmpfs", "-o", f"size={megabytes}m", "none")):
        yield folder


def resize(folder: Path, size: int) -> None:
    """Give the memory at `folder` the `size` in bytes; it is an error if more is in use."""
    _do("mount", "-o", f"remount,size={size}", str(folder))


@dataclass(slots=True)
class Ext4:
    """An ext4 in a file, mounted at `folder`, whose power can be cut."""

    folder: Path
    megabytes: int = 256

    @property
    def image(self) -> Path:
        """The file that stands for the disk."""
        return self.folder.with_suffix(".img")

    def __enter__(self) -> Self:
        """Make and mount it."""
        with self.image.open("wb") as file:
            file.truncate(self.megabytes << 20)
        _do("mkfs.ext4", "-q", "-F", "-i", "4096", str(self.image))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it."""
        _unmount(self.folder)

    def mount(self) -> None:
        """Mount it, as after the power has come back: the file system replays its log."""
        _do("mount", "-o", "loop", str(self.image), str(self.folder))

    def cut(self) -> None:
        """Cut the power: nothing of what has not reached the disk ever will."""
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def restart(self) -> None:
        """Bring the power back, once nobody has a file open there any more."""
        _unmount(self.folder)
        self.mount()
