"""Where the places of two runs stand on axes that both share, so that what belongs together stands together. Pure."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from batchgen.compare.results import Results
from batchgen.plan.sweep import label

Values = list[Any]
"""One for each place of a run, in order."""


def shared_axes(
    one: Results, other: Results, matched: Sequence[tuple[int, int]], changed: Collection[str]
) -> tuple[dict[str, tuple[Any, ...]], list[dict[str, Any]]]:
    """Return the axes of two runs with their values, and the coordinates of all places of the first and the second.

    Pairs get the same coordinates: those of the first run, where it has such an axis. An axis that has one value in
    each run, and not the same, says no more than which run it is, and is left out; but prompt and seed stay.

    Args:
        one: The first run.
        other: The second.
        matched: Numbers of places that belong together.
        changed: The fields for which the runs are compared.
    """
    names = sorted(dict.fromkeys((*one.axes, *other.axes)), key=lambda name: name == "seed")
    columns = {name: found for name in names if (found := _column(name, one, other, changed)) is not None}
    for before, after in columns.values():
        for i, j in matched:
            before[i] = after[j] = before[i] if before[i] is not None else after[j]
    _keep_apart(columns, {j for _, j in matched}, other.name)
    axes = {name: _values(name, one, other, [*before, *after]) for name, (before, after) in columns.items()}
    meant = {name: {label(value): value for value in values} for name, values in axes.items()}
    rows = zip(*([*before, *after] for before, after in columns.values()), strict=True)
    at = [{name: meant[name][label(value)] for name, value in zip(columns, row, strict=True)} for row in rows]
    return axes, at


def _column(name: str, one: Results, other: Results, changed: Collection[str]) -> tuple[Values, Values] | None:
    """Return what all places have on an axis; None where it is left out."""
    before, after = _own(one, name), _own(other, name)
    if not _told_by_run(before, after):
        return before, after
    if name not in ("prompt", "seed"):
        return None
    if name in changed:
        both = f"{label(before[0])} → {label(after[0])}"
        return [both] * len(before), [both] * len(after)
    return before, after


def _own(results: Results, name: str) -> Values:
    """Return the coordinate of each place on an axis that the run itself may not have; then its recipe says it."""
    if name in results.axes:
        return [each.coordinates[name] for each in results.places]
    found = [_single(each.recipe.get(name)) for each in results.places]
    known = {label(value): value for value, each in zip(found, results.places, strict=True) if each.recipe}
    if len(known) == 1:  # what is not made yet will be so, too
        found = [*known.values()] * len(found)
    return found


def _single(value: Any) -> Any:
    """Return a value that is one; of what has parts, such as LoRAs, an axis says another word than a recipe."""
    return value if isinstance(value, str | int | float) else None


def _told_by_run(before: Values, after: Values) -> bool:
    one, other = {label(value) for value in before}, {label(value) for value in after}
    return len(one) == len(other) == 1 and one != other


def _keep_apart(columns: Mapping[str, tuple[Values, Values]], paired: Collection[int], run: str) -> None:
    """Give another prompt's name to those places of the second run at whose coordinates another one of it stands."""
    after = [values for _, values in columns.values()]
    rows = list(zip(*(map(label, values) for values in after), strict=True))
    taken = {rows[number] for number in paired}
    for number, row in enumerate(rows):
        if number not in paired and row in taken:
            prompts = columns["prompt"][1]
            prompts[number] = f"{label(prompts[number])} ({run})"
        taken.add(row)


def _values(name: str, one: Results, other: Results, there: Values) -> tuple[Any, ...]:
    """Return the values of an axis that occur: in the order of the first run, then of the second; None last."""
    asked = [*one.axes.get(name, ()), *other.axes.get(name, ())]
    found = {label(value): value for value in reversed([*asked, *there])}
    occurring = {label(value) for value in there}
    order = dict.fromkeys(map(label, [*asked, *there]))
    values = [found[each] for each in order if each in occurring and found[each] is not None]
    if all(_ascending(results.axes.get(name, ())) for results in (one, other)):
        values = sorted(values) if all(map(_number, values)) else values
    return (*values, *([None] if label(None) in occurring else ()))


def _ascending(values: Sequence[Any]) -> bool:
    numbers = [value for value in values if value is not None]
    return all(map(_number, numbers)) and all(one < other for one, other in pairwise(numbers))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
