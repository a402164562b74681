"""What a gallery's page is told: one JSON object, column by column, so that ten thousand cells are a few megabytes.

A list with a value a cell is called so below; everything that many cells share stands once, in a table.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from batchgen.compare.layout import Compare
from batchgen.compare.results import Result, Results, State
from batchgen.compare.thumbnails import file_name, film_of
from batchgen.parts import FIELDS
from batchgen.plan.sweep import label

FORMAT = 1

ID_DIGITS = 16
"""Of a job's id, which marks and votes name pictures by."""

_STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A column of numbers, one a cell; None where there is none."""

    name: str
    kind: str
    """`fact`, `metric`, or `own`: of a program of the person's."""
    numbers: Sequence[float | None]
    unit: str = ""
    better: str = ""
    """`more` or `less`, where one is better than the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a page shows beside pictures and recipes."""

    columns: Sequence[Numbers] = ()
    reference: Sequence[int] = ()
    """By cell: the cell that it was measured against, or -1. Empty: nothing was measured."""
    reference_text: str = ""
    same: Sequence[int] = ()
    """By cell: the number of its group of cells with other recipes and the very same pixels, or -1."""
    charts: Sequence[Mapping[str, str]] = ()
    """`title`, `file` and `text` of each."""
    findings: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a page begins, and where its pictures are."""

    sides: Compare
    grid: bool = True
    """Whether it begins with rows and columns."""
    thumbs: Mapping[str, str] = field(default_factory=dict)
    """Address of each thumbnail that there is, by its file's name."""
    address: Callable[[Path], str] | None = None
    """Returns where a picture is, as seen from the page; None where pictures are not at hand."""
    run_axis: str | None = None
    """The axis that says of which run a place is, where there are two."""


def facts(results: Results, shape: Shape, extras: Extras) -> dict[str, Any]:
    """Return what the page is told, but for its version, as JSON values."""
    places = results.places
    recipes = _Recipes(places)
    return {
        "format": FORMAT,
        "name": results.name,
        "small": shape.address is None,
        "count": len(places),
        "compare": {**asdict(shape.sides), "grid": shape.grid},
        "axes": [_axis(name, results) for name in results.axes],
        "id": _ids(results, shape.run_axis),
        "runs": 1 if shape.run_axis is None else len(results.axes[shape.run_axis]),
        "state": [_STATES.index(each.state) for each in places],
        "states": list(_STATES),
        "reasons": {str(number): each.reason for number, each in enumerate(places) if each.reason},
        "picture": [shape.address(each.picture) if shape.address and each.picture else "" for each in places],
        "thumb": [shape.thumbs.get(file_name(each), "") if each.picture else "" for each in places],
        **_tabled("size", [[each.width, each.height] if each.width else None for each in places]),
        "clip": _clips(places),
        "same": list(extras.same) or [-1] * len(places),
        **_environments(results),
        "columns": [*recipes.columns(), *(_numbers(each) for each in (*_measured(places), *extras.columns))],
        "constant": recipes.constant,
        "reference": {"of": list(extras.reference), "text": extras.reference_text} if extras.reference else None,
        "charts": [dict(each) for each in extras.charts],
        "findings": list(extras.findings),
    }


def address_from(folder: Path) -> Callable[[Path], str]:
    """Return what says where a file is, as seen from a page in `folder`."""
    here = folder.resolve()
    return lambda path: quote(os.fsencode(Path(os.path.relpath(path.parent.resolve() / path.name, here)).as_posix()))


def _ids(results: Results, run_axis: str | None) -> list[str]:
    """Return what marks and votes call the places by: jobs, but for two runs that may have made the same one."""
    ids = [each.id[:ID_DIGITS] for each in results.places]
    if run_axis is None:
        return ids
    first = results.axes[run_axis][0]
    both = zip(ids, results.places, strict=True)
    return [name if each.coordinates[run_axis] == first else f"{name}~2" for name, each in both]


def _axis(name: str, results: Results) -> dict[str, Any]:
    values = results.axes[name]
    ranks = {_key(value): rank for rank, value in enumerate(values) if value is not None}
    return {
        "name": name,
        "values": ["-" if value is None else label(value) for value in values],
        "numeric": all(isinstance(value, int | float) and not isinstance(value, bool) for value in values),
        "at": [ranks.get(_key(each.coordinates.get(name)), -1) for each in results.places],
    }


def _tabled(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return `values` (None: there is none) as a table and, by cell, places in it."""
    table, of = table_of(values)
    return {name: table, f"{name}_of": of}


def table_of(values: Iterable[Any]) -> tuple[list[Any], list[int]]:
    """Return the different values, and for each of `values` its place among them; -1 for None."""
    found: dict[str, int] = {}
    table: list[Any] = []
    of = []
    for value in values:
        if value is None:
            of.append(-1)
            continue
        key = json.dumps(value, sort_keys=True, default=str)
        if key not in found:
            found[key] = len(table)
            table.append(value)
        of.append(found[key])
    return table, of


def _clips(places: Sequence[Result]) -> dict[str, Any] | None:
    films = [film_of(each) if each.picture else None for each in places]
    table, of = table_of(None if film is None else asdict(film) for film in films)
    return {"film": table, "of": of} if table else None


def _environments(results: Results) -> dict[str, Any]:
    ranks = {name: rank for rank, name in enumerate(results.environments)}
    return {
        "environment": [ranks.get(each.environment, -1) for each in results.places],
        "environments": [dict(each) for each in results.environments.values()],
    }


class _Recipes:
    """The fields of all recipes: those that every picture shares, and the others as columns."""

    def __init__(self, places: Sequence[Result]) -> None:
        self._places = places
        made = [each.recipe for each in places if each.recipe]
        known = ("model", *FIELDS)
        found = dict.fromkeys(name for recipe in made for name, value in recipe.items() if value is not None)
        self._names = [*(name for name in known if name in found), *(name for name in found if name not in known)]
        shared = {name: made[0].get(name) for name in self._names if all(_alike(name, made[0], each) for each in made)}
        # A prompt stands with every cell, also where nothing is made yet.
        self.constant = {name: value for name, value in shared.items() if name != "prompt"}

    def columns(self) -> list[dict[str, Any]]:
        names = [name for name in dict.fromkeys(("prompt", *self._names)) if name not in self.constant]
        return [self._column(name) for name in names]

    def _column(self, name: str) -> dict[str, Any]:
        values = (each.prompt if name == "prompt" else each.recipe.get(name) for each in self._places)
        table, of = table_of(values)
        return {"name": name, "kind": "recipe", "table": table, "of": of}


def _alike(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return name in other and _key(one.get(name)) == _key(other[name])


def _key(value: Any) -> tuple[type, Any]:
    return type(value), value


def _measured(places: Sequence[Result]) -> list[Numbers]:
    return [
        Numbers(name="seconds", kind="fact", numbers=[each.seconds for each in places], unit="s", better="less"),
        Numbers(name="evaluations", kind="fact", numbers=[each.evaluations for each in places], better="less"),
    ]


def _numbers(column: Numbers) -> dict[str, Any]:
    # JSON has no infinity; the page reads the word.
    numbers = ["Infinity" if value is not None and math.isinf(value) else _short(value) for value in column.numbers]
    return {"name": column.name, "kind": column.kind, "numbers": numbers, "unit": column.unit, "better": column.better}


def _short(value: float | None) -> float | None:
    return round(value, 4) if isinstance(value, float) and math.isfinite(value) else value
