"""Exclusions: `{sampler: [ddim, lms], steps: ">12"}` leaves out the cells that meet every part of it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import ge, gt, le, lt
from typing import Any, Final

from batchgen.errors import ManifestError, unknown_name
from batchgen.manifest import Manifest
from batchgen.manifest.reading import plain_value
from batchgen.manifest.shape import CHOICES
from batchgen.parts import FIELDS
from batchgen.plan.fields import TEXTS, FieldReader, wrong_field
from batchgen.plan.sweep import label

_COMPARISON: Final = re.compile(r"(>=|<=|>|<)\s*(-?[0-9]+(?:\.[0-9]+)?)")
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_JUDGED: Final = frozenset(CHOICES) - TEXTS | {"sampler", "schedule"}
"""Fields of which it is known what they can never be."""
_OTHER: Final = "!="
"""Before a number or word: every value but this."""
_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {">": gt, ">=": ge, "<": lt, "<=": le}


@dataclass(slots=True, kw_only=True)
class _Condition:
    """One name of one exclusion, and which of its values were met so far."""

    name: str
    wanted: tuple[Any, ...]
    where: str | None
    met: set[int] = field(default_factory=set)
    named: set[int] = field(default_factory=set)
    """Which `!=` have named a value that there is."""
    known: dict[Any, bool] = field(default_factory=dict)

    def holds(self, value: Any) -> bool:
        """Return whether `value` is one of the wanted ones; each value is looked at once."""
        found = self.known.get(value)
        if found is None:
            hits = {i for i, wanted in enumerate(self.wanted) if _matches(value, wanted)}
            self.met |= hits
            self.named |= {i for i, wanted in enumerate(self.wanted) if _is(value, _but(wanted))}
            found = self.known[value] = bool(hits)
        return found

    def unmet(self) -> Iterator[str]:
        """Yield, as written, what no value was; `!=eulr` where all are something else is a slip as well."""
        for i, wanted in enumerate(self.wanted):
            if i not in self.met:
                yield label(wanted)
            elif _but(wanted) is not None and i not in self.named:
                yield str(_but(wanted))


def _but(wanted: Any) -> str | None:
    """Return what stands behind `!=`."""
    return wanted[len(_OTHER) :].strip() if isinstance(wanted, str) and wanted.startswith(_OTHER) else None


def _is(value: Any, word: str | None) -> bool:
    """Return whether a word says this value; a number may be written in any way."""
    if value is None or word is None:
        return False
    if isinstance(value, int | float) and _NUMBER.fullmatch(word):
        return label(value) == label(float(word) if "." in word else int(word))
    return label(value) == word


def _matches(value: Any, wanted: Any) -> bool:
    if (but := _but(wanted)) is not None:
        return value is not None and not _is(value, but)
    comparison = _COMPARISON.fullmatch(wanted) if isinstance(wanted, str) else None
    if comparison is not None and isinstance(value, int | float):
        return _OPERATORS[comparison[1]](value, float(comparison[2]))
    return _is(value, label(wanted))


class Exclusions:
    """The exclusions of a manifest. Counts what it leaves out, and notices conditions that nothing ever meets."""

    def __init__(self, manifest: Manifest, axes: Iterable[str], reader: FieldReader) -> None:
        """Read the exclusions.

        Raises:
            ManifestError: a name is neither an axis nor a field, a comparison compares with no number, or a field can
                never have such a value.
        """
        known = tuple(dict.fromkeys((*axes, *FIELDS, "model")))
        self.count = 0
        self._all = [
            [_condition(manifest, i, name, wanted, known) for name, wanted in item.items()]
            for i, item in enumerate(manifest.exclude)
        ]
        for condition in (condition for item in self._all for condition in item):
            for wanted in condition.wanted if condition.name in _JUDGED else ():
                _possible(condition, wanted, reader)

    def __bool__(self) -> bool:
        return bool(self._all)

    def meet(self, value_of: Callable[[str], Any]) -> bool:
        """Return whether a cell is left out; `value_of` gives its coordinate or field of a name."""
        # Every condition is asked, also after one that fails: only so can it be said that no cell ever meets one.
        verdicts = [[condition.holds(value_of(condition.name)) for condition in item] for item in self._all]
        out = any(all(verdict) for verdict in verdicts)
        self.count += out
        return out

    def warnings(self) -> Iterator[str]:
        """Yield what can be said once every cell was asked."""
        for condition in (condition for item in self._all for condition in item):
            for wanted in condition.unmet():
                yield f"{condition.where}: exclude: no cell has {condition.name} {wanted}"


def _condition(manifest: Manifest, i: int, name: str, wanted: Sequence[Any], known: Sequence[str]) -> _Condition:
    where = manifest.where(("exclude", i, name))
    if name not in known:
        problem = wrong_field(name, known) if name not in FIELDS else unknown_name("axis", name, known)
        raise ManifestError(f"exclude: {problem}", where=where)
    for each in wanted:
        if _but(each) == "":
            raise ManifestError("exclude: nothing stands behind '!='", where=where)
        compares = isinstance(each, str) and each.startswith(("<", ">")) and name != "prompt"
        if compares and not _COMPARISON.fullmatch(each):
            raise ManifestError(f"exclude: {each!r} must compare with a number, such as '>12'", where=where)
    return _Condition(name=name, wanted=tuple(wanted), where=where)


def _possible(condition: _Condition, wanted: Any, reader: FieldReader) -> None:
    """Refuse a value that the field never has; one that this sweep does not have is only warned about."""
    name, where = condition.name, condition.where
    if isinstance(wanted, str) and _COMPARISON.fullmatch(wanted):
        if not _is_number(name, reader):
            raise ManifestError(f"exclude: {name} is no number to compare; name its values, or '!=VALUE'", where=where)
        return
    word = _but(wanted)
    # Written in any way: '12', 12 and 12.0 are the same steps.
    value = plain_value(label(plain_value(label(wanted) if word is None else word)))
    try:
        reader.read(name, value, where)
    except ManifestError as error:
        hint = "; comparisons are written '>12', '<=4' and '!=8'" if _is_number(name, reader) else ""
        raise ManifestError(f"exclude: {error.message}{hint}", where=where) from error


def _is_number(name: str, reader: FieldReader) -> bool:
    for value in (1, 8):
        try:
            reader.read(name, value, None)
        except ManifestError:
            continue
        return True
    return False
