"""How every chart looks, and how a figure becomes SVG and PNG: the same bytes for the same numbers.

The SVG holds its text as text and changes its colours where the reader's screen is dark. Names may be anybody's: none
is read as mathematics. Of matplotlib only objects are used, no pyplot: nothing is left behind in the process.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import wrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER, INK, FAINT, LINE, OTHERS = "#ffffff", "#24292f", "#57606a", "#d0d7de", "#8c959f"
"""Ground, text, lesser text, lines of a grid, and what stands behind."""

COLOURS = ("#0072b2", "#d55e00", "#00815e", "#b5548a", "#a87900", "#3a9bd9", "#7b2d43", "#5f5f5f")
"""After Okabe and Ito, for every kind of eye, darkened until each stands 3 : 1 off the paper."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.3, 1.3)), (0, (6, 1.5, 1.3, 1.5)))

WIDTH = 10.0
"""Inches of every chart: 1000 pixels at 100 dots an inch."""

_DARK: Mapping[str, str] = MappingProxyType(
    dict(
        zip(
            (PAPER, INK, FAINT, LINE, OTHERS, *COLOURS),
            (
                *("#161b22", "#e6edf3", "#9da7b3", "#30363d", "#768390"),
                *("#58b0ee", "#ff8c50", "#3ccb9c", "#ea9fc9", "#e3b941", "#9ad4fb", "#e28ba0", "#b0b0b0"),
            ),
            strict=True,
        )
    )
)
_HEAD, _ROW = 0.4, 0.175
"""Inches from the upper edge to below the title, and of a line below it."""

_LETTERS = 128
"""Of such a line."""

_DOTS = 150
"""Of a PNG, an inch."""

_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari")
"""Those of them that are found; the first comes with matplotlib. A browser takes whatever it has."""

_RC: Mapping[Any, Any] = MappingProxyType(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": LINE,
        "axes.facecolor": PAPER,
        "axes.formatter.use_mathtext": False,
        "axes.grid": True,
        "axes.labelcolor": FAINT,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "axes.unicode_minus": True,
        "figure.facecolor": PAPER,
        "font.size": 10,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.labelcolor": INK,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "path.simplify": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "batchgen",
        "text.color": INK,
        "text.parse_math": False,
        "xtick.color": LINE,
        "xtick.labelcolor": FAINT,
        "ytick.color": LINE,
        "ytick.labelcolor": FAINT,
    }
)


_CLIP = re.compile(r'(?<=["#])p[0-9a-f]{10}(?=[")])')


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A finished drawing."""

    name: str
    """Of its files, without suffix: `convergence_steps`."""
    title: str
    text: str
    """What is to be seen, in a sentence, for those who do not see it."""
    svg: str
    png: bytes


@contextmanager
def drawing() -> Iterator[None]:
    """Return a context in which figures are made and rendered."""
    import matplotlib as mpl
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    fonts = [name for name in _FONTS if name in known]
    with mpl.rc_context({**_RC, "font.family": fonts}), warnings.catch_warnings():
        # A letter that no font here has is a box in the PNG; in the SVG the reader's browser finds it.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def figure(height: float, title: str, subtitle: str, *, legend: bool = False) -> "Figure":
    """Return an empty figure, so many inches high and more, under a title and lines that say how it was measured."""
    from matplotlib.figure import Figure

    lines = wrap(plain(subtitle, 4 * _LETTERS), _LETTERS)
    height += _ROW * (len(lines) - 1)
    top = _HEAD + _ROW * len(lines)
    found = Figure(figsize=(WIDTH, height), layout="constrained")
    engine: Any = found.get_layout_engine()
    room = (0.006, 0.006, 0.988, 1 - (top + (0.3 if legend else 0)) / height)
    engine.set(rect=room, h_pad=0.06, w_pad=0.05, hspace=0.03, wspace=0.04)
    found.text(0.012, 1 - 0.1 / height, plain(title), va="top", fontsize=14, fontweight="bold")
    found.text(0.012, 1 - _HEAD / height, "\n".join(lines), va="top", fontsize=9.5, color=FAINT, linespacing=1.25)
    return found


def explain(found: "Figure", handles: "Sequence[Artist]") -> None:
    """Put a legend below the title, where `figure` left room for it."""
    engine: Any = found.get_layout_engine()
    top = engine.get()["rect"][3] + 0.25 / found.get_figheight()
    place: Any = {"loc": "upper left", "bbox_to_anchor": (0.011, top), "borderaxespad": 0.0, "borderpad": 0.0}
    legend = found.legend(handles=handles, ncols=len(handles), fontsize=9.5, handlelength=2.4, **place)
    legend.set_in_layout(False)


def rendered(found: "Figure", name: str, title: str, text: str) -> Chart:
    """Return a figure as SVG and PNG."""
    svg, png = io.BytesIO(), io.BytesIO()
    settle(found)
    found.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    found.savefig(png, format="png", metadata={"Software": None}, dpi=_DOTS)
    return Chart(name=name, title=title, text=text, svg=_finished(svg.getvalue().decode()), png=png.getvalue())


def settle(found: "Figure") -> None:
    """Have everything find its place, once: finding it takes as long as drawing it, and would be done for each file.

    The last bits of what the solver finds depend on places in memory, so they are rounded away.
    """
    found.draw_without_rendering()
    found.set_layout_engine("none")
    for axes in found.axes:
        place: Any = [round(each, 4) for each in axes.get_position().bounds]
        axes.set_position(place)


def plain(text: str, most: int = 140) -> str:
    """Return a name, which may be anybody's, as one line of what can be seen, cut where it is too long."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places for labels, each as near to where it is wanted as leaves `gap` between any two.

    All of them stay between `low` and `high`, unless there are too many: then closer to each other.

    >>> apart([1.0, 1.0, 5.0], 1.0, 0.0, 9.0)
    [0.5, 1.5, 5.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    # Blocks of neighbours that touch, each at the mean of where its members would be: (mean of its start, members).
    blocks: list[tuple[float, list[int]]] = []
    for i in order:
        blocks.append((wanted[i], [i]))
        while len(blocks) > 1 and blocks[-2][0] + gap * len(blocks[-2][1]) > blocks[-1][0]:
            (first, left), (second, right) = blocks[-2:]
            start = (first * len(left) + (second - gap * len(left)) * len(right)) / (len(left) + len(right))
            blocks[-2:] = [(start, left + right)]
    found = [0.0] * len(wanted)
    least = low
    for number, (start, members) in enumerate(blocks):
        behind = sum(len(each) for _, each in blocks[number:])
        at = max(least, min(start, high - gap * (behind - 1)))
        for rank, i in enumerate(members):
            found[i] = at + gap * rank
        least = at + gap * len(members)
    return found


def number_ticks(axes: "Axes", which: str) -> None:
    """Have a logarithmic axis say plain numbers: matplotlib would write powers as mathematics."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def whole_ticks(axes: "Axes") -> None:
    """Have an x axis say whole numbers: nobody takes half a step."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def _finished(svg: str) -> str:
    """Take out what names other places, number what is named after its measures' last bits, and put in dark colours."""
    numbers: dict[str, str] = {}
    svg = _CLIP.sub(lambda found: numbers.setdefault(found[0], f"clip{len(numbers)}"), svg)
    svg = re.sub(r"<!DOCTYPE[^>]*>\s*", "", svg, count=1)
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in _DARK.items()
        for kind in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"
    head, close, rest = svg.partition("</title>")
    if not close:
        raise ValueError("an SVG of matplotlib has a title")
    return f"{head}{close}\n {style}{rest}"
