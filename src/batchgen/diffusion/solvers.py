"""The algorithm of each sampler: the only module that builds diffusers schedulers.

A diffusers scheduler computes the steps of ComfyUI once it is given ComfyUI's levels instead of its own, so levels are
written into it here. Where no scheduler computes what ComfyUI does, the steps stand in `formulas.py`.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import sqrt
from types import MappingProxyType
from typing import Any, Literal, Protocol

import diffusers
import numpy as np
import torch
from torch import Tensor

from batchgen.diffusion import formulas
from batchgen.diffusion.noise import BrownianNoise, FreshNoise, Origin
from batchgen.sampling.schedules import Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What every algorithm needs to know of a run."""

    sigmas: Levels
    """Noise levels from the first to the end, one more than steps."""

    prediction: Literal["epsilon", "v_prediction"]
    """What the denoiser gives. A velocity of flow matching stands where noise does: x0 = x - sigma * output."""

    seeds: Sequence[int | Origin]
    """One for each picture of the batch, or where else its noise comes from."""

    shape: Sequence[int]
    """One picture's latent."""

    def denoised(self, output: Tensor, latents: Tensor, sigma: float) -> Tensor:
        """Return the picture that the denoiser sees in `latents` of level `sigma`."""
        if self.prediction == "epsilon":
            return latents - sigma * output
        return latents / (sigma**2 + 1) - output * (sigma / sqrt(sigma**2 + 1))


State = Mapping[str, Any]
"""Plain values, tensors, and lists and mappings of them."""


class Solver(Protocol):
    """An algorithm in the middle of a run."""

    levels: Levels
    """The noise level of each call of the denoiser."""

    preserving: bool
    """Whether latents are scaled down to variance 1 ("variance preserving") instead of keeping the picture's scale."""

    def advance(self, output: Tensor, latents: Tensor) -> Tensor:
        """Return the latents to denoise next, or the picture's."""
        ...

    def state(self) -> State:
        """Return all that later steps need of earlier ones, but for the latents; asked for after whole steps only."""
        ...

    def restore(self, state: State) -> None:
        """Go on, before the first call, from where another solver of the same run gave this `state`."""
        ...


class _Scheduled:
    """A diffusers scheduler with levels written into it."""

    def __init__(self, scheduler: Any, *, written: Levels, levels: Levels, preserving: bool = False) -> None:
        scheduler.sigmas = _tensor(written)
        # These are counted, never looked up: the step index starts at 0 and goes up by one.
        scheduler.timesteps = _tensor(levels)
        scheduler.num_inference_steps = len(levels)
        scheduler.set_begin_index(0)
        # `Stepper.model_input` scales instead; some schedulers warn if their own method was not called.
        scheduler.is_scale_input_called = True
        self.scheduler = scheduler
        self.levels = levels
        self.preserving = preserving
        self.arguments: Callable[[Tensor], Mapping[str, Any]] = lambda _latents: {}
        """What the scheduler's `step` is given beyond output and latents: noise."""
        self.generators: Sequence[torch.Generator] = ()
        """Those it draws from, one for each picture."""

    def advance(self, output: Tensor, latents: Tensor) -> Tensor:
        """Take one call's part of a step."""
        taken: Tensor = self.scheduler.step(output, 0.0, latents, **self.arguments(latents)).prev_sample
        return taken

    def state(self) -> State:
        """Return everything that the scheduler holds but its configuration and code, and the generators' states."""
        held = {name: value for name, value in vars(self.scheduler).items() if not callable(value)}
        held.pop("_internal_dict")
        return {"scheduler": held, "generators": [generator.get_state() for generator in self.generators]}

    def restore(self, state: State) -> None:
        """Give the scheduler what another one held."""
        vars(self.scheduler).update(state["scheduler"])
        for generator, drawn in zip(self.generators, state["generators"], strict=True):
            generator.set_state(drawn)


class _EndsDenoised(_Scheduled):
    """A scheduler whose last step is replaced: the picture is what the denoiser sees."""

    def advance(self, output: Tensor, latents: Tensor) -> Tensor:
        """Take a step, or return the denoised latents at the last level."""
        taken = self.scheduler.step(output, 0.0, latents)
        ended = self.scheduler.step_index == len(self.levels)
        found: Tensor = taken.pred_original_sample if ended else taken.prev_sample
        return found


