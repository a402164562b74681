"""Samplers that no diffusers scheduler computes as ComfyUI does, each written down as its paper has it.

A formula is a generator: it yields a latent with the noise level at which it wants it denoised, is sent the denoised
latent, and returns the last one. Latents are in the scale where the picture keeps its own ("variance exploding").

What a formula knows of earlier steps, beside the latent, stands in its memory and nowhere else: with that, and the
levels that are left, it goes on after any whole step as if it had never stopped.
"""

from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from math import exp, expm1, log, sqrt

import numpy as np
import torch
from torch import Tensor

from batchgen.sampling.schedules import Levels

Walk = Generator[tuple[Tensor, float], Tensor, Tensor]
"""Yields (latent, sigma), is sent the denoised latent, returns the picture's latent."""

NoiseBetween = Callable[[float, float], Tensor]
"""Noise for the step between two levels, on the CPU."""

Memory = list[tuple[float, Tensor]]
"""What steps leave to later ones, a number and a tensor each, the latest first."""

Formula = Callable[[Tensor, Sequence[float], NoiseBetween, Memory], Walk]
"""A sampler: starts from a latent at the first of the levels and ends at the last, 0."""


def levels_of(formula: Formula, sigmas: Sequence[float]) -> Levels:
    """Return the noise levels at which `formula` calls the denoiser, found by a rehearsal on zeros."""
    nothing = torch.zeros(1)
    walk = formula(nothing, sigmas, lambda _from, _to: nothing, [])
    found = [next(walk)[1]]
    try:
        while True:
            found.append(walk.send(nothing)[1])
    except StopIteration:
        return np.array(found)


def ancestral(sigma: float, sigma_next: float) -> tuple[float, float]:
    """Split a step to `sigma_next` into one further down and fresh noise back up: (down, up)."""
    up = sigma_next * sqrt(max(sigma**2 - sigma_next**2, 0.0)) / sigma
    return sigma_next**2 / sigma, up


def euler_ancestral(latents: Tensor, sigmas: Sequence[float], noise: NoiseBetween, _memory: Memory) -> Walk:
    """Take Euler's step further down than asked for, and put fresh noise back."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = yield latents, sigma
        down, up = ancestral(sigma, sigma_next)
        latents = denoised + (down / sigma) * (latents - denoised)
        if sigma_next > 0:
            latents = latents + up * noise(sigma, sigma_next).to(latents)
    return latents


def dpm_2_ancestral(latents: Tensor, sigmas: Sequence[float], noise: NoiseBetween, _memory: Memory) -> Walk:
    """Take the midpoint's step further down than asked for, arXiv:2206.00364's DPM2, and put fresh noise back."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = yield latents, sigma
        down, up = ancestral(sigma, sigma_next)
        if down == 0:
            return denoised
        middle = sqrt(sigma * down)
        halfway = denoised + (middle / sigma) * (latents - denoised)
        slope = ((yield halfway, middle) - halfway) / middle
        latents = latents + slope * (sigma - down) + up * noise(sigma, sigma_next).to(latents)
    return latents


def lcm(latents: Tensor, sigmas: Sequence[float], noise: NoiseBetween, _memory: Memory) -> Walk:
    """Take each denoised latent for the picture and put noise back: arXiv:2303.01469, algorithm 1."""
    for sigma, sigma_next in pairwise(sigmas):
        latents = yield latents, sigma
        if sigma_next > 0:
            latents = latents + sigma_next * noise(sigma, sigma_next).to(latents)
    return latents


