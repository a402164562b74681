"""The key `compare`: which axes go where on sheets and in the gallery, and what is measured against what."""

from collections.abc import Callable, Mapping
from typing import Any

from batchgen.errors import unknown_name
from batchgen.manifest.checks import Checks
from batchgen.manifest.manifest import CELLS, Comparing
from batchgen.manifest.reading import Location


def read_comparing(checks: Checks, value: Any) -> Comparing | None:
    """Return what stands under `compare`; None for `false`, nothing said for `true`."""
    if isinstance(value, bool):
        return Comparing() if value else None
    kinds: dict[str, Callable[[Location, Any], Any]] = dict.fromkeys(("x", "y", "page"), checks.text)
    kinds |= {
        "against": lambda at, each: _against(checks, at, each),
        "columns": lambda at, each: checks.whole(at, each, least=1),
        "cell": lambda at, each: _cell(checks, at, each),
        "grid": checks.truth,
    }
    found = {}
    for key, each in checks.mapping(("compare",), value).items():
        if key not in kinds:
            checks.fail(("compare", key), unknown_name("key of compare", key, kinds))
        found[key] = kinds[key](("compare", key), each)
    comparing = Comparing(**found)
    _agree(checks, comparing)
    return comparing


def _agree(checks: Checks, comparing: Comparing) -> None:
    sides = comparing.sides
    if len(set(sides.values())) < len(sides):
        checks.fail(("compare",), "compare: x, y and page must be different axes")
    if sides and not comparing.grid:
        reason = f"{next(iter(sides))} is a side of a grid, and `grid: false` asks for none; leave one of them out"
        checks.fail(("compare", "grid"), f"compare: {reason}")


def _against(checks: Checks, at: Location, value: Any) -> str | Mapping[str, Any]:
    if not isinstance(value, dict):
        return checks.text(at, value)
    if not value:
        checks.fail(at, "compare.against: names nothing; write an axis and its value, such as `{steps: max}`")
    return {key: checks.scalar((*at, key), each) for key, each in value.items()}


def _cell(checks: Checks, at: Location, value: Any) -> int:
    least, most = CELLS
    pixels = checks.whole(at, value, least=least)
    if pixels > most:
        checks.fail(at, f"compare.cell: must be a whole number, at most {most}, not {pixels}")
    return pixels
