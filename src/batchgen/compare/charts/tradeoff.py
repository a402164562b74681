"""Time against difference: what each series costs at each number of steps, and the Pareto front, named."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from batchgen.compare.charts import drawing
from batchgen.compare.charts.drawing import COLOURS, FAINT, INK, OTHERS, PAPER, Chart
from batchgen.compare.charts.reading import Offer, decibels, front, offers
from batchgen.compare.charts.series import Sweep, within

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED = 40
"""Of a front; a longer one is thinned out."""

_TITLE = "Time against difference"


def tradeoff(sweep: Sweep, reference: str) -> Chart | None:
    """Return the chart of a run's series; None where fewer than two offers have a time and a difference."""
    everything = [*offers(sweep)]
    if len(everything) < 2 or not any(within(each.psnr) for each in everything):
        return None
    members = front(everything)
    subtitle = f"Medians; PSNR to {reference}. Numbered: the Pareto front."
    named = _thinned(members)
    figure = drawing.figure(max(5.2, 1.3 + 0.2 * len(named)), _TITLE, subtitle)
    grid: Any = figure.subplots(1, 2, width_ratios=(2.35, 1))
    _scatter(grid[0], everything, members, named)
    _key(grid[1], named)
    text = (
        f"Seconds for a picture against PSNR to {reference}, for {len(everything):,} combinations. "
        f"The Pareto front: {'; '.join(said(each) for each in named)}."
    )
    return drawing.rendered(figure, "tradeoff", _TITLE, text)


def said(offer: Offer) -> str:
    """Say what an offer is."""
    return f"{offer.series.name} {offer.steps:g} steps ({brief(offer.seconds)}, {decibels(offer.psnr)})".strip()


def brief(seconds: float) -> str:
    """Return a time in three digits.

    >>> brief(0.01234), brief(83.4)
    ('0.0123 s', '83.4 s')
    """
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def _thinned(members: Sequence[Offer]) -> list[Offer]:
    if len(members) <= MOST_NAMED:
        return [*members]
    return [members[round(i * (len(members) - 1) / (MOST_NAMED - 1))] for i in range(MOST_NAMED)]


def _scatter(axes: "Axes", everything: Sequence[Offer], members: Sequence[Offer], named: Sequence[Offer]) -> None:
    finite = [each.psnr for each in everything if within(each.psnr)]
    low, high = min(finite), max(finite)
    room = (high - low or 10.0) * 0.08
    top = high + room if len(finite) < len(everything) else high

    def y(offer: Offer) -> float:
        return min(offer.psnr, top)

    axes.scatter(
        [each.seconds for each in everything],
        [y(each) for each in everything],
        s=12,
        color=OTHERS,
        alpha=0.5,
        linewidths=0,
    )
    axes.plot(
        [each.seconds for each in members],
        [y(each) for each in members],
        color=COLOURS[0],
        marker="o",
        markersize=5,
        markeredgecolor=PAPER,
        markeredgewidth=0.5,
        zorder=3,
    )
    times = [each.seconds for each in everything]
    if min(times) > 0 and max(times) / min(times) > 8:
        axes.set_xscale("log")
        drawing.number_ticks(axes, "x")
    axes.set_ylim(low - room, top + 1.6 * room)
    axes.set_xlabel("seconds for a picture")
    axes.set_ylabel("PSNR, dB")
    _number(axes, [(each.seconds, y(each)) for each in named])


def _number(axes: "Axes", points: Sequence[tuple[float, float]]) -> None:
    """Number points on the side of a front where nothing is, up and to the left, none over another.

    A front goes up and to the right, so along that diagonal its points are in order and can be moved apart.
    """
    figure: Any = axes.figure
    drawing.settle(figure)  # only now it is known where points are
    pixels = axes.transData.transform(points)
    box, inch = axes.bbox, figure.dpi
    along = (pixels[:, 0] + pixels[:, 1]) / 2
    moved = drawing.apart([*along], 0.14 * inch, box.x0 + box.y0, box.x1 + box.y1)
    for number, (at, (x, y), shift) in enumerate(zip(points, pixels, moved - along, strict=True), start=1):
        height = min(y + shift + 0.2 * inch, box.y1)
        line = float(np.interp(height - 0.12 * inch, pixels[:, 1], pixels[:, 0])) - 0.13 * inch
        aside = max(min(x + shift - 0.2 * inch, line), box.x0 + 0.1 * inch), height
        axes.annotate(
            str(number),
            xy=at,
            xytext=tuple(axes.transAxes.inverted().transform(aside)),
            textcoords=axes.transAxes,
            fontsize=9,
            color=INK,
            ha="center",
            va="center",
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2},
        )


def _key(axes: "Axes", named: Sequence[Offer]) -> None:
    axes.set_axis_off()
    step = 1 / max(len(named) + 1, 20)
    for number, each in enumerate(named, start=1):
        height = 1 - step * number
        name = drawing.plain(each.series.name, 34) or "the run"
        axes.text(0.0, height, f"{number}", fontsize=9, color=INK, ha="right", va="center", fontweight="bold")
        axes.text(0.04, height, f"{name}, {each.steps:g} steps", fontsize=9, color=INK, va="center")