def dpmpp_2s_ancestral(latents: Tensor, sigmas: Sequence[float], noise: NoiseBetween, _memory: Memory) -> Walk:
    """Take single steps of second order with the midpoint in log sigma, arXiv:2211.01095, then fresh noise."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = yield latents, sigma
        if sigma_next == 0:
            return denoised
        down, up = ancestral(sigma, sigma_next)
        middle = sqrt(sigma * down)
        halfway = denoised + (middle / sigma) * (latents - denoised)
        denoised = yield halfway, middle
        latents = denoised + (down / sigma) * (latents - denoised) + up * noise(sigma, sigma_next).to(latents)
    return latents


def dpmpp_3m_sde(latents: Tensor, sigmas: Sequence[float], noise: NoiseBetween, memory: Memory) -> Walk:
    """Take steps of third order on the stochastic equation from two earlier ones: k-diffusion's, after 2211.01095.

    It remembers steps in log sigma, each with what was denoised.
    """
    for sigma, sigma_next in pairwise(sigmas):
        denoised = yield latents, sigma
        if sigma_next == 0:
            return denoised
        step = log(sigma / sigma_next)
        latents = exp(-2 * step) * latents - expm1(-2 * step) * denoised + _curvature(step, denoised, memory)
        spread = sigma_next * sqrt(-expm1(-2 * step))
        latents = latents + spread * noise(sigma, sigma_next).to(latents)
        memory[:] = [(step, denoised), *memory[:1]]
    return latents


def _curvature(step: float, denoised: Tensor, earlier: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Return what the denoised latents before this one add to a step."""
    if not earlier:
        return torch.zeros_like(denoised)
    second = expm1(-2 * step) / (2 * step) + 1
    ratio = earlier[0][0] / step
    slope = (denoised - earlier[0][1]) / ratio
    if len(earlier) == 1:
        return second * slope
    ratio_before = earlier[1][0] / step
    slope_before = (earlier[0][1] - earlier[1][1]) / ratio_before
    bend = (slope - slope_before) / (ratio + ratio_before)
    third = second / (2 * step) - 0.5
    return second * (slope + ratio * bend) - third * bend


def deis(latents: Tensor, sigmas: Sequence[float], _noise: NoiseBetween, memory: Memory) -> Walk:
    """Extrapolate slopes by polynomials in diffusion time: tAB-DEIS of third order, arXiv:2204.13902.

    It remembers levels, each with the slope there.
    """
    for sigma, sigma_next in pairwise(sigmas):
        denoised = yield latents, sigma
        if sigma_next == 0:
            return denoised
        memory[:] = [(sigma, (latents - denoised) / sigma), *memory[:2]]
        weights = _deis_weights([*(level for level, _ in reversed(memory)), sigma_next])
        latents = latents + sum(weight * slope for weight, (_, slope) in zip(weights, memory, strict=True))
    return latents


_POINTS = 10_000
# ComfyUI takes the integral as the mean of so many points, both ends among them. A better rule would differ in the
# fourth digit.

_LEAST, _MOST, _EARLIEST = log(0.002**2 + 1), log(80.0**2 + 1), 1e-3
# The diffusion time in which the polynomials are drawn runs from 1e-3 at sigma 0.002 to 1 at sigma 80, on betas that
# rise evenly: arXiv:2206.00364, appendix C.

_RISE = 2 * (_LEAST / _EARLIEST - _MOST) / (_EARLIEST - 1)
_FLOOR = _MOST - _RISE / 2


def _deis_weights(sigmas: Sequence[float]) -> list[float]:
    """Return one weight a slope, the latest first; `sigmas` end with the present level and the next."""
    if len(sigmas) == 2:
        return [sigmas[1] - sigmas[0]]
    *known, after = _diffusion_times(np.array(sigmas))
    times = np.linspace(known[-1], after, _POINTS)
    grown = np.exp(times**2 * _RISE / 2 + times * _FLOOR)  # sigma^2 + 1
    speed = (times * _RISE + _FLOOR) * grown / (2 * np.sqrt(grown - 1))  # of sigma in diffusion time
    return [
        float(np.mean(speed * _lagrange(times, known, place)) * (after - known[-1]))
        for place in reversed(range(len(known)))
    ]


def _diffusion_times(sigmas: Levels) -> Levels:
    return (np.sqrt(_FLOOR**2 + 2 * _RISE * np.log(sigmas**2 + 1)) - _FLOOR) / _RISE


def _lagrange(times: Levels, known: Sequence[float], place: int) -> Levels:
    """Return the polynomial that is 1 at `known[place]` and 0 at the other known times."""
    others = [(times - other) / (known[place] - other) for index, other in enumerate(known) if index != place]
    return np.asarray(np.prod(others, axis=0))
