"""The directions in which a sweep extends: an axis, a bundle, or several axes zipped together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchgen.errors import ManifestError, unknown_name
from batchgen.manifest import Manifest
from batchgen.manifest.shape import CHOICES
from batchgen.parts import FIELDS
from batchgen.plan.fields import FieldReader, may_be_range, read_variable
from batchgen.plan.patterns import is_pattern, labels
from batchgen.plan.sweep import MAX_VALUES, count_range, label, read_range


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One place along a dimension."""

    coordinates: tuple[Any, ...]
    """One value for each axis of the dimension; None where it does not touch a prompt."""
    sets: Mapping[str, Any]
    """Checked recipe fields, `model`, and texts of prompt variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """Axes that advance together: usually one."""

    names: tuple[str, ...]
    options: tuple[Option, ...]
    wheres: tuple[str | None, ...]
    """Where each axis is written."""

    @property
    def sets(self) -> frozenset[str]:
        """Every field and variable that some option sets."""
        return frozenset().union(*(option.sets for option in self.options))


def read_dimensions(manifest: Manifest, reader: FieldReader) -> tuple[Dimension, ...]:
    """Return the dimensions of a manifest in the order in which it names them, seeds and prompts not among them.

    Raises:
        ManifestError: a value is wrong or there twice, one field is set by two axes, or a zip does not fit.
    """
    single = {axis.names[0]: axis for axis in (*_axes(manifest, reader), *_bundles(manifest, reader))}
    found = _zipped(manifest, single)
    for dimension in found:
        _all_different(dimension)
    _one_setter(tuple(single.values()))
    return found


def _axes(manifest: Manifest, reader: FieldReader) -> Iterator[Dimension]:
    for name, values in manifest.sweep.items():
        where = manifest.where(("sweep", name))
        if name in manifest.bundles:
            raise ManifestError(f"{name!r} is both an axis and a bundle; rename one", where=where)
        placed = [(value, manifest.where(("sweep", name, i))) for i, value in enumerate(values)]
        if any(is_pattern(name, value) for value in values):
            yield Dimension(names=(name,), options=tuple(_files(name, placed, manifest, reader)), wheres=(where,))
            continue
        # In a list of texts for a prompt, `0..3` is one of them.
        ranges = name in CHOICES or len(values) == 1
        _few_enough(name, placed, ranges=ranges)
        options = [each for value, place in placed for each in _options(name, value, place, reader, ranges=ranges)]
        yield Dimension(names=(name,), options=tuple(options), wheres=(where,))


def _few_enough(name: str, placed: Sequence[tuple[Any, str | None]], *, ranges: bool) -> None:
    """Count what the values of an axis stand for, before any is made."""
    count = 0
    for value, where in placed:
        try:
            count += count_range(value) if ranges and may_be_range(name, value) else 1
        except ValueError as error:
            raise ManifestError(f"{name}: {error}", where=where) from error
        if count > MAX_VALUES:
            raise ManifestError(f"{name}: has more than {MAX_VALUES:,} values, which no axis may have", where=where)


def _files(
    name: str, placed: Sequence[tuple[Any, str | None]], manifest: Manifest, reader: FieldReader
) -> Iterator[Option]:
    """Yield an option for each file, labelled by what differs in their paths, and for what else stands beside them."""
    written: list[tuple[Any, str | None]] = []
    found: list[str] = []
    for value, where in placed:
        if not is_pattern(name, value):
            written.append((value, where))
            continue
        pattern = value["files"] if isinstance(value, dict) else value
        files = [str(file) for file in reader.confs.beside.files(name, pattern, manifest.folder)]
        if not files:
            raise ManifestError(f"{name}: no file is like {pattern!r}", where=where)
        fresh = [file for file in files if file not in found]
        found += fresh
        written += [(file, where) for file in fresh]
    shown = dict(zip(found, labels([Path(file).as_posix() for file in found]), strict=True))
    numbers = len(found) == len(written) and all(each.isdecimal() for each in shown.values())
    for value, where in written:
        said = shown.get(value, label(value)) if isinstance(value, str) else label(value)
        yield Option(coordinates=(int(said) if numbers else said,), sets=reader.read(name, value, where))


def _options(name: str, value: Any, where: str | None, reader: FieldReader, *, ranges: bool) -> Iterator[Option]:
    """Yield what one written value stands for: itself, or each value of a range."""
    values: Sequence[Any] = (value,)
    if ranges and may_be_range(name, value):
        try:
            values = read_range(value)
        except ValueError as error:
            raise ManifestError(f"{name}: {error}", where=where) from error
    for each in values:
        if name in CHOICES:
            sets = reader.read(name, each, where)
            yield Option(coordinates=(sets.get(name, each),), sets=sets)
        else:
            text = read_variable(name, each, where)
            yield Option(coordinates=(text,), sets={name: text})


def _bundles(manifest: Manifest, reader: FieldReader) -> Iterator[Dimension]:
    for name, choices in manifest.bundles.items():
        options = []
        for choice, values in choices.items():
            at = ("bundles", name, choice)
            plain = {key: value for key, value in values.items() if key in CHOICES}
            wheres = {key: manifest.where((*at, key)) for key in values}
            sets = reader.read_all(plain, manifest.where(at), wheres)
            sets |= {key: read_variable(key, value, wheres[key]) for key, value in values.items() if key not in CHOICES}
            options.append(Option(coordinates=(choice,), sets=sets))
        yield Dimension(names=(name,), options=tuple(options), wheres=(manifest.where(("bundles", name)),))


def _zipped(manifest: Manifest, single: Mapping[str, Dimension]) -> tuple[Dimension, ...]:
    """Put the axes of each zip group together, where the first of them stood."""
    groups = {name: (i, group) for i, group in enumerate(manifest.zip) for name in group}
    for name, (i, _) in groups.items():
        if name not in single:
            raise ManifestError(f"zip: {unknown_name('axis', name, single)}", where=manifest.where(("zip", i)))
    found: dict[tuple[str, ...], Dimension] = {}
    for name, dimension in single.items():
        i, group = groups.get(name, (0, (name,)))
        if group not in found:
            found[group] = (
                _together([single[each] for each in group], manifest.where(("zip", i)))
                if i or len(group) > 1
                else dimension
            )
    return tuple(found.values())


def _together(parts: Sequence[Dimension], where: str | None) -> Dimension:
    if len({len(part.options) for part in parts}) > 1:
        lengths = ", ".join(f"{part.names[0]} has {len(part.options)}" for part in parts)
        raise ManifestError(f"zip: axes that go together need equally many values, but {lengths}", where=where)
    rows = zip(*(part.options for part in parts), strict=True)
    options = (
        Option(
            coordinates=tuple(value for option in row for value in option.coordinates),
            sets={key: value for option in row for key, value in option.sets.items()},
        )
        for row in rows
    )
    return Dimension(
        names=tuple(name for part in parts for name in part.names),
        options=tuple(options),
        wheres=tuple(where for part in parts for where in part.wheres),
    )


def _all_different(dimension: Dimension) -> None:
    seen = set()
    for option in dimension.options:
        if option.coordinates in seen:
            shown = ", ".join(label(value) for value in option.coordinates)
            raise ManifestError(f"{', '.join(dimension.names)}: {shown} is there twice", where=dimension.wheres[0])
        seen.add(option.coordinates)


def _one_setter(dimensions: Sequence[Dimension]) -> None:
    setters: dict[str, str] = {}
    for dimension in dimensions:
        name = dimension.names[0]
        for each in dimension.sets:
            if each in setters:
                kind = "field" if each in FIELDS else "variable"
                message = f"the {kind} {each!r} is set by two axes, {setters[each]!r} and {name!r}; keep one"
                raise ManifestError(message, where=dimension.wheres[0])
            setters[each] = name
