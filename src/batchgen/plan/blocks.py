"""Blocks: the part of a sweep that belongs to one prompt, where its entry's own fields pin some axes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any, Final

from batchgen.errors import ManifestError, unknown_name
from batchgen.manifest import Manifest
from batchgen.manifest.shape import CHOICES
from batchgen.parts import Text
from batchgen.plan.dimensions import Dimension, Option
from batchgen.plan.fields import FieldReader, read_variable, wrong_field
from batchgen.plan.prompts import Prompt
from batchgen.plan.resolve import Parts

Digits = tuple[int, ...]

_TEXT: Final = frozenset(each.name for each in fields(Text))


@dataclass(frozen=True, kw_only=True)
class Block:
    """All cells of one prompt."""

    prompt: Prompt
    own: Mapping[str, Any]
    """The checked fields of its entry, without seed and texts."""
    texts: Mapping[str, Any]
    """Those of them that are in `Text`: often different for each prompt, while all else is the same."""
    variables: Mapping[str, str]
    """Texts of variables that its entry says itself."""
    options: tuple[tuple[Option, ...], ...]
    """What is left of each dimension: one option where the entry pins it, or where it does not touch this prompt."""
    seeds: Sequence[int]
    parts: dict[Digits, Parts]
    """What was resolved so far; shared by blocks that differ in their texts alone."""

    @property
    def size(self) -> int:
        """The number of cells."""
        return prod(len(options) for options in self.options) * len(self.seeds)

    def at(self, index: int) -> tuple[Digits, int]:
        """Return the place along each dimension, and the seed, of a cell; seeds change fastest."""
        index, seed = divmod(index, len(self.seeds))
        digits = []
        for options in reversed(self.options):
            index, digit = divmod(index, len(options))
            digits.append(digit)
        return tuple(reversed(digits)), self.seeds[seed]

    def chosen(self, digits: Digits) -> tuple[Option, ...]:
        """Return the option along each dimension."""
        return tuple(options[digit] for options, digit in zip(self.options, digits, strict=True))

    def text(self, digits: Digits) -> str:
        """Return the prompt, its variables filled in."""
        if not self.prompt.phrase.variables:
            return self.prompt.phrase.literals[0]
        values: dict[str, str] = {}
        for option in self.chosen(digits):
            values |= option.sets
        return self.prompt.phrase.filled(values | dict(self.variables))


def read_blocks(
    manifest: Manifest,
    prompts: Sequence[Prompt],
    dimensions: Sequence[Dimension],
    seeds: Sequence[int],
    reader: FieldReader,
) -> tuple[Block, ...]:
    """Return one block for each prompt.

    Raises:
        ManifestError: an entry says something unknown, or a variable is undefined or used by no template.
    """
    builder = _Builder(manifest, dimensions, seeds, reader)
    blocks = tuple(builder.block(prompt) for prompt in prompts)
    _all_used(dimensions, {name for prompt in prompts for name in prompt.phrase.variables})
    return blocks


def _all_used(dimensions: Iterable[Dimension], used: set[str]) -> None:
    for dimension in dimensions:
        for name in sorted(dimension.sets - used - {*CHOICES}):
            axis = dimension.names.index(name) if name in dimension.names else 0
            raise ManifestError(
                f"no template uses ${{{name}}}; {wrong_field(name, CHOICES)}", where=dimension.wheres[axis]
            )


class _Builder:
    """Makes blocks; equal restrictions of a dimension are made once."""

    def __init__(
        self, manifest: Manifest, dimensions: Sequence[Dimension], seeds: Sequence[int], reader: FieldReader
    ) -> None:
        self._manifest = manifest
        self._dimensions = dimensions
        self._seeds = seeds
        self._reader = reader
        self._bundles = {name for dimension in dimensions for name in dimension.names if name in manifest.bundles}
        self._names = [name for dimension in dimensions for name in (*dimension.names, *dimension.sets)]
        self._options: dict[tuple[Any, ...], tuple[tuple[Option, ...], ...]] = {}
        self._parts: dict[tuple[Any, ...], dict[Digits, Parts]] = {}

    def block(self, prompt: Prompt) -> Block:
        """Make the block of a prompt."""
        own, variables, pinned = self._said(prompt)
        seed = own.pop("seed", None)
        texts = {name: own.pop(name) for name in _TEXT & own.keys()}
        options = self._left(prompt, {**own, **texts, **variables, **pinned})
        self._defined(prompt, variables, options)
        return Block(
            prompt=prompt,
            own=own,
            texts=texts,
            variables=variables,
            options=options,
            seeds=self._seeds if seed is None else (seed,),
            parts=self._parts.setdefault((id(options), *sorted(own.items())), {}),
        )

    def _left(self, prompt: Prompt, pins: Mapping[str, Any]) -> tuple[tuple[Option, ...], ...]:
        """Return what is left of each dimension; the same object for prompts that pin alike."""
        told = tuple((name, pins[name]) for name in self._names if name in pins)
        key = (prompt.phrase.variables, told)
        if key not in self._options:
            variables = frozenset(prompt.phrase.variables)
            self._options[key] = tuple(_left(dimension, pins, variables, prompt) for dimension in self._dimensions)
        return self._options[key]

    def _said(self, prompt: Prompt) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
        """Return what an entry says: fields, texts of variables, options of bundles."""
        plain = {name: value for name, value in prompt.fields.items() if name in CHOICES}
        variables, pinned = {}, {}
        for name, value in prompt.fields.items():
            if name in plain:
                continue
            if name in prompt.phrase.variables:
                variables[name] = read_variable(name, value, prompt.where)
            elif name in self._bundles:
                pinned[name] = self._option(name, value, prompt)
            else:
                known = (*CHOICES, *prompt.phrase.variables, *self._bundles)
                raise ManifestError(wrong_field(name, known), where=prompt.where)
        return self._reader.read_all(plain, prompt.where, {}), variables, pinned

    def _option(self, name: str, value: Any, prompt: Prompt) -> str:
        options = self._manifest.bundles[name]
        if value not in options:
            raise ManifestError(unknown_name(f"option of {name}", str(value), options), where=prompt.where)
        return str(value)

    def _defined(self, prompt: Prompt, own: Mapping[str, str], left: Sequence[Sequence[Option]]) -> None:
        for name in prompt.phrase.variables:
            if name in own or any(all(name in option.sets for option in options) for options in left):
                continue
            if name in CHOICES:
                message = f"${{{name}}} is a recipe field; only prompt variables stand in a template"
            elif any(name in option.sets for options in left for option in options):
                message = f"${{{name}}} is set by some options of its bundle only; set it in each"
            else:
                known = [each for dimension in self._dimensions for each in dimension.sets - {*CHOICES}]
                message = unknown_name("variable", name, known) if known else f"${{{name}}}: there is no axis {name!r}"
            raise ManifestError(message, where=prompt.where)


def _left(
    dimension: Dimension, pins: Mapping[str, Any], variables: frozenset[str], prompt: Prompt
) -> tuple[Option, ...]:
    """Return the options of a dimension that a prompt goes through."""
    if not dimension.sets & {*CHOICES, *variables}:
        return (Option(coordinates=(None,) * len(dimension.names), sets={}),)
    pinned = [_pinned(name, pins, prompt) for name in dimension.names]
    if all(pin is None for pin in pinned):
        return dimension.options
    found: dict[tuple[Any, ...], Option] = {}
    for option in dimension.options:
        pairs = tuple(zip(dimension.names, option.coordinates, pinned, strict=True))
        if any(name not in option.sets and name != "size" and pin not in (None, value) for name, value, pin in pairs):
            continue  # another option of a bundle than the entry wants
        coordinates = tuple(value if pin is None else pin for _, value, pin in pairs)
        found.setdefault(coordinates, Option(coordinates=coordinates, sets=option.sets))
    return tuple(found.values())


def _pinned(name: str, pins: Mapping[str, Any], prompt: Prompt) -> Any:
    """Return the coordinate that an entry pins an axis to; None: it does not."""
    if name != "size":
        return pins.get(name)
    sides = [pins.get(side) for side in ("width", "height")]
    if sides == [None, None]:
        return None
    if None in sides:
        raise ManifestError("size is an axis here: write size, not width or height alone", where=prompt.where)
    return f"{sides[0]}x{sides[1]}"
