"""Bookmarks of batches whose denoising was interrupted: `.batchgen/interrupted/<id of the first job>.safetensors`.

One replaces the one before whole or not at all, and is believed only if every byte of it is as it was written, for
these very jobs in this order, in the same environment and by the same batchgen. Failing to write one harms nothing.
"""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from batchgen import __version__
from batchgen.engine import Bookmark
from batchgen.job import Job
from batchgen.store.layout import LATENT, RunDirectory
from batchgen.store.publish import write_new

_SAID, _CHECKSUM = "batchgen", "sha256"

_MOST_BYTES = 1 << 31
"""Of a file that is read. A minute of video in the largest format has a tenth of it."""

_UNREADABLE = (OSError, ValueError, LookupError, TypeError, RecursionError, SafetensorError)


class KeptBookmarks:
    """The bookmarks of one run directory."""

    def __init__(self, directory: RunDirectory, environment: str) -> None:
        """Keep bookmarks of batches that are denoised in the environment of this id."""
        self._directory = directory
        self._made_by = {"environment": environment, "batchgen_version": __version__}

    def find(self, jobs: Sequence[Job]) -> Bookmark | None:
        """Return the last bookmark of `jobs`; a file that is none, or of other jobs or makers, is removed."""
        path = self._directory.bookmark(jobs[0].id)
        try:
            said, arrays = _read(path)
            if said["ids"] == [job.id for job in jobs] and said["made_by"] == self._made_by:
                return Bookmark(arrays=arrays, said=said["bookmark"])
        except FileNotFoundError:
            return None
        except _UNREADABLE:
            pass
        _remove(path)
        return None

    def keep(self, jobs: Sequence[Job], bookmark: Bookmark) -> None:
        """Keep the bookmark of `jobs` in place of the one before, if there is room."""
        ids = [job.id for job in jobs]
        said = json.dumps({"ids": ids, "made_by": self._made_by, "bookmark": bookmark.said})
        arrays = {str(place): array for place, array in enumerate(bookmark.arrays)}
        metadata = {_SAID: said, _CHECKSUM: _checksum(said, bookmark.arrays)}
        # The process id first: it says whose files are left when a worker has died.
        fresh = self._directory.tmp / f"{os.getpid()}-bookmark-{ids[0][:12]}"
        with contextlib.suppress(OSError):
            try:
                write_new(fresh, save(arrays, metadata=metadata))
                fresh.replace(self._directory.bookmark(ids[0]))
            except OSError:
                fresh.unlink(missing_ok=True)

    def forget(self, jobs: Sequence[Job]) -> None:
        """Remove the bookmarks of `jobs`."""
        for job in jobs:
            _remove(self._directory.bookmark(job.id))


def interrupted(directory: RunDirectory) -> tuple[tuple[str, ...], ...]:
    """Return of each bookmark the ids of its jobs, each once and in their order; without looking at its numbers."""
    found = []
    for path in sorted(directory.interrupted.glob(f"*{LATENT}")):
        with contextlib.suppress(*_UNREADABLE):
            ids = _said(path)["ids"]
            found.append(tuple(dict.fromkeys(str(each) for each in ids)))
    return tuple(found)


def _read(path: Path) -> tuple[Mapping[str, Any], list[NDArray[Any]]]:
    """Return what is said in a file, and its numbers.

    Raises:
        ValueError, TypeError: it is no bookmark, or not as it was written.
        OSError: it cannot be read.
        SafetensorError: it is torn, or no safetensors.
    """
    said = _said(path)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        arrays = [file.get_tensor(str(place)) for place in range(len(file.keys()))]
    if metadata[_CHECKSUM] != _checksum(metadata[_SAID], arrays):
        raise ValueError(f"{path.name} is not as it was written")
    return said, arrays


def _said(path: Path) -> Mapping[str, Any]:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
        raise ValueError(f"{path.name} is no bookmark")
    with safe_open(path, framework="np") as file:
        said = json.loads(file.metadata()[_SAID])
    if not isinstance(said, dict):
        raise TypeError(f"{path.name} does not say what it is of")
    return said


def _checksum(said: str, arrays: Sequence[NDArray[Any]]) -> str:
    found = hashlib.sha256(said.encode())
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
