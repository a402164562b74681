"""Convergence: how near each series comes to its reference, over steps and over evaluations of the denoiser.

Up to eight series stand in one chart. Of more, an overview shows each value of the first axis with its best one of the
second, and further charts have a panel for each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from batchgen.compare.charts import drawing
from batchgen.compare.charts.drawing import COLOURS, DASHES, INK, MARKERS, OTHERS, PAPER, Chart
from batchgen.compare.charts.reading import (
    CAP,
    EVALUATIONS,
    PSNR,
    SSIM,
    STEPS,
    Metric,
    Over,
    best,
    common_end,
    curve,
    decibels,
    evaluations_differ,
    listed,
    measured,
    nearest,
)
from batchgen.compare.charts.series import Series, Sweep, within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 40
"""More are no chart that anybody reads."""

_TOGETHER = 8
"""Series in one picture: as many as there are colours."""

_BANDS = 4
"""Series of which quartiles can be told apart in one picture."""

_COLUMNS = 4
_NEAREST = 0.9999
"""SSIM at the upper end: the axis has the distance to 1 as powers of ten, and 1 itself nowhere."""

_TICKS = (
    (0.5, 0.9, 0.99, 0.999, 0.9999),
    (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A series as it is drawn."""

    name: str
    series: Series
    colour: str
    dash: Any
    marker: str
    width: float = 1.6


def convergence(sweep: Sweep, reference: str) -> Iterator[Chart]:
    """Yield the charts of a run's series; none where nothing was measured.

    Args:
        sweep: The series.
        reference: What pictures were measured against, for people.
    """
    metrics = [metric for metric in (PSNR, SSIM) if measured(sweep.series, metric)]
    overs = (STEPS, EVALUATIONS) if evaluations_differ(sweep) else (STEPS,)
    if not metrics:
        return
    for over in overs:
        yield _overview(sweep, metrics, over, reference)
    for metric in metrics if len(sweep.series) > _TOGETHER else ():
        for over in overs:
            yield _in_panels(sweep, metric, over, reference)


def _overview(sweep: Sweep, metrics: Sequence[Metric], over: Over, reference: str) -> Chart:
    several = len(sweep.series) > _TOGETHER
    shown = best(sweep) if several else sweep.series
    lines = [_line(number, each) for number, each in enumerate(shown)]
    title = f"How near to the reference, over {over.name}"
    with_best = f" Each {sweep.axes[0]} with its best {sweep.axes[1]}." if several and len(sweep.axes) > 1 else ""
    subtitle = f"Reference: {reference}.{with_best} {_counted('Medians', shown)}"
    figure = drawing.figure(3.5 * len(metrics) + 1.0, title, subtitle)
    grid: Any = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)
    end = common_end(shown, over)
    for axes, metric in zip(grid[:, 0], metrics, strict=True):
        for line in lines:
            _draw(axes, line, metric, over, end=end, band=len(lines) <= _BANDS)
        _scale(axes, shown, metric)
        axes.set_ylabel(metric.label)
        _name_ends(axes, lines, metric, over, end)
    grid[-1, 0].set_xlabel(over.label)
    drawing.whole_ticks(grid[-1, 0])
    figure.align_ylabels()
    text = f"{listed([metric.name for metric in metrics])} to {reference}, over {over.label}.{_said(shown, over, end)}"
    return drawing.rendered(figure, f"convergence_{over.name}", title, text)


def _said(shown: Sequence[Series], over: Over, end: float) -> str:
    """Say what is nearest half-way, for those who do not see it."""
    half = max((x for each in shown for x, _ in curve(each, PSNR, over) if x <= end / 2), default=end)
    found = [f"{each.name or 'the run'} ({decibels(value)})" for each, value in nearest(shown, over, half)]
    return f" With {half:g} {over.name}: {listed(found)}." if found else ""


def _counted(what: str, series: Sequence[Series]) -> str:
    counts = {point.count for each in series for point in each.points}
    least, most = min(counts), max(counts)
    if most == 1:
        return "One picture a point."
    return f"{what} of {most:,} pictures." if least == most else f"{what} of {least:,} to {most:,} pictures."


