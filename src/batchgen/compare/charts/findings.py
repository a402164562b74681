"""What the numbers say, in sentences: no more than they say."""

from collections.abc import Iterator

from batchgen.compare.charts.pace import Pace
from batchgen.compare.charts.reading import (
    EVALUATIONS,
    PSNR,
    STEPS,
    Over,
    common_end,
    curve,
    decibels,
    enough,
    evaluations_differ,
    front,
    listed,
    nearest,
    offers,
)
from batchgen.compare.charts.series import Series, Sweep
from batchgen.compare.charts.tradeoff import brief

_NAMED = 3
"""Of a ranking."""

_ALIKE = 1.05
"""Times that differ by less are no finding."""

_NEAR = (40.0, 30.0)
"""dB that are asked for: the first that anything reaches."""


def findings(sweep: Sweep | None, found: Pace | None, *, own: bool) -> tuple[str, ...]:
    """Return what can be said of a run: what is near with how little, the Pareto front, and what is quick.

    Args:
        sweep: Its series, where it has any.
        found: Its pace, where there is something to compare.
        own: Whether each value of the first axis was measured against pictures of its own.
    """
    said = [*_of_nearness(sweep, own=own), *_of_front(sweep)] if sweep else []
    return tuple(dict.fromkeys([*said, *(_of_pace(found) if found else ())]))


def _of_nearness(sweep: Sweep, *, own: bool) -> Iterator[str]:
    over = EVALUATIONS if evaluations_differ(sweep) else STEPS
    end = common_end(sweep.series, over)
    if len(sweep.series) < 2 or not end:
        return
    if own:
        yield (
            f"each {sweep.axes[0]} was measured against its own pictures: "
            "the numbers say how soon it settles, not what it settles on"
        )
    xs = sorted({x for each in sweep.series for x, _ in curve(each, PSNR, over) if x <= end})
    for part in (4, 2):
        budget = max((x for x in xs if x <= end / part), default=xs[0])
        ranked = nearest(best_at(sweep, over, budget), over, budget)
        named = [f"{each.name} ({decibels(value)})" for each, value in ranked[:_NAMED]]
        if named:
            yield f"with up to {budget:g} {over.name} nearest to its reference: {listed(named)}"
    yield from _of_enough(sweep, over)


def best_at(sweep: Sweep, over: Over, budget: float) -> list[Series]:
    """Return for each value of the first axis the series that is nearest within a budget."""
    found: dict[str, Series] = {}
    for each, _ in nearest(sweep.series, over, budget):
        found.setdefault(each.first, each)
    return [*found.values()]


def _of_enough(sweep: Sweep, over: Over) -> Iterator[str]:
    for least in _NEAR:
        reached = {each: x for each in sweep.series if (x := enough(each, over, least)) is not None}
        if not reached:
            continue
        ranked = [each for each, _ in nearest(reached, over, min(reached.values()))]
        firsts: dict[str, str] = {}
        for each in sorted(ranked, key=reached.__getitem__):
            firsts.setdefault(each.first, f"{each.name} ({reached[each]:g})")
        yield f"{least:g} dB or nearer with the fewest {over.name}: {listed([*firsts.values()][:_NAMED])}"
        never = [name for name in sweep.firsts if name and name not in firsts]
        if never:
            yield f"never stays {least:g} dB or nearer in this run: {listed(never)}"
        return


def _of_front(sweep: Sweep) -> Iterator[str]:
    members = front(offers(sweep))
    if len({each.series.name for each in members}) < 2:
        return
    by_series: dict[str, list[str]] = {}
    for each in members:
        by_series.setdefault(each.series.name, []).append(f"{each.steps:g}")
    named = [f"{name} at {listed(steps)} steps" for name, steps in by_series.items()]
    yield f"nothing was both as quick and nearer (Pareto front) than {'; '.join(named)}"


def _of_pace(found: Pace) -> Iterator[str]:
    ranked = sorted(found.picture.items(), key=lambda pair: pair[1].middle)
    (quickest, least), (slowest, most) = ranked[0], ranked[-1]
    if most.middle < least.middle * _ALIKE:
        return
    at = "" if found.steps is None else f" at {found.steps:g} steps"
    one, other = (" · ".join(filter(None, key)) for key in (quickest, slowest))
    yield f"a picture{at} took {brief(least.middle)} with {one} and {brief(most.middle)} with {other} (medians)"
