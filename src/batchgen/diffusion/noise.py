"""Noise, drawn on the CPU and for each picture by itself.

A picture's noise depends on its seed alone: not on its neighbours in the batch, the device, or any global generator.
As in ComfyUI, the first latent comes from one generator of the seed and the noise of stochastic steps from another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
import torch
import torchsde
from torch import Generator, Tensor

from batchgen.diffusion.philox import PhiloxStream
from batchgen.sampling.schedules import Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where one picture's noise comes from."""

    seed: int
    """0 to 2^64 - 1."""
    row: int = 0
    """Which row of a batch that has one generator for all, as ComfyUI's have; the rows before it are drawn, too."""
    rows: int = 1
    """How many rows the batch has; at least up to `row`. The first latent, and a Brownian path, are those of a batch of
    any size, but noise that is drawn after every step is drawn for all.
    """
    device: Literal["cpu", "cpu_continued", "nv"] = "cpu"
    """torch's generator on the CPU, begun anew for the noise of steps or continued; or what a CUDA device draws."""

    @property
    def plain(self) -> bool:
        """Whether it is torch's generator of the seed, and nobody else draws from it."""
        return self.device == "cpu" and self.row == 0 and self.rows == 1

    def stream(self, *, later: bool = False) -> Callable[[Sequence[int]], Tensor]:
        """Return a generator: each call draws the next noise of a shape, float32 on the CPU.

        `later`: it is for the noise of steps. A1111 goes on where the first latent ended, ComfyUI begins anew.
        """
        if self.device == "nv":
            return PhiloxStream(self.seed, drawn=int(later))
        generator = Generator("cpu").manual_seed(self.seed)
        drawn, rows = 0 if later and self.device == "cpu_continued" else 1, max(self.row + 1, self.rows)

        def draw(shape: Sequence[int]) -> Tensor:
            nonlocal drawn
            if not drawn:  # What the first latent had of this generator is drawn, and dropped.
                torch.randn((rows, *shape), generator=generator)
                drawn = 1
            return torch.randn((rows, *shape), generator=generator)[self.row]

        return draw


def _origin(seed: int | Origin) -> Origin:
    return Origin(seed=seed) if isinstance(seed, int) else seed


def first_noise(origins: Sequence[int | Origin], shape: Sequence[int]) -> Tensor:
    """Return standard normal noise, float32 on the CPU: [len(origins), *shape]."""
    return torch.stack([_origin(each).stream()(tuple(shape)) for each in origins])


class FreshNoise:
    """Independent noise after every step, from one generator for each picture."""

    def __init__(self, origins: Sequence[int | Origin], shape: Sequence[int]) -> None:
        """Draw noise of `shape` (one picture's) for each of `origins`; a seed alone is torch's on the CPU."""
        self._origins = [_origin(each) for each in origins]
        self._streams = [origin.stream(later=True) for origin in self._origins]
        self._shape = tuple(shape)

    @property
    def generators(self) -> list[Generator] | None:
        """Generators that draw the same; None where no generator of torch's does."""
        plain = all(origin.plain for origin in self._origins)
        return [Generator("cpu").manual_seed(origin.seed) for origin in self._origins] if plain else None

    def __call__(self, _from: float, _to: float) -> Tensor:
        """Return the next noise, the same whatever the levels: [pictures, *shape]."""
        return torch.stack([stream(self._shape) for stream in self._streams])


_DIGITS = 6
# torchsde tells times apart to so many digits after the point. ComfyUI's levels are float32.


class BrownianNoise:
    """Noise of a step as the increment of one Brownian path over noise levels, as in k-diffusion.

    The path belongs to the seed, so that runs with more steps refine the same picture instead of drawing another.
    """

    def __init__(self, origins: Sequence[int | Origin], shape: Sequence[int], levels: Levels) -> None:
        """Lay a path for each of `origins` over `levels`, all those that will be asked for."""
        single = levels[levels > 0].astype(np.float32)
        known: Levels = np.unique(np.round(single.astype(np.float64), _DIGITS))
        self._known = known
        # Where one level is all there is, no increment is ever asked for, and a path of no length cannot be laid.
        self._trees = [] if len(known) == 1 else [_path(_origin(each), shape, known) for each in origins]

    def __call__(self, sigma: float | Tensor, sigma_next: float | Tensor) -> Tensor:
        """Return the increment between two levels, scaled to variance 1: [pictures, *shape]."""
        high, low = self._nearest(float(sigma)), self._nearest(float(sigma_next))
        # Paths are laid from low to high and walked downwards: hence the sign.
        drawn: Tensor = torch.stack([-tree(low, high) for tree in self._trees])
        return drawn / sqrt(high - low)

    def _nearest(self, sigma: float) -> float:
        # A path is rough: a level off by a rounding error of 1e-7 would move the noise by its root, 3e-4.
        return float(self._known[np.abs(self._known - sigma).argmin()])


def _path(origin: Origin, shape: Sequence[int], known: Levels) -> Callable[[float, float], Tensor]:
    """Lay one path for all rows of a batch, as ComfyUI does, and return how this row of it moves between levels."""
    low, high = float(known[0]), float(known[-1])
    tree = torchsde.BrownianTree(low, torch.zeros((origin.row + 1, *shape)), high, entropy=origin.seed)
    return lambda begin, end: tree(begin, end)[origin.row]
