"""Denoising runs with ComfyUI's noise levels in them.

    stepper = make_stepper(sampling, scheduler_config=config, seeds=seeds, shape=(4, height // 8, width // 8))
    latents = stepper.first_latent(first_noise(seeds, shape).to(device))
    for timestep in stepper.timesteps:
        output = denoiser(stepper.model_input(latents), timestep)
        latents = stepper.step(output, latents)

Latents between calls are float32 on the denoiser's device, in a scale that the stepper knows and the caller need not.
Nothing but betas (or the shift of flow time) and the kind of prediction is read from a checkpoint's configuration:
`clip_sample`, `thresholding`, `timestep_spacing` and their like belong to other samplers than the one asked for.
"""

from collections.abc import Mapping, Sequence
from math import isclose, prod, sqrt
from typing import Any, Literal

import torch
from torch import Tensor

from batchgen.diffusion.cogvideox_steps import cogvideox_run
from batchgen.diffusion.noise import Origin
from batchgen.diffusion.solvers import SOLVERS, Course, Solver, State
from batchgen.models.training import prediction_of
from batchgen.parts import Sampling
from batchgen.sampling.names import COGVIDEOX_SAMPLERS, check_sampling
from batchgen.sampling.schedules import Levels, Table, flow_table, sigmas, timesteps_of, training_table

NoiseScale = Literal["full", "sigma"]


