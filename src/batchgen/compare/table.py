"""`compare.csv`: a row for each place of a run, in the manifest's order, with all that is known of it.

UTF-8, a comma between cells, a line feed between rows. A text that a spreadsheet would run as a formula begins with an
apostrophe: prompts may be a stranger's.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batchgen.compare.metrics import Differences
from batchgen.compare.results import Result, Results
from batchgen.parts import FIELDS
from batchgen.plan.sweep import label
from batchgen.store.publish import said_plainly, write_atomic

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a text for a formula; the wide ones do in Japanese ones."""

ENVIRONMENT_DIGITS = 12
"""Of the hash that names an environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is known of places beside what came of them; each has a value for every place, or there is none at all."""

    differences: Differences
    same: Sequence[int]
    """As `identical.same` returns it."""
    own: Mapping[str, Sequence[float | None]] = field(default_factory=lambda: MappingProxyType({}))
    """Columns of the person's own program."""


_Columns = dict[str, Sequence[Any]]


def write_table(results: Results, measured: Measured, path: Path) -> Path:
    """Write the table to `path`, and return it; files in it are named as seen from there.

    Raises:
        TryLater: no room.
        StoreError: it cannot be written.
    """
    data = to_text(results, measured, path.parent).encode(errors="replace")
    with said_plainly(path):
        write_atomic(path, data, path.parent)
    return path


def to_text(results: Results, measured: Measured, root: Path) -> str:
    """Return the table; files are named relative to `root`."""
    columns = _columns(results, measured, root)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    return buffer.getvalue()


def names(results: Results) -> frozenset[str]:
    """Return the columns of a run's table that no program of the person's may name again."""
    nothing = (-1,) * len(results.places)
    unmeasured = Differences(reference=nothing, psnr=(None,) * len(nothing), ssim=(None,) * len(nothing))
    return frozenset(_columns(results, Measured(differences=unmeasured, same=nothing), Path()))


def _columns(results: Results, measured: Measured, root: Path) -> _Columns:
    places = results.places
    columns: _Columns = {
        "name": [each.picture.stem if each.picture else "" for each in places],
        "id": [each.id for each in places],
        "state": [each.state for each in places],
        "reason": [each.reason for each in places],
        "file": [_relative(each, root) for each in places],
    }
    last = {**_facts(places), **_measured(results, measured), **measured.own, **_environments(results)}
    for name in results.axes:
        taken = name in columns or name in last
        columns[f"axis.{name}" if taken else name] = [each.coordinates.get(name) for each in places]
    for name, values in _recipes(places):
        if name not in columns and name not in last:
            columns[name] = values
        elif name not in columns or not _says_the_same(values, columns[name]):
            columns[f"recipe.{name}"] = values
    return columns | last


def _relative(place: Result, root: Path) -> str:
    return Path(os.path.relpath(place.picture, root)).as_posix() if place.picture else ""


def _recipes(places: Sequence[Result]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the fields that the recipe of any place has, in the order of a recipe."""
    found = dict.fromkeys(name for each in places for name in each.recipe)
    known = [name for name in ("model", *FIELDS) if name in found or name == "prompt"]
    for name in dict.fromkeys((*known, *found)):
        yield name, [each.prompt if name == "prompt" else each.recipe.get(name) for each in places]


def _says_the_same(values: Iterable[Any], axis: Iterable[Any]) -> bool:
    """Say whether an axis has the value of the recipe wherever there is a recipe."""
    return all(value is None or _cell(value) == _cell(place) for value, place in zip(values, axis, strict=True))


def _facts(places: Sequence[Result]) -> _Columns:
    return {
        "file_width": [each.width or None for each in places],
        "file_height": [each.height or None for each in places],
        "file_frames": [each.frames if each.width else None for each in places],
        "seconds": [each.seconds for each in places],
        "evaluations": [each.evaluations for each in places],
    }


def _measured(results: Results, measured: Measured) -> _Columns:
    differences = measured.differences
    return {
        "psnr": [_rounded(value) for value in differences.psnr],
        "ssim": [_rounded(value) for value in differences.ssim],
        "reference": [results.places[number].id if number >= 0 else "" for number in differences.reference],
        "same_as": [number if number >= 0 else None for number in measured.same],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _environments(results: Results) -> _Columns:
    said = [results.environments.get(each.environment, {}) for each in results.places]
    return {
        "environment": [each.environment[:ENVIRONMENT_DIGITS] for each in results.places],
        "device": [each.get("device_name") or each.get("device") for each in said],
    }


def _cell(value: Any) -> Any:
    """Return what stands in a cell: numbers as a person wrote them, nested values as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return label(value)
    text = value if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False, default=str)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _plain(value: Any) -> Any:
    """Return a frozen value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
