"""Places with other recipes and the very same pixels: ComfyUI's `ddim` is `euler`, and one step leaves no choice."""

from collections.abc import Iterator, Mapping, Sequence

from batchgen.compare.results import Result, Results
from batchgen.plan.sweep import label

MOST_SAID = 12
"""Sentences; whoever wants the rest has `compare.csv`."""

_At = tuple[str, ...]
"""Values of all axes but one."""

_Table = dict[_At, dict[str, str]]
"""By those: value -> hash of the pixels."""


def same(results: Results) -> tuple[int, ...]:
    """Return by place the number of its group of different jobs with the very same pixels, -1 for none.

    Groups are numbered as they occur.
    """
    jobs: dict[str, set[str]] = {}
    for place in _made(results):
        jobs.setdefault(place.pixel_sha256, set()).add(place.id)
    numbers: dict[str, int] = {}
    return tuple(
        numbers.setdefault(place.pixel_sha256, len(numbers)) if len(jobs.get(place.pixel_sha256, ())) > 1 else -1
        for place in results.places
    )


def said_of_same(results: Results) -> tuple[str, ...]:
    """Return a sentence for any two values of an axis that make the very same pictures, all else equal."""
    found = [each for axis in results.varying for each in _of_axis(results, axis)]
    if len(found) > MOST_SAID:
        found = [*found[:MOST_SAID], f"and {len(found) - MOST_SAID} more such pairs"]
    return tuple(found)


def _made(results: Results) -> Iterator[Result]:
    return (place for place in results.places if place.state == "made" and place.pixel_sha256)


def _of_axis(results: Results, axis: str) -> Iterator[str]:
    others = [name for name in results.varying if name != axis]
    table = _table(results, axis, others)
    whole: dict[str, str] = {}
    for one, other in _pairs(table, [label(value) for value in results.axes[axis]]):
        if whole.get(one, one) == whole.get(other, other):
            continue  # said of both and a third one
        both = {at: values[one] == values[other] for at, values in table.items() if one in values and other in values}
        if all(both.values()):
            whole[other] = whole.get(one, one)
        yield f"{axis} {other} makes the very same pictures as {one}, in {_extent(both)} both{_where(both, others)}"


def _extent(both: Mapping[_At, bool]) -> str:
    if len(both) == 1:
        return "the one place that has"
    equal = sum(both.values())
    return f"all {equal:,} places that have" if equal == len(both) else f"{equal:,} of {len(both):,} places that have"


def _where(both: Mapping[_At, bool], others: Sequence[str]) -> str:
    """Say of which value of another axis all are equal, and of no other any, where there is one."""
    if all(both.values()):
        return ""
    for number, name in enumerate(others):
        values = {at[number] for at, equal in both.items() if equal}
        if len(values) == 1 and all(equal for at, equal in both.items() if at[number] in values):
            return f": wherever {name} is {values.pop()}"
    return ""


def _table(results: Results, axis: str, others: Sequence[str]) -> _Table:
    table: _Table = {}
    for place in _made(results):
        values = table.setdefault(tuple(label(place.coordinates[name]) for name in others), {})
        values[label(place.coordinates[axis])] = place.pixel_sha256
    return table


def _pairs(table: _Table, order: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of values with equal pixels somewhere: the first one of the axis, and each that equals it."""
    ranks = {value: rank for rank, value in enumerate(order)}
    found: set[tuple[str, str]] = set()
    for values in table.values():
        first: dict[str, str] = {}
        for value in sorted(values, key=ranks.__getitem__):
            one = first.setdefault(values[value], value)
            if one != value:
                found.add((one, value))
    return sorted(found, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