def _line(number: int, series: Series) -> _Line:
    again, at = divmod(number, len(COLOURS))
    return _Line(
        name=drawing.plain(series.name, 40),
        series=series,
        colour=COLOURS[at],
        dash=DASHES[again % len(DASHES)],
        marker=MARKERS[(at + 3 * again) % len(MARKERS)],
    )


def _draw(axes: "Axes", line: _Line, metric: Metric, over: Over, *, end: float = np.inf, band: bool = True) -> None:
    """Draw the median of a series and its quartiles; where it equals its reference, a triangle at the upper edge."""
    places = [(x, found) for x, found in curve(line.series, metric, over) if x <= end]
    top = CAP if metric is PSNR else _NEAREST
    shown = [(x, found) for x, found in places if not metric.equal(found)]
    xs, middles = [x for x, _ in shown], [found.middle for _, found in shown]
    look = {"color": line.colour, "linestyle": line.dash, "linewidth": line.width, "marker": line.marker}
    size = 2.4 + line.width
    axes.plot(xs, middles, **look, markersize=size, markeredgecolor=PAPER, markeredgewidth=0.5, zorder=3)
    if band:
        lows = [found.low for _, found in shown]
        highs = [min(found.high, max(top, found.middle)) for _, found in shown]
        axes.fill_between(xs, lows, highs, color=line.colour, alpha=0.16, linewidth=0, zorder=2)
    equal = [x for x, found in places if metric.equal(found)]
    if equal:
        edge = axes.get_xaxis_transform()
        axes.plot(
            equal, [0.97] * len(equal), transform=edge, color=line.colour, marker="^", markersize=7, linestyle="none"
        )


def _scale(axes: "Axes", series: Sequence[Series], metric: Metric) -> None:
    """Give an axis its limits; that of SSIM shows how little is missing to 1, for near it all would be one line."""
    spreads = [found for each in series for point in each.points if (found := metric.of(point))]
    low = min(found.low for found in spreads if within(found.low))
    high = max(found.high if within(found.high) else found.middle for found in spreads if within(found.middle))
    if metric is PSNR:
        room = (high - low or 10.0) * 0.06
        axes.set_ylim(low - room, high + room)
        return
    axes.set_yscale("function", functions=(_powers, _from_powers))
    span = _powers(np.array([low, min(high, _NEAREST)]))
    room = max(0.2, span[1] - span[0]) * 0.06
    limits = _from_powers(np.array([span[0] - room, span[1] + room]))
    axes.set_ylim(*limits)
    _say_ticks(axes, *limits)


