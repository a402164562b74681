"""Which picture stands where: coordinates in, pages of rows and columns out. Pure; it opens no picture.

A page shows one value of the `page` axis, one column for each value of `x` and one row for each value of `y`. Axes
that are none of the three share the rows: `y` first, then the others in the order of the manifest, so that nothing
that was asked for is left out of sight.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from batchgen.plan.sweep import label

Coordinates = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Which axes go where. None: there is no such side, and the page has a single row or column."""

    x: str | None = None
    y: str | None = None
    page: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One place of the sweep with the picture that was rendered for it, or None while there is none."""

    coordinates: Coordinates
    picture: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A table of pictures. `cells[row][column]` is None where nothing was asked for (an excluded combination)."""

    title: str
    """The value of the page axis, or "" where there is none."""
    x: str | None
    y: str | None
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Shown | None, ...], ...]


def choose(axes: Mapping[str, Sequence[Any]]) -> Compare:
    """Choose sides for a sweep whose manifest says nothing: axes by name, in the manifest's order, with their values.

    What was swept on purpose is compared; prompts become pages. A run of prompts and seeds alone shows prompts as
    rows and seeds as columns.
    """
    varying = [name for name, values in axes.items() if len(values) > 1]
    swept = [name for name in varying if name not in {"prompt", "seed"}]
    if not swept:
        return Compare(x="seed", y="prompt")
    if len(swept) == 1:
        return Compare(x=swept[0], y="seed" if "seed" in varying else None, page="prompt")
    first, second = swept[:2]
    if _numeric(axes[first]) and not _numeric(axes[second]):
        return Compare(x=first, y=second, page="prompt")
    return Compare(x=second, y=first, page="prompt")


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def pages(shown: Iterable[Shown], axes: Mapping[str, Sequence[Any]], compare: Compare) -> list[Page]:
    """Lay out every place of the sweep, pages and sides in the order of the axes' values.

    Raises:
        KeyError: `compare` names an axis that is not among `axes`.
    """
    varying = [name for name, values in axes.items() if len(values) > 1]
    sides = {compare.x, compare.y, compare.page}
    row_axes = [compare.y] if compare.y else []
    row_axes += [name for name in varying if name not in sides]
    places = {_place(each.coordinates, axes): each for each in shown}
    return [
        page
        for value in (axes[compare.page] if compare.page else (None,))
        if (page := _page(places, axes, compare, (row_axes, value))) is not None
    ]


def _place(coordinates: Coordinates, axes: Mapping[str, Sequence[Any]]) -> tuple[Any, ...]:
    return tuple(label(coordinates.get(name)) for name in axes)


def _page(
    places: Mapping[tuple[Any, ...], Shown],
    axes: Mapping[str, Sequence[Any]],
    compare: Compare,
    place: tuple[list[str], Any],
) -> Page | None:
    row_axes, page_value = place
    columns = axes[compare.x] if compare.x else (None,)
    rows = list(product(*(axes[name] for name in row_axes)))
    fixed = {name: values[0] for name, values in axes.items() if len(values) == 1}
    if compare.page:
        fixed[compare.page] = page_value
    table = []
    for row in rows:
        at = fixed | dict(zip(row_axes, row, strict=True))
        line = [places.get(_place(at | ({compare.x: x} if compare.x else {}), axes)) for x in columns]
        table.append(tuple(line))
    kept = [index for index, line in enumerate(table) if any(line)]
    if not kept:
        return None
    return Page(
        title="" if page_value is None else label(page_value),
        x=compare.x,
        y=" · ".join(row_axes) or None,
        columns=tuple(label(value) for value in columns),
        rows=tuple(" · ".join(label(value) for value in rows[index]) for index in kept),
        cells=tuple(table[index] for index in kept),
    )
