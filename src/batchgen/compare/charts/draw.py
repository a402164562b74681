"""Every chart of a run, and what they say."""

from collections.abc import Iterator
from dataclasses import dataclass

from batchgen.compare.charts.convergence import convergence
from batchgen.compare.charts.drawing import Chart, drawing
from batchgen.compare.charts.findings import findings
from batchgen.compare.charts.pace import Pace, pace, pace_chart
from batchgen.compare.charts.series import Sweep, gather, series_axes
from batchgen.compare.charts.tradeoff import tradeoff
from batchgen.compare.metrics import Differences
from batchgen.compare.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """What a run looks like in numbers."""

    charts: tuple[Chart, ...]
    """Those for which there is something to draw, what matters most first."""
    findings: tuple[str, ...]
    """Sentences."""


def draw_charts(results: Results, differences: Differences) -> Charts:
    """Draw every chart for which a run has something to show."""
    sweep, found = gather(results, differences), pace(results)
    if sweep is None and found is None:
        return Charts(charts=(), findings=())
    with drawing():
        charts = tuple(_drawn(sweep, found, differences.text))
    return Charts(charts=charts, findings=said(results, differences))


def said(results: Results, differences: Differences) -> tuple[str, ...]:
    """Return what the numbers say, without a drawing."""
    return findings(gather(results, differences), pace(results), own=_own(results, differences))


def _drawn(sweep: Sweep | None, found: Pace | None, reference: str) -> Iterator[Chart]:
    if sweep is not None:
        yield from convergence(sweep, reference)
        chart = tradeoff(sweep, reference)
        if chart is not None:
            yield chart
    if found is not None:
        yield pace_chart(found)


def _own(results: Results, differences: Differences) -> bool:
    """Say whether pictures were measured against such as have the same value on the first axis that makes series."""
    axes, places = series_axes(results), results.places
    pairs = [(place, places[of]) for place, of in zip(places, differences.reference, strict=True) if of >= 0]
    return bool(axes and pairs) and all(one.coordinates[axes[0]] == of.coordinates[axes[0]] for one, of in pairs)