class Stepper:
    """One denoising run of one batch: made anew for each, and called in turn."""

    def __init__(self, solver: Solver, course: Course, table: Table) -> None:
        """Run `solver` over `course` for a model trained on `table`."""
        self._solver = solver
        self._table = table
        self._prediction = course.prediction
        self._calls = 0
        self.sigmas: Levels = course.sigmas
        """Noise levels as ComfyUI lists them, for the record."""
        self.timesteps: tuple[float, ...] = tuple(timesteps_of(solver.levels, table).tolist())
        """What the denoiser is told, one number a call: whole training steps, or 1000 * sigma for flow matching."""

    @property
    def steps(self) -> int:
        """Steps that will be taken."""
        return len(self.sigmas) - 1

    @property
    def calls(self) -> int:
        """Calls of the denoiser so far."""
        return self._calls

    @property
    def steps_taken(self) -> int:
        """Steps taken so far: 0 to `steps`."""
        if self._calls == len(self.timesteps):
            return self.steps
        return self._calls * self.steps // len(self.timesteps)

    def first_latent(self, noise: Tensor, scale: NoiseScale = "full") -> Tensor:
        """Return what a picture from nothing starts as, from standard normal `noise`; as `noised`."""
        return self.noised(torch.zeros_like(noise), noise, scale)

    def noised(self, latent: Tensor, noise: Tensor, scale: NoiseScale = "full") -> Tensor:
        """Return what a run starts as that begins with the picture `latent`: its noise at the first level.

        Args:
            latent: In its own scale; zeros, where there is no picture.
            noise: Standard normal, of the same shape.
            scale: Of noise at the level where training ended: `full` is sqrt(1 + sigma^2), `sigma` is what it says.
        """
        first = float(self.sigmas[0])
        if self._table.flow:
            mixed = (1.0 - first) * latent.float() + first * noise.float()
            return mixed / sqrt(first**2 + 1) if self._solver.preserving else mixed
        # At the level where training ended the model knows a variance of sigma^2 + 1, not sigma^2.
        highest = float(self._table.sigmas[-1])
        whole = scale == "full" and (first > highest or isclose(first, highest, rel_tol=1e-5))
        mixed = latent.float() + noise.float() * (sqrt(first**2 + 1) if whole else first)
        return mixed / sqrt(first**2 + 1) if self._solver.preserving else mixed

    def kept(self, latents: Tensor, source: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
        """Return `latents` that are outside of `mask` what `source` is at this level, as ComfyUI keeps them.

        Args:
            latents: Those of the sampler.
            source: The picture's latent, in its own scale.
            noise: That of the first latent.
            mask: 1 where the picture is painted anew, of a shape that fits.
        """
        sigma = self._level
        known = (1.0 - sigma) * source + sigma * noise if self._table.flow else source + sigma * noise
        if self._solver.preserving:
            known = known / sqrt(sigma**2 + 1)
        return latents * mask + known * (1 - mask)

    def seeing(self, output: Tensor, kept: Tensor, latents: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        """Return the denoiser's `output` for `kept`, as one for `latents`, and as if outside of `mask` it saw `source`.

        As in ComfyUI the sampler goes on from its own latents: on a soft edge they are not those that are denoised.
        """
        sigma, known = self._level, mask == 1
        scale = sqrt(sigma**2 + 1) if self._solver.preserving else 1.0
        if self._prediction == "epsilon":
            seen = kept * scale - sigma * output.float()
            other = (latents * scale - torch.lerp(source, seen, mask)) / sigma
        else:
            spread = sigma / sqrt(sigma**2 + 1)
            seen = kept * scale / (sigma**2 + 1) - spread * output.float()
            other = (latents * scale / (sigma**2 + 1) - torch.lerp(source, seen, mask)) / spread
        return torch.where(known, output.float(), other)

    @property
    def _level(self) -> float:
        return float(self._solver.levels[self._calls])

    def model_input(self, latents: Tensor) -> Tensor:
        """Return `latents` in the scale that the denoiser was trained on."""
        if self._solver.preserving == (not self._table.flow):
            return latents
        # In the picture's own scale flow is solved as it is: a level is a share of noise there, too.
        scale = sqrt(self._level**2 + 1)
        return latents * scale if self._table.flow else latents / scale

    def step(self, output: Tensor, latents: Tensor) -> Tensor:
        """Return the latents after one call of the denoiser; after the last one, the picture's.

        Args:
            output: What the denoiser gave for `model_input(latents)`, guidance applied; any floating dtype.
            latents: What `first_latent`, `noised` or the last `step` returned.
        """
        after = self._solver.advance(output.float(), latents.float())
        self._calls += 1
        if self._solver.preserving and self._calls == len(self.timesteps):
            return after * sqrt(float(self.sigmas[-1]) ** 2 + 1)
        return after

    def state(self) -> State:
        """Return all that is needed, beside the latents, to go on after the step just taken; a whole one."""
        return {"calls": self._calls, "solver": self._solver.state()}

    def restore(self, state: State) -> None:
        """Go on where another stepper of the same run was when it gave `state`; this one has taken no step yet."""
        self._calls = state["calls"]
        self._solver.restore(state["solver"])


def make_stepper(
    sampling: Sampling,
    *,
    scheduler_config: Mapping[str, Any],
    seeds: Sequence[int | Origin],
    shape: Sequence[int],
    flow: bool = False,
    strength: float | None = None,
) -> Stepper:
    """Prepare a run.

    Args:
        sampling: `sampler`, `schedule` and `steps` are read.
        scheduler_config: The checkpoint's `scheduler_config.json`.
        seeds: One for each picture of the batch.
        shape: One picture's latent: (channels, height, width), or (tokens, features) as FLUX packs them.
        flow: Whether the model is a flow-matching one.
        strength: For image to image, 0 < strength <= 1: how much of the noise is put on the picture.

    Raises:
        UsageError: sampler or schedule is unknown, or there are too few steps for the schedule.
        ModelError: the model was trained in a way that is not supported, or cannot use this sampler or schedule.
    """
    cogvideox = sampling.sampler in COGVIDEOX_SAMPLERS
    check_sampling(sampling.sampler, sampling.schedule, steps=sampling.steps, flow=flow, cogvideox=cogvideox)
    if cogvideox:
        return Stepper(*cogvideox_run(sampling, scheduler_config, seeds, shape))
    table = (
        flow_table(scheduler_config, tokens=_tokens(shape), shift=sampling.shift)
        if flow
        else training_table(scheduler_config)
    )
    levels = sigmas(sampling.schedule, sampling.steps, table, sampler=sampling.sampler, strength=strength)
    prediction = "epsilon" if flow else prediction_of(scheduler_config)
    course = Course(sigmas=levels, prediction=prediction, seeds=tuple(seeds), shape=tuple(shape))
    return Stepper(SOLVERS[sampling.sampler](course), course, table)


def _tokens(shape: Sequence[int]) -> int:
    # FLUX makes a token of 2x2 latent pixels, LTX-Video of one in one latent frame.
    if len(shape) == 4:
        return prod(shape[1:])
    return shape[0] if len(shape) == 2 else prod(side // 2 for side in shape[1:])