def _say_ticks(axes: "Axes", low: float, high: float) -> None:
    """Have an axis of SSIM say as few round numbers as will do."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    inside = ([each for each in ticks if low <= each <= high] for ticks in _TICKS)
    chosen = next((ticks for ticks in inside if len(ticks) > 2), None)
    axes.yaxis.set_major_locator(FixedLocator(chosen) if chosen else MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))


def _powers(likeness: Any) -> Any:
    return -np.log10(np.maximum(1 - np.asarray(likeness, float), 1e-6))


def _from_powers(power: Any) -> Any:
    return 1 - 10.0 ** -np.asarray(power, float)


def _name_ends(axes: "Axes", lines: Sequence[_Line], metric: Metric, over: Over, end: float) -> None:
    """Write the name of each line beside its end, none over another."""
    to_height = axes.transAxes.inverted().transform
    ends = []
    for line in lines:
        places = [(x, found.middle) for x, found in curve(line.series, metric, over) if x <= end]
        if places and line.name:
            x, y = places[-1]
            height = to_height(axes.transData.transform((x, min(y, axes.get_ylim()[1]))))[1]
            ends.append((line, x, y, height))
    left, right = axes.get_xlim()
    heights = drawing.apart([height for *_, height in ends], 0.054, 0.0, 1.0)
    for (line, x, y, _), height in zip(ends, heights, strict=True):
        axes.annotate(
            line.name,
            xy=(x, min(y, axes.get_ylim()[1])),
            xytext=(1.03, height),
            textcoords=axes.transAxes,
            color=line.colour,
            fontsize=9.5,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": line.colour,
                "linewidth": 0.6,
                "shrinkA": 2,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )
    axes.set_xlim(left, right)


def _in_panels(sweep: Sweep, metric: Metric, over: Over, reference: str) -> Chart:
    panels, names = _split(sweep)
    left_out = f" Only the first {MOST_PANELS} of {len(panels):,}." if len(panels) > MOST_PANELS else ""
    panels = panels[:MOST_PANELS]
    title = f"{metric.name} of each {sweep.axes[0]}, over {over.name}"
    subtitle = f"Reference: {reference}. {_counted('Medians and quartiles', sweep.series)}{left_out}"
    rows = -(-len(panels) // _COLUMNS)
    figure = drawing.figure(1.75 * rows + 1.4, title, subtitle, legend=True)
    grid: Any = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    cells = grid.flatten()
    for number, (axes, (name, lines)) in enumerate(zip(cells, panels, strict=False)):
        others = [line.series for at, (_, some) in enumerate(panels) if at != number for line in some]
        _draw_middle(axes, others, metric, over)
        for line in lines:
            _draw(axes, line, metric, over)
        axes.set_title(drawing.plain(name, 27))
        last = number + _COLUMNS >= len(panels)
        axes.tick_params(labelbottom=last)
        axes.set_xlabel(over.label if last else "")
        axes.set_ylabel(metric.label if number % _COLUMNS == 0 else "")
    for axes in cells[len(panels) :]:
        axes.set_axis_off()
    _scale(cells[0], sweep.series, metric)
    drawing.whole_ticks(cells[0])
    _explain(figure, names, equal=_any_equal(sweep.series, metric))
    kinds = f", for each {sweep.axes[1]}" if len(sweep.axes) > 1 and names else ""
    text = (
        f"{metric.name} to {reference}, over {over.label}: {len(panels)} panels, one for each {sweep.axes[0]}{kinds}."
    )
    return drawing.rendered(figure, f"{metric.name.lower()}_{over.name}", title, f"{text}{left_out}")


def _split(sweep: Sweep) -> tuple[list[tuple[str, list[_Line]]], list[_Line]]:
    """Return panels with their lines, and the lines that have to be explained."""
    if len(sweep.seconds) > _TOGETHER:
        return [(each.name, [_line(0, each)]) for each in sweep.series], []
    styles = {}
    for rank, name in enumerate(sweep.seconds):
        # Each thinner than those before it: where two are one, both are seen.
        style = replace(_line(rank, sweep.series[0]), name=drawing.plain(name, 40), dash="-")
        styles[name] = replace(style, width=max(0.9, 2.6 - 0.8 * rank))
    panels: dict[str, list[_Line]] = {}
    for each in sweep.series:
        panels.setdefault(each.first, []).append(replace(styles[each.second], series=each))
    return [*panels.items()], [style for style in styles.values() if style.name]


def _draw_middle(axes: "Axes", others: Sequence[Series], metric: Metric, over: Over) -> None:
    """Draw the median of all other panels, in grey: what is above it is nearer than most."""
    top = CAP if metric is PSNR else _NEAREST
    curves = [places for each in others if (places := curve(each, metric, over))]
    # Only as far as all of them go: the median of the few that are left would jump.
    end = min((places[-1][0] for places in curves), default=0.0)
    xs = sorted({x for places in curves for x, _ in places if x <= end})
    table = [
        np.interp(xs, [x for x, _ in places], [min(found.middle, top) for _, found in places], np.nan, np.nan)
        for places in curves
    ]
    middles = [float(np.median(column[~np.isnan(column)])) for column in np.array(table).T]
    axes.plot(xs, middles, color=OTHERS, linewidth=3.4, alpha=0.45, zorder=1, solid_capstyle="round")


def _any_equal(series: Sequence[Series], metric: Metric) -> bool:
    return any((found := metric.of(point)) and metric.equal(found) for each in series for point in each.points)


def _explain(figure: "Figure", names: Sequence[_Line], *, equal: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=line.colour,
            linewidth=line.width,
            marker=line.marker,
            markersize=2.4 + line.width,
            label=line.name,
        )
        for line in names
    ]
    handles.append(Line2D([], [], color=OTHERS, linewidth=3.4, alpha=0.45, label="median of all other panels"))
    if equal:
        look: Any = {"color": INK, "marker": "^", "markersize": 7, "linestyle": "none"}
        handles.append(Line2D([], [], **look, label="equal to the reference"))
    drawing.explain(figure, handles)
