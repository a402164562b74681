"""Noise, drawn on the CPU and for each picture by itself.

A picture's noise depends on its seed alone: not on its neighbours in the batch, the device, or any global generator.
As in ComfyUI, the first latent comes from one generator of the seed and the noise of stochastic steps from another.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch
import torchsde
from torch import Generator, Tensor

from batchgen.sampling.schedules import Levels


def first_noise(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Return standard normal noise, float32 on the CPU: [len(seeds), *shape]."""
    return FreshNoise(seeds, shape)(0.0, 0.0)


class FreshNoise:
    """Independent noise after every step, from one generator for each picture."""

    def __init__(self, seeds: Sequence[int], shape: Sequence[int]) -> None:
        """Draw noise of `shape` (one picture's) for each of `seeds`, 0 to 2^64 - 1."""
        self.generators = [Generator("cpu").manual_seed(seed) for seed in seeds]
        self._shape = tuple(shape)

    def __call__(self, _from: float, _to: float) -> Tensor:
        """Return the next noise, the same whatever the levels: [pictures, *shape]."""
        return torch.stack([torch.randn(self._shape, generator=each) for each in self.generators])


_DIGITS = 6
# torchsde tells times apart to so many digits after the point. ComfyUI's levels are float32.


class BrownianNoise:
    """Noise of a step as the increment of one Brownian path over noise levels, as in k-diffusion.

    The path belongs to the seed, so that runs with more steps refine the same picture instead of drawing another.
    """

    def __init__(self, seeds: Sequence[int], shape: Sequence[int], levels: Levels) -> None:
        """Lay a path for each of `seeds` over `levels`, all those that will be asked for."""
        single = levels[levels > 0].astype(np.float32)
        known: Levels = np.unique(np.round(single.astype(np.float64), _DIGITS))
        self._known = known
        # Where one level is all there is, no increment is ever asked for, and a path of no length cannot be laid.
        self._trees = [] if len(known) == 1 else [_path(seed, shape, known) for seed in seeds]

    def __call__(self, sigma: float | Tensor, sigma_next: float | Tensor) -> Tensor:
        """Return the increment between two levels, scaled to variance 1: [pictures, *shape]."""
        high, low = self._nearest(float(sigma)), self._nearest(float(sigma_next))
        # Paths are laid from low to high and walked downwards: hence the sign.
        drawn: Tensor = torch.stack([-tree(low, high) for tree in self._trees])
        return drawn / sqrt(high - low)

    def _nearest(self, sigma: float) -> float:
        # A path is rough: a level off by a rounding error of 1e-7 would move the noise by its root, 3e-4.
        return float(self._known[np.abs(self._known - sigma).argmin()])


def _path(seed: int, shape: Sequence[int], known: Levels) -> torchsde.BrownianTree:
    low, high = float(known[0]), float(known[-1])
    return torchsde.BrownianTree(low, torch.zeros(tuple(shape)), high, entropy=seed)
