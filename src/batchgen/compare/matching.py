"""Which pictures of two runs belong together: those that were asked for in the same words. Pure; it opens no file.

What is the same in all of one run, and something else in all of the other, is what the runs are compared for: such
fields are left out. Weights are matched by name, so that a LoRA that was trained again meets its former self, and where
each run has one name that the other has not, those two are taken for the same. All else has to be equal.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from batchgen.compare.changes import Change, leaves, listed
from batchgen.compare.results import Result, Results
from batchgen.plan.sweep import label

Leaves = Mapping[str, Any]
"""Single values of a recipe by their dotted names."""

_FILES = re.compile(r"model|vae|loras\[\d+\]\.name|hires\.upscaler|upscale\.model")
"""Fields that name weights."""


class Fields:
    """The fields of the recipes of two runs, and which of them tell pictures apart."""

    def __init__(self, one: Sequence[Leaves], other: Sequence[Leaves]) -> None:
        """Look at the recipes of all pictures of either run."""
        names = dict.fromkeys(name for recipe in (*one, *other) for name in recipe)
        self._values = {name: (_values(name, one), _values(name, other)) for name in names}
        self.changed = frozenset(
            name for name, (before, after) in self._values.items() if len(before) == len(after) == 1 and before != after
        )
        """Those that are one value in all of one run, and another in all of the other."""
        self._kept = [name for name in names if name not in self.changed]
        self._renamed = {name: pair for name in self._kept if _FILES.fullmatch(name) and (pair := self._renaming(name))}

    def key(self, recipe: Leaves, *, second: bool) -> tuple[Any, ...]:
        """Return what is equal for two pictures, of the first run and of the `second`, that belong together."""
        return tuple(self._value(name, recipe.get(name), second=second) for name in self._kept)

    def changes(self) -> Iterator[Change]:
        """Yield what the two runs do otherwise, and is left out where pictures are matched."""
        for name in self._values:
            if name in self.changed:
                before, after = self._values[name]
                yield Change(kind="recipe", name=name, before=listed(before), after=listed(after))
            elif name in self._renamed:
                one, other = self._renamed[name]
                yield Change(kind="recipe", name=name, before=one, after=other)

    def apart(self) -> Mapping[str, tuple[str, str]]:
        """Return by field the values that it has in either run, where they share none: then nothing can match."""
        found = {
            name: (listed(before), listed(after))
            for name, (before, after) in self._values.items()
            if name in self._kept and before and after and not before.keys() & after.keys()
        }
        return MappingProxyType(found)

    def _value(self, name: str, value: Any, *, second: bool) -> Any:
        before, after = self._renamed.get(name, (None, None))
        return before if second and value is not None and value == after else value

    def _renaming(self, name: str) -> tuple[str, str] | None:
        before, after = self._values[name]
        mine, others = ([each for each in before if each not in after], [each for each in after if each not in before])
        one, other = ([each for each in names if each is not None] for names in (mine, others))
        return (one[0], other[0]) if len(one) == len(other) == 1 else None


def _values(name: str, recipes: Iterable[Leaves]) -> dict[Any, None]:
    """Return the values of a field in some recipes, in their order; None where it says nothing."""
    return dict.fromkeys(recipe.get(name) for recipe in recipes)


def match(one: Results, other: Results, fields: Fields) -> list[tuple[int, int]]:
    """Return the numbers of the places of two runs whose pictures belong together, each in one pair at most.

    Where several of one run were asked for in the same words, those that stand at the same coordinates go together, and
    the rest in order.
    """
    shared = [name for name in one.axes if name in other.axes]
    firsts, seconds = _by_key(one, fields, second=False), _by_key(other, fields, second=True)
    found: list[tuple[int, int]] = []
    for key in firsts.keys() & seconds.keys():
        first = {number: _at(one.places[number], shared) for number in firsts[key]}
        second = {number: _at(other.places[number], shared) for number in seconds[key]}
        found += _one_to_one(first, second)
    return sorted(found)


def _by_key(results: Results, fields: Fields, *, second: bool) -> dict[tuple[Any, ...], list[int]]:
    found: dict[tuple[Any, ...], list[int]] = {}
    for number, each in enumerate(results.places):
        if each.state == "made":
            found.setdefault(fields.key(leaves(each.recipe), second=second), []).append(number)
    return found


def _at(place: Result, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(label(place.coordinates[name]) for name in names)


def _one_to_one(
    first: Mapping[int, tuple[str, ...]], second: Mapping[int, tuple[str, ...]]
) -> Iterator[tuple[int, int]]:
    """Pair numbers, with what is there at the same coordinates before all else."""
    there: dict[tuple[str, ...], list[int]] = {}
    for number, at in reversed([*second.items()]):
        there.setdefault(at, []).append(number)
    found = {number: there[at].pop() for number, at in first.items() if there.get(at)}
    yield from found.items()
    taken = set(found.values())
    left = (number for number in second if number not in taken)
    yield from zip((number for number in first if number not in found), left, strict=False)
