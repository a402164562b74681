"""Bookmarks of a batch's denoising: what its stepper holds, as arrays and JSON values, and back, bit for bit."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from batchgen.diffusion.samplers import Stepper
from batchgen.engine import Bookmark, Bookmarks
from batchgen.job import Job


class Marking:
    """Puts a bookmark into the denoising of one batch every so often, and finds the last one."""

    def __init__(self, bookmarks: Bookmarks, jobs: Sequence[Job], *, every: float, dtype: str) -> None:
        """Begin the denoising of `jobs`, in this number format; `every`: seconds between bookmarks, 0 for none."""
        self.refused: str | None = None
        """Why no bookmark can be made of what this sampler holds."""
        self.before = 0.0
        """Seconds that the denoising had taken when the bookmark was kept that it goes on from."""
        self._bookmarks = bookmarks
        self._jobs = jobs
        self._every = every
        self._dtype = dtype
        self._run: Mapping[str, Any] = {}
        """What must be the same for a bookmark to fit, beside the jobs."""
        self._last = self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """What the denoising has taken so far, in this process and those before it, lost steps not among it."""
        return self.before + time.perf_counter() - self._begun

    def found(self, stepper: Stepper, latents: Tensor, beside: Tensor | None = None) -> Tensor:
        """Return the latents of the last bookmark, and bring `stepper` there; `latents` if there is none of this run.

        Args:
            stepper: It has taken no step.
            latents: What it begins with.
            beside: What the model is given with all latents, if anything.
        """
        if not self._every:
            return latents
        levels = {"sigmas": stepper.sigmas.tolist(), "timesteps": list(stepper.timesteps)}
        begins = [_checksum(each) for each in (latents, beside) if each is not None]
        self._run = {**levels, "begins": begins, "dtype": self._dtype}
        kept = self._bookmarks.find(self._jobs)
        if kept is None or kept.said["run"] != self._run:
            return latents
        state = unpacked(kept.said["state"], kept.arrays, latents.device)
        stepper.restore(state["stepper"])
        self.before = state["seconds"]
        found: Tensor = state["latents"]
        return found

    def passed(self, stepper: Stepper, latents: Tensor) -> None:
        """Keep a bookmark if it is time; a whole step was just taken, and `latents` are what it gave."""
        if not self._every or stepper.steps_taken == stepper.steps or time.perf_counter() < self._last + self._every:
            return
        state = {"latents": latents, "stepper": stepper.state(), "seconds": self.seconds}
        arrays: list[NDArray[Any]] = []
        try:
            said = {"run": self._run, "state": packed(state, arrays)}
        except TypeError as error:
            self._every, self.refused = 0.0, str(error)
            return
        self._bookmarks.keep(self._jobs, Bookmark(arrays=arrays, said=said))
        self._last = time.perf_counter()


def _checksum(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.float().cpu().numpy().tobytes()).hexdigest()


def packed(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """Return `value` in JSON values, with its tensors put at the end of `arrays`.

    Raises:
        TypeError: there is something else than plain values, tensors, and lists and mappings of them.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Tensor():
            arrays.append(value.cpu().numpy())
            # How numbers lie in memory may choose another kernel, and so other last bits.
            strides = list(torch.empty_like(value).stride())
            return {"tensor": len(arrays) - 1, "strides": strides, "on_cpu": value.device.type == "cpu"}
        case list() | tuple():
            return [packed(each, arrays) for each in value]
        case Mapping():
            return {name: packed(each, arrays) for name, each in value.items()}
    message = f"{type(value).__name__}: cannot be kept for later"
    raise TypeError(message)


def unpacked(said: Any, arrays: Sequence[NDArray[Any]], device: torch.device) -> Any:
    """Return the value that `packed` made this of; its tensors are where they were, on the CPU or on `device`."""
    match said:
        case {"tensor": place, "strides": strides, "on_cpu": on_cpu}:
            tensor = torch.from_numpy(np.array(arrays[place]))
            laid = torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype, device="cpu" if on_cpu else device)
            return laid.copy_(tensor)
        case list():
            return [unpacked(each, arrays, device) for each in said]
        case dict():
            return {name: unpacked(each, arrays, device) for name, each in said.items()}
        case _:
            return said
