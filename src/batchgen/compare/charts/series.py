"""What charts draw: for each combination of swept values, over steps, the middle and the spread of what was measured.

A series is a value of the first swept axis that is no number (usually `sampler`) with one of the second (usually
`schedule`). Over all else, prompts and seeds foremost, medians and quartiles are taken.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from batchgen.compare.metrics import Differences
from batchgen.compare.results import Results
from batchgen.plan.sweep import label

STEPS = "steps"
_ASIDE = ("prompt", "seed", STEPS)
"""Axes that make no series of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Some numbers: their quartiles."""

    low: float
    middle: float
    """The median."""
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The pictures of a series at one number of steps."""

    steps: float
    count: int
    """Of pictures."""
    evaluations: float | None
    """Of the denoiser for a picture: the median."""
    seconds: Spread | None
    """For a picture."""
    psnr: Spread | None
    """dB; None where nothing was measured."""
    ssim: Spread | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The points of one combination of values, steps ascending."""

    first: str
    """Its value on the first of the axes that make series; empty where there is none."""
    second: str
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """What it is called where all are shown together."""
        return " ".join(filter(None, (self.first, self.second)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Every series of a run, in the manifest's order."""

    axes: tuple[str, ...]
    """Up to two, that make series."""
    series: tuple[Series, ...]

    @property
    def firsts(self) -> tuple[str, ...]:
        """The values of the first axis that occur."""
        return tuple(dict.fromkeys(each.first for each in self.series))

    @property
    def seconds(self) -> tuple[str, ...]:
        """The values of the second axis that occur."""
        return tuple(dict.fromkeys(each.second for each in self.series))


def gather(results: Results, differences: Differences) -> Sweep | None:
    """Return the series of a run; None where it varies no steps."""
    if STEPS not in results.varying or not numeric(results.axes[STEPS]):
        return None
    axes = series_axes(results)
    said = [_labels(results, name) for name in axes]
    found: dict[tuple[str, ...], dict[float, list[int]]] = {}
    for number, place in enumerate(results.places):
        steps = place.coordinates[STEPS]
        if place.state == "made" and steps is not None:
            key = tuple(label(place.coordinates[name]) for name in axes)
            found.setdefault(key, {}).setdefault(float(steps), []).append(number)
    ranks = [{value: rank for rank, value in enumerate(each)} for each in said]
    keys = sorted(found, key=lambda key: [rank[value] for rank, value in zip(ranks, key, strict=True)])
    series = [
        _series([each[value] for each, value in zip(said, key, strict=True)], found[key], results, differences)
        for key in keys
    ]
    return Sweep(axes=axes, series=tuple(series))


def series_axes(results: Results) -> tuple[str, ...]:
    """Return up to two axes that make series: those of words first, each in the manifest's order."""
    swept = [name for name in results.varying if name not in _ASIDE]
    return tuple(sorted(swept, key=lambda name: numeric(results.axes[name]))[:2])


def spread(values: Iterable[float | None]) -> Spread | None:
    """Return the quartiles of the numbers in `values`; None where there are none.

    >>> spread([1.0, None, 3.0])
    Spread(low=1.5, middle=2.0, high=2.5)
    """
    numbers = np.array([value for value in values if value is not None], float)
    if not numbers.size:
        return None
    # Between a number and infinity there is nothing: of the two the number, which claims less.
    method = "linear" if np.isfinite(numbers).all() else "lower"
    low, middle, high = np.quantile(numbers, (0.25, 0.5, 0.75), method=method)  # type: ignore[call-overload]
    return Spread(low=float(low), middle=float(middle), high=float(high))


def _labels(results: Results, axis: str) -> dict[str, str]:
    """Return what the values of an axis are called, by their labels: a number alone would say nothing."""
    values = results.axes[axis]
    return {label(value): f"{axis} {label(value)}" if numeric(values) else label(value) for value in values}


def _series(key: Sequence[str], by_steps: dict[float, list[int]], results: Results, differences: Differences) -> Series:
    first, second = (*key, "", "")[:2]
    points = [_point(steps, by_steps[steps], results, differences) for steps in sorted(by_steps)]
    return Series(first=first, second=second, points=tuple(points))


def _point(steps: float, numbers: Sequence[int], results: Results, differences: Differences) -> Point:
    places = [results.places[number] for number in numbers]
    evaluations = spread(each.evaluations for each in places)
    return Point(
        steps=steps,
        count=len(numbers),
        evaluations=evaluations.middle if evaluations else None,
        seconds=spread(each.seconds for each in places),
        psnr=spread(differences.psnr[number] for number in numbers),
        ssim=spread(differences.ssim[number] for number in numbers),
    )


def numeric(values: Sequence[Any]) -> bool:
    """Say whether all values of an axis are numbers, where it has one."""
    there = [value for value in values if value is not None]
    return bool(there) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)


def within(value: float | None) -> bool:
    """Say whether there is a number, and a finite one."""
    return value is not None and math.isfinite(value)
