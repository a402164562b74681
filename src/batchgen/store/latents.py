"""Latents that wait for their pictures: `.batchgen/latents/<id>.safetensors`, fp32, with what the record must say.

A file of these is worth the minutes of the denoiser and nothing more, so it is not synced, and failing to write one
harms nothing. It is believed only if it is whole, of the very job, and from the same environment and batchgen.
"""

import contextlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from batchgen import __version__
from batchgen.engine import Latent, Together
from batchgen.job import Job
from batchgen.store.layout import RunDirectory

LARGE = 512 * 512
"""Pixels from which a latent is kept. A smaller picture is denoised again in seconds."""

_NAME = "latent"
_SAID = "batchgen"
_MOST_SAID = 1 << 20
"""Bytes of a file beside its numbers."""


class KeptLatents:
    """The latents of one run directory."""

    def __init__(self, directory: RunDirectory, environment: str, *, least: int = LARGE) -> None:
        """Keep latents of pictures of `least` pixels and more, made in the environment of this id."""
        self._directory = directory
        self._made_by = {"environment": environment, "batchgen_version": __version__}
        self._least = least

    def find(self, job: Job, shape: Sequence[int]) -> Latent | None:
        """Return the latent of `job` if it was made here; a file that is no such latent is removed."""
        path = self._directory.latent(job.id)
        try:
            values, said = _read(path, job.id, tuple(shape))
            latent = Latent(values=values, facts=said["facts"], together=_together(said["together"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, RecursionError, SafetensorError):
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return latent if said.items() >= self._made_by.items() else None

    def keep(self, job: Job, latent: Latent) -> None:
        """Keep the latent of `job` if it is large, finite, and there is room."""
        pixels = job.canvas.width * job.canvas.height * job.motion.frames
        if pixels < self._least or not np.isfinite(latent.values).all():
            return
        said = {"id": job.id, **self._made_by, "facts": dict(latent.facts), "together": asdict(latent.together)}
        values = np.ascontiguousarray(latent.values, dtype=np.float32)
        # The process id first: it says whose files are left when a worker has died.
        fresh = self._directory.tmp / f"{os.getpid()}-latent-{job.id[:12]}"
        try:
            with fresh.open("xb") as file:  # a new one, so that it is written through no link
                file.write(save({_NAME: values}, metadata={_SAID: json.dumps(said)}))
            fresh.replace(self._directory.latent(job.id))
        except OSError:  # no room, above all: the picture, which needs some too, comes first
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)


def _read(path: Path, job_id: str, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], Mapping[str, Any]]:
    """Return the numbers and what is said of them.

    Raises:
        ValueError: it is the latent of something else, not finite, or larger than one can be.
        OSError: it cannot be read.
        SafetensorError: it is torn, or no safetensors.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > 4 * int(np.prod(shape)) + _MOST_SAID:
        raise ValueError(f"{path.name} is no latent of {shape}")
    with safe_open(path, framework="np") as file:
        said = json.loads((file.metadata() or {}).get(_SAID, "null"))
        json.dumps(said, ensure_ascii=False, allow_nan=False).encode()  # a record takes no NaN and no half characters
        part = file.get_slice(_NAME)
        if tuple(part.get_shape()) != shape or part.get_dtype() != "F32":
            raise ValueError(f"{path.name} holds numbers of another shape or kind")
        values: NDArray[np.float32] = file.get_tensor(_NAME)
    if not isinstance(said, dict) or said.get("id") != job_id or not isinstance(said.get("facts"), dict):
        raise ValueError(f"{path.name} does not say that it is of this job")
    if not np.isfinite(values).all():
        raise ValueError(f"{path.name} is not finite")
    return values, said


def _together(said: Mapping[str, Any]) -> Together:
    ids, index = tuple(said["ids"]), said["index"]
    if not all(isinstance(each, str) for each in ids) or type(index) is not int or not 0 <= index < len(ids):
        raise ValueError("no place among jobs")
    return Together(ids=ids, index=index)
