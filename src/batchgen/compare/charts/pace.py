"""Seconds a picture: per value of the first axis that makes series (usually `sampler`), model and machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchgen.compare.charts import drawing
from batchgen.compare.charts.drawing import COLOURS, INK, MARKERS, PAPER, Chart
from batchgen.compare.charts.reading import listed
from batchgen.compare.charts.series import Spread, numeric, series_axes, spread
from batchgen.compare.charts.tradeoff import brief
from batchgen.compare.results import Result, Results
from batchgen.plan.sweep import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 60

_TITLE = "Seconds for a picture"
_STEPS = "steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How quickly pictures were made, at one number of steps."""

    axis: str
    """What the rows are values of; empty where they are models and machines."""
    steps: float | None
    picture: Mapping[tuple[str, str], Spread]
    """Seconds, by row and group."""
    evaluation: Mapping[tuple[str, str], Spread]
    """The same for one evaluation of the denoiser."""

    @property
    def rows(self) -> tuple[str, ...]:
        """The quickest first."""
        least: dict[str, float] = {}
        for (row, _), found in self.picture.items():
            least[row] = min(least.get(row, found.middle), found.middle)
        return tuple(sorted(least, key=least.__getitem__))

    @property
    def groups(self) -> tuple[str, ...]:
        """Models and machines, as they occur."""
        return tuple(dict.fromkeys(group for _, group in self.picture))


def pace(results: Results) -> Pace | None:
    """Return how quickly the pictures of a run were made; None where all were made by one and the same."""
    axis = next(iter(series_axes(results)), "")
    steps = max((each for each in results.axes.get(_STEPS, ()) if numeric([each])), default=None)
    chosen = [
        each
        for each in results.places
        if each.state == "made" and each.seconds and (steps is None or each.coordinates.get(_STEPS) == steps)
    ]
    said = _Names(results, chosen, axis)
    picture: dict[tuple[str, str], list[float]] = {}
    evaluation: dict[tuple[str, str], list[float]] = {}
    for each in chosen:
        key = said.row(each), said.group(each)
        picture.setdefault(key, []).append(each.seconds or 0.0)
        if each.evaluations:
            evaluation.setdefault(key, []).append((each.seconds or 0.0) / each.evaluations)
    if len(picture) < 2:
        return None
    return Pace(
        axis=axis,
        steps=steps,
        picture={key: found for key, values in picture.items() if (found := spread(values))},
        evaluation={key: found for key, values in evaluation.items() if (found := spread(values))},
    )


class _Names:
    """What tells pictures apart: in rows the axis, and in colours models and machines, as far as they differ."""

    def __init__(self, results: Results, chosen: Sequence[Result], axis: str) -> None:
        self._results, self._axis = results, axis
        self._models = axis != "model" and len({self._model(each) for each in chosen}) > 1
        self._machines = len({self._machine(each) for each in chosen}) > 1

    def row(self, place: Result) -> str:
        return label(place.coordinates[self._axis]) if self._axis else self._made_by(place)

    def group(self, place: Result) -> str:
        return self._made_by(place) if self._axis else ""

    def _made_by(self, place: Result) -> str:
        parts = (self._model(place) if self._models else "", self._machine(place) if self._machines else "")
        return " · ".join(filter(None, parts))

    def _model(self, place: Result) -> str:
        return str(place.recipe.get("model", ""))

    def _machine(self, place: Result) -> str:
        said = self._results.environments.get(place.environment, {})
        return str(said.get("device_name") or said.get("device") or "")


def pace_chart(found: Pace) -> Chart:
    """Return the chart: medians as points, quartiles as lines, the quickest on top."""
    rows, groups = found.rows[:MOST_ROWS], found.groups
    at = "" if found.steps is None else f" at {found.steps:g} steps"
    named = len(groups) > 1
    left_out = f" The quickest {MOST_ROWS} of {len(found.rows):,}." if len(found.rows) > MOST_ROWS else ""
    subtitle = f"Pictures{at}: median and quartiles.{left_out}"
    height = 1.35 + 0.27 * max(3, len(rows)) + (0.3 if named else 0)
    figure = drawing.figure(height, _TITLE, subtitle, legend=named)
    sides = [("seconds for a picture", found.picture), ("seconds for an evaluation of the denoiser", found.evaluation)]
    sides = [side for side in sides if side[1]]
    grid: Any = figure.subplots(1, len(sides), sharey=True, squeeze=False)
    for axes, (title, numbers) in zip(grid[0], sides, strict=True):
        _dots(axes, rows, groups, numbers)
        axes.set_xlabel(title)
    grid[0, 0].set_yticks(range(len(rows)), [drawing.plain(row, 40) for row in rows], color=INK)
    grid[0, 0].set_ylim(len(rows) - 0.4, -0.6)
    if named:
        _explain(figure, groups)
    text = f"Seconds for a picture{at}, the quickest first: {listed([*_said(found)], 20)}."
    return drawing.rendered(figure, "seconds", _TITLE, text)


def _said(found: Pace) -> list[str]:
    return [
        f"{' · '.join(filter(None, (row, group)))} {brief(found.picture[row, group].middle)}"
        for row in found.rows
        for group in found.groups
        if (row, group) in found.picture
    ]


def _dots(axes: "Axes", rows: Sequence[str], groups: Sequence[str], numbers: Mapping[tuple[str, str], Spread]) -> None:
    for rank, group in enumerate(groups):
        shift = (rank - (len(groups) - 1) / 2) * min(0.18, 0.7 / len(groups))
        there = [(number + shift, numbers[row, group]) for number, row in enumerate(rows) if (row, group) in numbers]
        colour, marker = COLOURS[rank % len(COLOURS)], MARKERS[rank % len(MARKERS)]
        axes.hlines(
            [y for y, _ in there],
            [each.low for _, each in there],
            [each.high for _, each in there],
            color=colour,
            linewidth=2.4,
            alpha=0.45,
        )
        axes.plot(
            [each.middle for _, each in there],
            [y for y, _ in there],
            linestyle="none",
            color=colour,
            marker=marker,
            markersize=6,
            markeredgecolor=PAPER,
            markeredgewidth=0.5,
        )
    least, most = (pick(each.middle for each in numbers.values()) for pick in (min, max))
    end = min(max(each.high for each in numbers.values()), 3 * most)  # one slow night must not push all others aside
    if least > 0 and most / least > 6:
        axes.set_xscale("log")
        axes.set_xlim(min(each.low for each in numbers.values()) / 1.2, end * 1.2)
        drawing.number_ticks(axes, "x")
    else:
        axes.set_xlim(0, end * 1.06 or 1)
    axes.tick_params(axis="y", length=0)


def _explain(figure: Any, groups: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    drawing.explain(
        figure,
        [
            Line2D(
                [],
                [],
                linestyle="none",
                color=COLOURS[rank % len(COLOURS)],
                marker=MARKERS[rank % len(MARKERS)],
                label=drawing.plain(group, 48),
            )
            for rank, group in enumerate(groups[: len(COLOURS)])
        ],
    )