class _Written:
    """A formula of our own."""

    preserving = False

    def __init__(self, formula: formulas.Formula, course: Course, noise: formulas.NoiseBetween) -> None:
        self.levels = formulas.levels_of(formula, course.sigmas.tolist())
        self._formula = formula
        self._noise = noise
        self._course = course
        self._walk: formulas.Walk | None = None
        self._memory: formulas.Memory = []
        self._drawn: list[tuple[float, float]] = []
        self._calls = 0

    def advance(self, output: Tensor, latents: Tensor) -> Tensor:
        """Send the formula what the denoiser sees, and return what it wants denoised next."""
        if self._walk is None:
            steps = len(self._course.sigmas) - 1
            # Only the last step may take a call less than the others.
            taken = self._calls // -(-len(self.levels) // steps)
            self._walk = self._formula(latents, self._course.sigmas.tolist()[taken:], self._between, self._memory)
            next(self._walk)
        denoised = self._course.denoised(output, latents, float(self.levels[self._calls]))
        self._calls += 1
        try:
            return self._walk.send(denoised)[0]
        except StopIteration as end:
            found: Tensor = end.value
            return found

    def _between(self, sigma: float, sigma_next: float) -> Tensor:
        self._drawn.append((sigma, sigma_next))
        return self._noise(sigma, sigma_next)

    def state(self) -> State:
        """Return what the formula remembers, and for which steps noise was drawn."""
        return {"calls": self._calls, "memory": self._memory, "drawn": self._drawn}

    def restore(self, state: State) -> None:
        """Remember the same, and draw the same noise again: that costs little, and is right for every source of it."""
        self._calls = state["calls"]
        self._memory = [(number, tensor) for number, tensor in state["memory"]]
        for sigma, sigma_next in state["drawn"]:
            self._between(sigma, sigma_next)


def _build(kind: Any, course: Course, **arguments: Any) -> Any:
    """Make a diffusers scheduler with nothing written into it yet."""
    with warnings.catch_warnings():
        # diffusers hands torch tensors to numpy in ways that numpy 2 means to end.
        warnings.simplefilter("ignore", category=DeprecationWarning)
        # Its own table of levels is never looked at; one of 1000 would take some classes a tenth of a second.
        scheduler = kind(prediction_type=course.prediction, num_train_timesteps=2, **arguments)
        scheduler.set_timesteps(len(course.sigmas) - 1)  # makes the lists in which earlier steps are kept
    return scheduler


def _tensor(levels: Levels) -> Tensor:
    return torch.from_numpy(levels.astype(np.float32))


def _twice(levels: Levels) -> Levels:
    """Each level but the first and the last two times, as schedulers with two calls a step count them."""
    return np.concatenate([levels[:1], np.repeat(levels[1:-1], 2), levels[-1:]])


def _between(levels: Levels, middles: Levels) -> Levels:
    """Put the middle of each step behind its level; the last step has none, as it goes to 0 at once."""
    return np.insert(levels[:-1], range(1, len(levels) - 1), middles[: len(levels) - 2])


def _euler(course: Course) -> Solver:
    scheduler = _build(diffusers.EulerDiscreteScheduler, course)
    return _Scheduled(scheduler, written=course.sigmas, levels=course.sigmas[:-1])


def _euler_ancestral(course: Course) -> Solver:
    noise = FreshNoise(course.seeds, course.shape)
    if noise.generators is None:
        return _Written(formulas.euler_ancestral, course, noise)
    scheduler = _build(diffusers.EulerAncestralDiscreteScheduler, course)
    solver = _Scheduled(scheduler, written=course.sigmas, levels=course.sigmas[:-1])
    return _freshly(solver, course)


def _freshly(solver: _Scheduled, course: Course) -> Solver:
    # A list of generators makes diffusers draw for each picture by itself, on the generators' device.
    solver.generators = FreshNoise(course.seeds, course.shape).generators or ()
    solver.arguments = lambda _latents: {"generator": solver.generators}
    return solver


def _heun(course: Course) -> Solver:
    scheduler = _build(diffusers.HeunDiscreteScheduler, course)
    written = _twice(course.sigmas)
    return _Scheduled(scheduler, written=written, levels=written[:-1])


def _lms(course: Course) -> Solver:
    scheduler = _build(diffusers.LMSDiscreteScheduler, course)
    solver = _EndsDenoised(scheduler, written=course.sigmas, levels=course.sigmas[:-1])
    # This class integrates polynomials of levels numerically: as tensors they would take it 30 ms a step.
    scheduler.sigmas = course.sigmas.tolist()
    return solver


def _dpm_2(course: Course) -> Solver:
    scheduler = _build(diffusers.KDPM2DiscreteScheduler, course)
    middles = np.sqrt(course.sigmas[:-1] * course.sigmas[1:])
    solver = _Scheduled(scheduler, written=_thrice(course.sigmas), levels=_between(course.sigmas, middles))
    # This class counts the middle of a step from the level at its end.
    scheduler.sigmas_interpol = _tensor(_thrice(np.insert(middles, 0, 0.0)))
    return solver


