"""How far apart two pictures are, and what else differs in how they were made.

A peak signal-to-noise ratio alone cannot tell a last bit of noise from another sampler; beside what differs in the
records it can.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from batchgen.engine import Pixels
from batchgen.store.record import Record

_COMPARED = ("batchgen_version", "recipe", "execution", "environment")

_CHANCE = frozenset(
    f"execution.{name}" for name in ("attempt", "batch_ids", "batch_index", "latent_kept", "seconds_denoise")
)
"""What is another each time and no cause of other pixels: neighbours, places, times, and how often it was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How far apart two pictures, or clips, of the same size are."""

    psnr: float
    """Decibels over all channels: 10 log10(255^2 / mean squared difference); infinite for equal pictures."""
    largest: int
    """The largest difference of a channel, 0 to 255."""
    share: float
    """Pixels that differ at all, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field of the records that is another now."""

    field: str
    """Dotted: `environment.libraries.torch`."""
    then: Any
    """JSON value; None where it was not said."""
    now: Any
    """The same."""


def figures(one: Pixels, other: Pixels) -> Figures | None:
    """Compare two pictures; None where their sizes differ.

    >>> figures(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8))
    Figures(psnr=0.0, largest=255, share=1.0)
    """
    return figures_of_frames([one], [other])


def figures_of_frames(one: Iterable[Pixels], other: Iterable[Pixels]) -> Figures | None:
    """Compare two clips, frame by frame; None where their sizes or lengths differ."""
    squares, largest, differing, pixels = 0.0, 0, 0, 0
    for left, right in zip_longest(one, other):
        if left is None or right is None or left.shape != right.shape:
            return None
        apart = np.abs(left.astype(np.int16) - right.astype(np.int16))
        squares += float(np.sum(np.square(apart, dtype=np.float64)))
        largest = max(largest, int(apart.max()))
        differing += int(apart.any(axis=-1).sum())
        pixels += left.shape[0] * left.shape[1]
    mean = squares / (3 * pixels)
    return Figures(psnr=10 * math.log10(255**2 / mean) if mean else math.inf, largest=largest, share=differing / pixels)


def differences(then: Record, now: Record) -> tuple[Difference, ...]:
    """Return every field of recipe, execution and environment in which two records differ, in their order."""
    before = {name: value for part in _COMPARED for name, value in _leaves(part, then.get(part))}
    after = {name: value for part in _COMPARED for name, value in _leaves(part, now.get(part))}
    return tuple(
        Difference(field=name, then=before.get(name), now=after.get(name))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name) and name not in _CHANCE
    )


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(f"{name}.{key}", each)
    else:
        yield name, value
