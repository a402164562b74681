"""CogVideoX's two samplers, by diffusers' schedulers of the checkpoint's own configuration.

The last of its training levels has no signal at all (zero terminal SNR, arXiv:2305.08891): the network, which predicts
the velocity of arXiv:2202.00512, begins there.
"""

from collections.abc import Mapping, Sequence
from math import cos, pi
from typing import Any, NamedTuple

import diffusers
import numpy as np
from torch import Tensor

from batchgen.diffusion.noise import FreshNoise, Origin
from batchgen.diffusion.solvers import Course, Solver, State
from batchgen.errors import ModelError
from batchgen.models.training import prediction_of
from batchgen.parts import Sampling
from batchgen.sampling.schedules import Levels, Table

_NO_SIGNAL = 4.8973451890853435e-08
"""What ComfyUI takes for a share of signal of 0, so that every level is a number: 4519 at most."""


class Run(NamedTuple):
    """What a `Stepper` needs."""

    solver: Solver
    course: Course
    table: Table


def cogvideox_run(
    sampling: Sampling, config: Mapping[str, Any], seeds: Sequence[int | Origin], shape: Sequence[int]
) -> Run:
    """Prepare a run of `cogvideox_ddim` or `cogvideox_dpm`.

    Args:
        sampling: `sampler` and `steps` are read.
        config: The checkpoint's `scheduler_config.json`.
        seeds: One for each clip of the batch.
        shape: One clip's latent.

    Raises:
        ModelError: there are more steps than levels that the model was trained on.
    """
    ddim = sampling.sampler == "cogvideox_ddim"
    kind: Any = diffusers.CogVideoXDDIMScheduler if ddim else diffusers.CogVideoXDPMScheduler
    # As their authors sample, whatever stands in the file; the last level is visited.
    scheduler = kind.from_config(dict(config), timestep_spacing="trailing")
    if sampling.steps > scheduler.config.num_train_timesteps:
        raise ModelError(f"steps: this model has {scheduler.config.num_train_timesteps} levels, not {sampling.steps}")
    scheduler.set_timesteps(sampling.steps)
    # diffusers counts in floats, and for some numbers of steps one too far.
    times: list[int] = scheduler.timesteps[: sampling.steps].tolist()
    kept = np.maximum(scheduler.alphas_cumprod.double().numpy(), _NO_SIGNAL)
    table = Table(sigmas=np.sqrt((1.0 - kept) / kept))
    levels = table.sigmas[times]
    course = Course(
        sigmas=np.append(levels, 0.0), prediction=prediction_of(config), seeds=tuple(seeds), shape=tuple(shape)
    )
    return Run((_Ddim if ddim else _Dpm)(scheduler, times, course), course, table)


class _Ddim:
    """diffusers' CogVideoXDDIMScheduler."""

    preserving = True

    def __init__(self, scheduler: Any, times: Sequence[int], course: Course) -> None:
        self.levels: Levels = course.sigmas[:-1]
        self._scheduler = scheduler
        self._times = times
        self._calls = 0

    def advance(self, output: Tensor, latents: Tensor) -> Tensor:
        """Take one step."""
        time = self._times[self._calls]
        self._calls += 1
        taken: Tensor = self._scheduler.step(output, time, latents).prev_sample
        return taken

    def state(self) -> State:
        """Return where the run is."""
        return {"calls": self._calls}

    def restore(self, state: State) -> None:
        """Go on there."""
        self._calls = state["calls"]


class _Dpm(_Ddim):
    """The step of diffusers' CogVideoXDPMScheduler, with noise from any source."""

    def __init__(self, scheduler: Any, times: Sequence[int], course: Course) -> None:
        super().__init__(scheduler, times, course)
        self._noise = FreshNoise(course.seeds, course.shape)
        self._drawn = 0
        self._seen: Tensor | None = None

    def advance(self, output: Tensor, latents: Tensor) -> Tensor:
        """Take one step: the first and the last of first order, the others of second."""
        scheduler, time = self._scheduler, self._times[self._calls]
        kept = scheduler.alphas_cumprod[time]
        stride = scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        ends = time < stride
        after = scheduler.final_alpha_cumprod if ends else scheduler.alphas_cumprod[time - stride]
        before = scheduler.alphas_cumprod[self._times[self._calls - 1]] if self._calls else None
        seen = self._denoised(output, latents, kept)
        step, ratio, _, _ = scheduler.get_variables(kept, after, before)
        of_latents, of_seen, *second = scheduler.get_mult(step, ratio, kept, after, before)
        of_noise = (1 - after) ** 0.5 * (1 - (-2 * step).exp()) ** 0.5
        noise = self._draw()
        towards = seen
        if self._seen is not None and not ends:
            noise = self._draw()  # diffusers drops what it drew for a step of first order
            towards = second[0] * seen - second[1] * self._seen
        self._seen = seen
        self._calls += 1
        after_step: Tensor = of_latents * latents - of_seen * towards + of_noise * noise.to(latents)
        return after_step

    def _denoised(self, output: Tensor, latents: Tensor, kept: Tensor) -> Tensor:
        if self._scheduler.config.prediction_type == "v_prediction":
            return kept**0.5 * latents - (1 - kept) ** 0.5 * output
        return (latents - (1 - kept) ** 0.5 * output) / kept**0.5

    def _draw(self) -> Tensor:
        self._drawn += 1
        return self._noise(0.0, 0.0)

    def state(self) -> State:
        """Return where the run is, what the network saw there, and how often noise was drawn."""
        return {"calls": self._calls, "seen": self._seen, "drawn": self._drawn}

    def restore(self, state: State) -> None:
        """Go on there; the same noise is drawn again, which is right for every source of it."""
        self._calls, self._seen = state["calls"], state["seen"]
        while self._drawn < state["drawn"]:
            self._draw()


def dynamic(scale: float, steps: int, timestep: float) -> float:
    """Return the weight of guidance at a `timestep` as diffusers' CogVideoX pipelines compute it (`use_dynamic_cfg`).

    They count with the training step, up to 999, where the number of the step may have been meant: a wave between 1 and
    `scale` + 1, not a rise.
    """
    return 1 + scale * ((1 - cos(pi * ((steps - timestep) / steps) ** 5.0)) / 2)