def _dpm_2_ancestral(course: Course) -> Solver:
    noise = FreshNoise(course.seeds, course.shape)
    if noise.generators is None:
        return _Written(formulas.dpm_2_ancestral, course, noise)
    scheduler = _build(diffusers.KDPM2AncestralDiscreteScheduler, course)
    down, up = np.transpose([formulas.ancestral(*pair) for pair in pairwise(course.sigmas.tolist())])
    middles = np.sqrt(course.sigmas[:-1] * down)
    solver = _Scheduled(scheduler, written=_thrice(course.sigmas), levels=_between(course.sigmas, middles))
    scheduler.sigmas_interpol = _tensor(_thrice(np.append(middles, 0.0)))
    scheduler.sigmas_up = _tensor(_thrice(np.append(up, 0.0)))
    scheduler.sigmas_down = _tensor(_thrice(np.append(down, 0.0)))
    return _freshly(solver, course)


def _thrice(levels: Levels) -> Levels:
    """As `_twice`, with the last level three times: how the KDPM2 classes count."""
    return np.concatenate([levels[:1], np.repeat(levels[1:], 2), levels[-1:]])


def _dpmpp_sde(course: Course) -> Solver:
    scheduler = _build(diffusers.DPMSolverSDEScheduler, course)
    levels = _between(course.sigmas, np.sqrt(course.sigmas[:-1] * course.sigmas[1:]))
    solver = _Scheduled(scheduler, written=_twice(course.sigmas), levels=levels)
    noise = BrownianNoise(course.seeds, course.shape, levels)

    def set_noise(latents: Tensor) -> Mapping[str, Any]:
        # This class asks an attribute for noise, and adds it where the latents are.
        scheduler.noise_sampler = lambda sigma, sigma_next: noise(sigma, sigma_next).to(latents)
        return {}

    solver.arguments = set_noise
    return solver


def _dpmpp_2m(course: Course) -> Solver:
    scheduler = _build(diffusers.DPMSolverMultistepScheduler, course)
    return _Scheduled(scheduler, written=course.sigmas, levels=course.sigmas[:-1], preserving=True)


def _dpmpp_2m_sde(course: Course) -> Solver:
    scheduler = _build(diffusers.DPMSolverMultistepScheduler, course, algorithm_type="sde-dpmsolver++")
    solver = _Scheduled(scheduler, written=course.sigmas, levels=course.sigmas[:-1], preserving=True)
    noise = BrownianNoise(course.seeds, course.shape, course.sigmas)
    nothing = torch.zeros(len(course.seeds), *course.shape)

    def between(_latents: Tensor) -> Mapping[str, Any]:
        place = scheduler.step_index or 0
        sigma, sigma_next = course.sigmas[place : place + 2]
        return {"variance_noise": noise(sigma, sigma_next) if sigma_next > 0 else nothing}

    solver.arguments = between
    return solver


def _uni_pc(course: Course, *, variant: Literal["bh1", "bh2"]) -> Solver:
    # ComfyUI's order for one step would be 0, which takes none.
    order = max(min(3, len(course.sigmas) - 2), 1)
    scheduler = _build(diffusers.UniPCMultistepScheduler, course, solver_order=order, solver_type=variant)
    return _Scheduled(scheduler, written=course.sigmas, levels=course.sigmas[:-1], preserving=True)


def _written_fresh(course: Course, *, formula: formulas.Formula) -> Solver:
    return _Written(formula, course, FreshNoise(course.seeds, course.shape))


def _written_brownian(course: Course, *, formula: formulas.Formula) -> Solver:
    return _Written(formula, course, BrownianNoise(course.seeds, course.shape, course.sigmas))


SOLVERS: Mapping[str, Callable[[Course], Solver]] = MappingProxyType(
    {
        "euler": _euler,
        "euler_ancestral": _euler_ancestral,
        "heun": _heun,
        "dpm_2": _dpm_2,
        "dpm_2_ancestral": _dpm_2_ancestral,
        "lms": _lms,
        "dpmpp_2s_ancestral": partial(_written_fresh, formula=formulas.dpmpp_2s_ancestral),
        "dpmpp_sde": _dpmpp_sde,
        "dpmpp_2m": _dpmpp_2m,
        "dpmpp_2m_sde": _dpmpp_2m_sde,
        "dpmpp_3m_sde": partial(_written_brownian, formula=formulas.dpmpp_3m_sde),
        # In the picture's own scale DDIM is Euler's method, and DDPM's posterior is Euler's ancestral step.
        "ddim": _euler,
        "ddpm": _euler_ancestral,
        "uni_pc": partial(_uni_pc, variant="bh1"),
        "uni_pc_bh2": partial(_uni_pc, variant="bh2"),
        "lcm": partial(_written_fresh, formula=formulas.lcm),
        "deis": partial(_written_fresh, formula=formulas.deis),
    }
)
"""How the run of each sampler is built."""
