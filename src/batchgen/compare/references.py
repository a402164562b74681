"""What each picture is measured against: `--against`, or the manifest's `compare: {against: ...}`.

`steps=max` is, for each place, the one with the most steps and all else equal; `sampler=heun,steps=30` the one with
these values and all else equal; digits of an id, or a file's name, are one picture for all.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from batchgen.compare.results import Result, Results
from batchgen.errors import UsageError, unknown_name
from batchgen.plan.sweep import label

_STEPS = "steps"
_DIGITS = re.compile("[0-9a-f]{4,64}")
_KNOWN = 12
"""Values that an error lists."""


class End(Enum):
    """In place of a value: the largest or the smallest that an axis has, all else equal."""

    MAX = "max"
    MIN = "min"

    def of(self, values: Iterable[float]) -> float:
        """Return that one of `values`, of which there is at least one."""
        return max(values) if self is End.MAX else min(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """Which picture each one is measured against."""

    at: Mapping[str, Any] = field(default_factory=dict)
    """Axis -> value of the reference, or an `End`; on all other axes it stands where the picture does."""
    place: int | None = None
    """One place for all, by its number."""
    text: str
    """For people: `steps 30 of the same sampler, prompt and seed`."""


def read_against(
    said: str | Mapping[str, Any] | None, results: Results, *, where: str | None = "--against"
) -> Against | None:
    """Return what `said` means for a run; without it `steps=max`, where steps vary, and else None: nothing.

    Args:
        said: A word of the command line, or a mapping of axes to values.
        results: The run.
        where: What to call the place of `said` in an error.

    Raises:
        UsageError: there is no such axis, value or picture.
    """
    if said is None:
        return _stated({_STEPS: "max"}, results, where) if _STEPS in results.varying and _numeric(results) else None
    if isinstance(said, Mapping):
        return _stated(said, results, where)
    place = _named(said, results.places)
    if place is None and "=" in said:
        return _stated(_pairs(said, where), results, where)
    if place is None:
        place = _numbered(said, results.places, where)
    picture = results.places[place].picture
    return Against(place=place, text=f"the picture {said if picture is None else picture.name}")


def references(results: Results, against: Against | None) -> tuple[int, ...]:
    """Return for each place the number of the place it is measured against; -1 for none, as for a reference itself."""
    if against is None:
        return (-1,) * len(results.places)
    if against.place is not None:
        return tuple(-1 if number == against.place else against.place for number in range(len(results.places)))
    free = _free(results, against.at)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, each in enumerate(results.places):
        groups.setdefault(_key(each, free), []).append(number)
    of = [-1] * len(results.places)
    for numbers in groups.values():
        found = _reference(numbers, results.places, against.at)
        for number in numbers:
            of[number] = -1 if found is None or number == found else found
    return tuple(of)


def _pairs(said: str, where: str | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in said.split(","):
        name, equals, value = word.partition("=")
        if equals:
            found[name.strip()] = value.strip()
        elif found:  # a value with a comma in it
            found[next(reversed(found))] += f",{word}"
        else:
            raise UsageError(f"{word!r} is no AXIS=VALUE, such as steps=max", where=where)
    return found


def _stated(said: Mapping[str, Any], results: Results, where: str | None) -> Against:
    if not said:
        raise UsageError("says nothing; write steps=max, or the axes and values of a reference", where=where)
    at = {name: _value(name, value, results, where) for name, value in said.items()}
    return Against(at=MappingProxyType(at), text=_text(at, results))


def _value(name: str, said: Any, results: Results, where: str | None) -> Any:
    """Return the value of an axis that is said by its label; `max` and `min` where it has numbers."""
    if name not in results.axes:
        raise UsageError(unknown_name("axis", str(name), results.axes), where=where)
    values = results.axes[name]
    word = label(said)
    for value in values:
        if value is not None and label(value) == word:
            return value
    if word in ("max", "min") and _numbers(values):
        return End(word)
    shown = [label(value) for value in values if value is not None]
    if len(shown) > _KNOWN:  # a range of ten thousand seeds is no help
        ends = f"{shown[0]} ... {shown[-1]}"
        raise UsageError(f"no {name} {word!r} in this run, which has {len(shown):,} of them: {ends}", where=where)
    raise UsageError(unknown_name(name, word, shown), where=where)


def _named(said: str, places: Sequence[Result]) -> int | None:
    """Return the place of the picture whose file has this name, with or without its suffix."""
    for number, each in enumerate(places):
        if each.picture is not None and said in (each.picture.name, each.picture.stem):
            return number
    return None


def _numbered(said: str, places: Sequence[Result], where: str | None) -> int:
    """Return the place of the picture whose id begins so."""
    found = {each.id: number for number, each in reversed([*enumerate(places)]) if each.id.startswith(said)}
    if not _DIGITS.fullmatch(said) or not found:
        names = [each.picture.name for each in places if each.picture is not None]
        problem = "is no AXIS=VALUE, no picture's file and no id's first digits (at least 4)"
        raise UsageError(f"{said!r} {problem}{_meant(said, names)}", where=where)
    if len(found) > 1:
        raise UsageError(f"{len(found)} pictures have an id that begins with {said!r}; write more digits", where=where)
    return next(iter(found.values()))


def _meant(said: str, names: Sequence[str]) -> str:
    _, hint, rest = unknown_name("", said, names).partition("; did you mean ")
    return hint + rest.split("?")[0] + "?" if hint else ""


def _free(results: Results, at: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the axes on which a reference stands where the picture does: not those that only go with one in `at`."""
    others = [name for name in results.varying if name not in at]
    return tuple(name for name in others if not any(_together(results, name, each) for each in at))


def _together(results: Results, one: str, other: str) -> bool:
    """Say whether two axes change together and never apart, as those of one bundle do."""
    if other not in results.varying:
        return False
    pairs = {(label(each.coordinates[one]), label(each.coordinates[other])) for each in results.places}
    return len({first for first, _ in pairs}) == len(pairs) == len({second for _, second in pairs})


def _reference(numbers: Sequence[int], places: Sequence[Result], at: Mapping[str, Any]) -> int | None:
    """Return which of some places, equal in all other axes, has the values that a reference has."""
    left = list(numbers)
    for name, value in at.items():
        if not isinstance(value, End):
            left = [number for number in left if _same(places[number].coordinates[name], value)]
    for name, value in at.items():
        if isinstance(value, End):
            left = [number for number in left if places[number].coordinates[name] is not None]
            wanted = value.of(places[number].coordinates[name] for number in left) if left else None
            left = [number for number in left if places[number].coordinates[name] == wanted]
    return left[0] if left else None


def _key(place: Result, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple((type(value := place.coordinates[name]), value) for name in names)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _numeric(results: Results) -> bool:
    return _numbers(results.axes[_STEPS])


def _numbers(values: Sequence[Any]) -> bool:
    there = [value for value in values if value is not None]
    return bool(there) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)


def _text(at: Mapping[str, Any], results: Results) -> str:
    said = ", ".join(f"{name} {label(_most(name, value, results))}" for name, value in at.items())
    same = _free(results, at)
    if not same:
        return said
    listed = " and ".join(filter(None, [", ".join(same[:-1]), same[-1]]))
    return f"{said} of the same {listed}"


def _most(name: str, value: Any, results: Results) -> Any:
    return value.of(each for each in results.axes[name] if each is not None) if isinstance(value, End) else value
