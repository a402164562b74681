"""Reading series: what is nearest within a budget, what comes near enough with how little, and the Pareto front."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from batchgen.compare.charts.series import Point, Series, Spread, Sweep, within

CAP = 60.0
"""dB: what is nearer differs in single bits, and must not outweigh all else in a mean."""

MATTERS = 0.5
"""dB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One way to say how near a picture is to its reference."""

    name: str
    unit: str
    of: Callable[[Point], Spread | None]

    whole: float
    """What a picture has that equals its reference."""

    def equal(self, found: Spread) -> bool:
        """Say whether most pictures equal their references."""
        return found.middle >= self.whole

    @property
    def label(self) -> str:
        """What stands beside an axis."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """What it takes to come near."""

    name: str
    label: str
    of: Callable[[Point], float | None]


PSNR = Metric(name="PSNR", unit="dB", of=lambda point: point.psnr, whole=math.inf)
SSIM = Metric(name="SSIM", unit="", of=lambda point: point.ssim, whole=1.0)
STEPS = Over(name="steps", label="steps", of=lambda point: point.steps)
EVALUATIONS = Over(name="evaluations", label="evaluations of the denoiser", of=lambda point: point.evaluations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A series at one number of steps: what it costs, and how near it comes."""

    series: Series
    steps: float
    seconds: float
    psnr: float
    """dB, the median; may be infinite."""


def curve(series: Series, metric: Metric, over: Over) -> list[tuple[float, Spread]]:
    """Return where a series was measured, from left to right."""
    pairs = ((over.of(point), metric.of(point)) for point in series.points)
    return sorted(((x, found) for x, found in pairs if x is not None and found), key=lambda pair: pair[0])


def measured(series: Iterable[Series], metric: Metric) -> bool:
    """Say whether anything was that does not equal its reference."""
    return any((found := metric.of(point)) and not metric.equal(found) for each in series for point in each.points)


def evaluations_differ(sweep: Sweep) -> bool:
    """Say whether steps and evaluations are two things: `heun` asks the denoiser twice a step."""
    points = [point for each in sweep.series for point in each.points]
    return any(point.evaluations is not None and point.evaluations != point.steps for point in points)


def common_end(series: Iterable[Series], over: Over) -> float:
    """Return the largest x that all series were measured up to: beyond it there is nothing to compare."""
    return min((places[-1][0] for each in series if (places := curve(each, PSNR, over))), default=0.0)


def best(sweep: Sweep) -> tuple[Series, ...]:
    """Return for each value of the first axis the series that is nearest to its references, as the mean over steps."""
    found: dict[str, Series] = {}
    for each in sweep.series:
        if each.first not in found or _nearness(each) > _nearness(found[each.first]):
            found[each.first] = each
    return tuple(found.values())


def nearest(series: Iterable[Series], over: Over, budget: float) -> list[tuple[Series, float]]:
    """Return series with what they reach within a budget, in dB, the nearest first."""
    found = []
    for each in series:
        within = [spread.middle for x, spread in curve(each, PSNR, over) if x <= budget]
        if within:
            found.append((each, within[-1]))
    return sorted(found, key=lambda pair: -pair[1])


def enough(series: Series, over: Over, least: float) -> float | None:
    """Return from where on a series is at least so near, in dB; None where it never stays so."""
    found = None
    for x, spread in reversed(curve(series, PSNR, over)):
        if spread.middle < least:
            break
        found = x
    return found


def offers(sweep: Sweep) -> Iterator[Offer]:
    """Yield what every series has to offer at each number of steps."""
    for series in sweep.series:
        for point in series.points:
            if point.psnr and point.seconds:
                yield Offer(series=series, steps=point.steps, seconds=point.seconds.middle, psnr=point.psnr.middle)


def front(all_offers: Iterable[Offer]) -> list[Offer]:
    """Return the Pareto front, the quickest first: what nothing else is both at least as quick and nearer than.

    What is nearer by less than `MATTERS` is no member: it would be another one in the next run.
    """
    found: list[Offer] = []
    for each in sorted(all_offers, key=lambda each: (each.seconds, -each.psnr)):
        if not found or found[-1].psnr + MATTERS <= each.psnr != found[-1].psnr:
            found.append(each)
    return found


def _nearness(series: Series) -> float:
    values = [min(spread.middle, CAP) for _, spread in curve(series, PSNR, STEPS)]
    return sum(values) / len(values) if values else -1.0


def decibels(psnr: float) -> str:
    """Say how near something is.

    >>> decibels(31.25), decibels(math.inf)
    ('31.2 dB', 'equal')
    """
    return f"{psnr:.1f} dB" if within(psnr) else "equal"


def listed(words: Sequence[str], most: int = 1000) -> str:
    """Return words as a sentence has them.

    >>> listed(["euler", "heun", "lms"]), listed(["euler", "heun", "lms"], 1)
    ('euler, heun and lms', 'euler and 2 more')
    """
    shown = [*words] if len(words) <= most else [*words[:most], f"{len(words) - most} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]])) if shown else ""
