"""How many pictures go through the denoiser together.

The last bits of a picture depend on that number, so it is chosen once for a run and kept in its directory.
"""

import json
import platform
from collections.abc import Iterable
from pathlib import Path

from batchgen.engine import Runtime
from batchgen.parts import Canvas
from batchgen.store.content import content
from batchgen.store.layout import RunDirectory

_PIXELS = {"cuda": 4 * 1024 * 1024, "mps": 1024 * 1024, "cpu": 8 * 128 * 128}
"""Pixels in one forward pass, by device. On a GPU four pictures of 1024x1024 fill what 24 GB leave beside a model of
SDXL's size, and where they do not fit the batch is halved. A CPU gains from batches only while pictures are so small
that calls cost more than arithmetic."""

_MOST = {"cuda": 32, "mps": 8, "cpu": 8}

_MOST_ASKED = 1024
"""As many as `runtime.batch` allows. A stranger's plan may claim any number, and a batch is filled up to it."""


def batch_of(runtime: Runtime, canvas: Canvas, frames: int = 1) -> int:
    """Return how many pictures, or clips, of the size `canvas` go through the denoiser together at most, at least 1."""
    if runtime.batch:
        return runtime.batch
    if runtime.memory in ("offload", "sequential"):
        return 1  # The person is short of memory and said so.
    device = _device(runtime)
    return max(1, min(_MOST[device], _PIXELS[device] // (canvas.width * canvas.height * frames)))


def choose_batch(runtime: Runtime, canvases: Iterable[Canvas], kept: int | None = None, *, frames: int = 1) -> int:
    """Return the batch size of a run: as asked for, as it was, or what the largest picture allows.

    Args:
        runtime: Its `batch` is obeyed if it is not 0.
        canvases: The sizes of all pictures.
        kept: What `kept_batch` found in the run directory.
        frames: Of the longest clip.
    """
    if runtime.batch:
        return runtime.batch
    return kept or min((batch_of(runtime, canvas, frames) for canvas in set(canvases)), default=1)


def kept_batch(directory: RunDirectory) -> int | None:
    """Return the batch size that was chosen when the run began; None if it has not, or the file is damaged."""
    try:
        batch = json.loads(content(directory.plan))["batch"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return batch if type(batch) is int and 0 < batch <= _MOST_ASKED else None


def _device(runtime: Runtime) -> str:
    # Without torch, which planning does not load. A wrong guess costs some speed, or one halving.
    if runtime.engine == "fake":
        return "cpu"
    if runtime.device != "auto":
        return runtime.device
    if Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists():
        return "cuda"
    return "mps" if platform.system() == "Darwin" and platform.machine() == "arm64" else "cpu"
