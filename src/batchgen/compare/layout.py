"""Which picture stands where: coordinates in, pages of rows and columns out. Pure; it opens no picture.

A page shows one value of the `page` axis, one column for each value of `x` and one row for each value of `y`. Axes
that are none of the three share the rows: `y` first, then the others in the order of the manifest, so that nothing
that was asked for is left out of sight.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from batchgen.compare.results import State
from batchgen.plan.sweep import label

Coordinates = Mapping[str, Any]
Axes = Mapping[str, Sequence[Any]]
"""Axes by name, in the manifest's order, with their values."""

SEPARATOR: Final = " · "
"""Between the values of several axes in one label."""

_Side = tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Which axes go where. None: there is no such side, and the page has a single row or column."""

    x: str | None = None
    y: str | None = None
    page: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One place of the sweep with the picture or clip that was rendered for it, or None while there is none."""

    coordinates: Coordinates
    picture: Path | None
    width: int = 0
    """Pixels, as its record has them; 0: not known."""
    height: int = 0
    frames: int = 1
    fps: float = 8.0
    """Frames a second."""
    state: State = "missing"
    reason: str = ""
    """Why there is no picture."""
    caption: str = ""
    """Stands beneath it."""
    second: float | None = None
    """Of a clip: the moment that is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A table of pictures. `cells[row][column]` is None where nothing was asked for (an excluded combination).

    Without a grid rows and columns have no names, and the last row may be shorter.
    """

    title: str
    """The value of the page axis, or "" where there is none."""
    x: str | None
    y: str | None
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Shown | None, ...], ...]


def choose(axes: Axes, places: int) -> Compare:
    """Choose sides for a sweep of so many `places` whose manifest says nothing.

    What was swept on purpose is compared; prompts become pages. A run of prompts and seeds alone shows prompts as rows
    and seeds as columns, or, where each prompt brings seeds of its own, everything one below the other.
    """
    varying = [name for name, values in axes.items() if len(values) > 1]
    swept = [name for name in varying if name not in {"prompt", "seed"}]
    if not swept:
        sparse = len(axes["prompt"]) * len(axes["seed"]) > 2 * places
        return Compare(y="prompt") if sparse else Compare(x="seed", y="prompt")
    if len(swept) == 1:
        return Compare(x=swept[0], y="seed" if "seed" in varying else None, page="prompt")
    first, second = swept[:2]
    if _numeric(axes[first]) and not _numeric(axes[second]):
        return Compare(x=first, y=second, page="prompt")
    return Compare(x=second, y=first, page="prompt")


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def pages(shown: Iterable[Shown], axes: Axes, compare: Compare) -> list[Page]:
    """Lay out every place of the sweep, pages and sides in the order of the axes' values.

    Only what occurs is laid out, so that a small part of a huge sweep is a small page.

    Raises:
        KeyError: `compare` names an axis that is not among `axes`.
    """
    sides = {compare.x, compare.y, compare.page}
    row_axes = [name for name in axes if name == compare.y]
    row_axes += [name for name, values in axes.items() if len(values) > 1 and name not in sides]
    ranks = {name: {_named(value): rank for rank, value in enumerate(values)} for name, values in axes.items()}

    def at(each: Shown, names: Iterable[str | None]) -> _Side:
        """Where a place stands on a side: rank and label of its value on each of these axes."""
        labels = [(name, _named(each.coordinates.get(name))) for name in names if name is not None]
        return tuple((ranks[name][text], text) for name, text in labels)

    tables: dict[_Side, dict[tuple[_Side, _Side], Shown]] = {}
    for each in shown:
        table = tables.setdefault(at(each, [compare.page]), {})
        table[at(each, row_axes), at(each, [compare.x])] = each
    return [_page(side, tables[side], compare, SEPARATOR.join(row_axes)) for side in sorted(tables)]


def captioned(shown: Iterable[Shown], axes: Axes) -> list[Shown]:
    """Return every place of the sweep, in its order, with the values of the axes that vary to stand beneath it.

    What is a number would say nothing alone, and has the name of its axis before it.
    """
    varying = {name: f"{name} " if _numeric(values) else "" for name, values in axes.items() if len(values) > 1}

    def caption(each: Shown) -> str:
        values = ((name, each.coordinates.get(name)) for name in varying)
        return SEPARATOR.join(f"{varying[name]}{label(value)}" for name, value in values if value is not None)

    return [replace(each, caption=caption(each)) for each in shown]


def in_rows(shown: Sequence[Shown], columns: int) -> Page:
    """Return a page without a grid: the places one after another, so many in a row."""
    rows = [tuple(shown[first : first + columns]) for first in range(0, len(shown), columns)]
    return Page(title="", x=None, y=None, columns=("",) * columns, rows=("",) * len(rows), cells=tuple(rows))


def _page(side: _Side, table: Mapping[tuple[_Side, _Side], Shown], compare: Compare, y: str) -> Page:
    rows = sorted({row for row, _ in table})
    columns = sorted({column for _, column in table})
    return Page(
        title=_text(side),
        x=compare.x,
        y=y or None,
        columns=tuple(_text(column) for column in columns),
        rows=tuple(_text(row) for row in rows),
        cells=tuple(tuple(table.get((row, column)) for column in columns) for row in rows),
    )


def _named(value: Any) -> str:
    """A value as it is shown; an axis that does not touch a prompt has none."""
    return "-" if value is None else label(value)


def _text(side: _Side) -> str:
    return SEPARATOR.join(text for _, text in side)
