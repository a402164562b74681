"""What two runs do otherwise: fields of recipes, weights, and what pictures were made with. Pure; it opens no file."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from batchgen.compare.results import Result, Results
from batchgen.plan.sweep import label

DIGITS = 10
"""Of a file's SHA-256, as other programs show it."""

_MOST = 6
"""Values that a sentence lists."""

_LIBRARIES = "libraries."


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that is otherwise in the second of two runs."""

    kind: Literal["recipe", "weights", "environment", "batch"]
    name: str
    """A field (`steps`, `loras[0].name`), a file of weights, `torch`, `threads`, `batch size`."""
    before: str
    """In the first run, for people; several values have commas between them, and none is a dash."""
    after: str
    """In the second."""

    def __str__(self) -> str:
        """Say it.

        >>> print(Change(kind="environment", name="torch", before="2.12.1", after="2.13.0"))
        torch 2.12.1 -> 2.13.0
        """
        return f"{self.name} {self.before} -> {self.after}"


def said(changes: Iterable[Change]) -> str:
    """Return changes as part of a sentence: `weights striped 1a2b3c4d5e -> 0f1e2d3c4b; environment torch 2 -> 3`."""
    by_kind = groupby(changes, key=lambda each: each.kind)
    return "; ".join(f"{'' if kind == 'batch' else f'{kind} '}{', '.join(map(str, each))}" for kind, each in by_kind)


def leaves(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return each single value of a recipe by its dotted name.

    >>> leaves({"steps": 20, "loras": [{"name": "striped", "scale": 1.0}], "vae": None})
    {'steps': 20, 'loras[0].name': 'striped', 'loras[0].scale': 1.0}
    """
    return dict(_leaves("", recipe))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(f"{name}.{key}" if name else str(key), each)
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _leaves(f"{name}[{number}]", each)
    elif value is not None:
        yield name, value


def weights(before: Sequence[Result], after: Sequence[Result]) -> Iterator[Change]:
    """Yield the files of weights that have the same name in two runs, and not the same content."""
    first, second = _digests(before), _digests(after)
    for name in (name for name in first if first[name] != second.get(name, first[name])):
        yield Change(kind="weights", name=name, before=listed(first[name]), after=listed(second[name]))


def _digests(made: Sequence[Result]) -> dict[str, dict[str, None]]:
    found: dict[str, dict[str, None]] = {}
    for each in made:
        for name, digest in each.weights:
            found.setdefault(name, {})[digest[:DIGITS]] = None
    return found


def environments(one: Results, other: Results) -> tuple[Change, ...]:
    """Return what two runs were made with that is not the same: versions, device, threads, ..."""
    return _otherwise(_surroundings(one, made(one)), _surroundings(other, made(other)))


def made(results: Results) -> list[Result]:
    """Return the places of a run whose pictures are there and tell what they are of."""
    return [each for each in results.places if each.state == "made"]


def strays(results: Results) -> tuple[int, ...]:
    """Return the numbers of the places whose pictures were made in another environment than most of their run."""
    usual = Counter(each.environment for each in made(results)).most_common(1)
    return tuple(
        number for number, each in enumerate(results.places) if each.state == "made" and each.environment != usual[0][0]
    )


def stray_sentence(results: Results) -> str:
    """Return a sentence on pictures of a run that were made in another environment than the rest; "" without any."""
    odd = [results.places[number] for number in strays(results)]
    if not odd:
        return ""
    others = {each.environment for each in odd}
    rest = [each for each in made(results) if each.environment not in others]
    what = ", ".join(map(str, _otherwise(_surroundings(results, rest), _surroundings(results, odd))))
    of = f"{len(odd):,} of {len(odd) + len(rest):,} pictures {'was' if len(odd) == 1 else 'were'} made"
    return f"{results.name}: {of} in another environment than the rest: {what}"


def _otherwise(before: Mapping[str, Mapping[str, None]], after: Mapping[str, Mapping[str, None]]) -> tuple[Change, ...]:
    if not before or not after:  # nothing is made yet
        return ()
    names = dict.fromkeys((*before, *after))
    pairs = ((name, before.get(name, {}), after.get(name, {})) for name in names)
    return tuple(
        Change(kind="environment", name=name, before=listed(first), after=listed(second))
        for name, first, second in pairs
        if first.keys() != second.keys()
    )


def _surroundings(results: Results, places: Sequence[Result]) -> dict[str, dict[str, None]]:
    """Return the values, for people, that each part of an environment had where pictures of `places` were made."""
    found: dict[str, dict[str, None]] = {}
    for version in dict.fromkeys(each.batchgen for each in places):
        found.setdefault("batchgen", {})[version] = None
    for key in dict.fromkeys(each.environment for each in places):
        for name, value in leaves(results.environments.get(key, {})).items():
            found.setdefault(name.removeprefix(_LIBRARIES), {})[label(value)] = None
    return found


def listed(values: Iterable[Any]) -> str:
    """Return values as a sentence lists them.

    >>> listed([4, 2.0]), listed(range(9)), listed([])
    ('4, 2', '0, 1, 2, 3, 4, 5 and 3 more', '—')
    """
    every = [label(value) for value in values]
    more = f" and {len(every) - _MOST:,} more" if len(every) > _MOST else ""
    return (", ".join(every[:_MOST]) or label(None)) + more
