"""Expansion: manifest, command line and conf/ become cells.

A sweep is counted before anything is written out, so that 2x10^10 cells cost nothing but an error. Any cell can be made
by its number: prompts are the slowest digit, then the axes as the manifest names them, and seeds the fastest.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Final, NamedTuple

from batchgen.errors import ManifestError, ModelError, UsageError, unknown_name
from batchgen.job import Job, Model
from batchgen.manifest import Comparing, Manifest
from batchgen.models.clips import check_clip
from batchgen.models.families import FAMILIES
from batchgen.parts import Canvas, Text, check_field
from batchgen.plan.blocks import Block, Digits, read_blocks
from batchgen.plan.dimensions import Dimension, read_dimensions
from batchgen.plan.exclude import Exclusions
from batchgen.plan.fields import Confs, FieldReader
from batchgen.plan.making import Maker, Ordered, instead
from batchgen.plan.pictures import with_pictures
from batchgen.plan.prompts import read_prompts
from batchgen.plan.resolve import Parts, Resolver
from batchgen.plan.subset import drawn
from batchgen.plan.sweep import Axis, label, read_seeds
from batchgen.plan.words import Fields, with_words
from batchgen.wishes import From

DEFAULT_LIMIT: Final = 1_000_000
"""Cells that are written out without a flag."""


class Coordinates(Mapping[str, Any]):
    """Where a cell is: axis -> value. Frozen and hashable; all cells of a sweep share the names."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
        """Put one value at each name."""
        self._names = names
        self._values = values

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __hash__(self) -> int:
        return hash((self._names, self._values))

    def __repr__(self) -> str:
        return f"Coordinates({dict(self)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A place in the sweep, with the job that belongs there."""

    coordinates: Coordinates
    """Axis -> value. `prompt` is a label; None where an axis does not touch the prompt."""
    job: Job
    name: str | None
    note: str | None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Every cell that is asked for."""

    axes: tuple[Axis, ...]
    """`prompt` first, `seed` last; with the values that occur, in the manifest's order."""
    cells: tuple[Cell, ...]
    product: int
    """Cells before anything was left out."""
    excluded: int
    notes: tuple[str, ...]
    """What a person may want to know."""
    warnings: tuple[str, ...]
    """What is probably not meant."""
    overruled: tuple[str, ...]
    """What a model recommends and no cell has: on purpose more often than not."""

    @property
    def count(self) -> int:
        """The number of cells. Jobs may be fewer: two cells may hold the same."""
        return len(self.cells)

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The axes with more than one value."""
        return tuple(axis.name for axis in self.axes if len(axis.values) > 1)


class _Row(NamedTuple):
    """What the seeds of one place have in common."""

    block: Block
    parts: Parts
    text: Text
    coordinates: tuple[Any, ...]
    digits: Digits


def expand(manifest: Manifest, fields: Fields, confs: Confs, *, limit: int = DEFAULT_LIMIT) -> Sweep:
    """Return every cell that a manifest asks for.

    Args:
        manifest: What is to be made.
        fields: Words of the command line, as `plan.words.with_words` takes them.
        confs: The options of conf/.
        limit: More cells than these are counted, and refused.

    Raises:
        UsageError: a word is wrong, with its place; or there are more than `limit` cells.
        ModelError: a model cannot do what is asked, or is not on this machine. Models are looked for last.
    """
    manifest = with_words(with_pictures(manifest, fields.keys(), confs), fields)
    reader = FieldReader(confs=confs)
    dimensions = read_dimensions(manifest, reader)
    seeds = _seeds(manifest)
    prompts = read_prompts(manifest, limit=limit)
    blocks = read_blocks(manifest, prompts, dimensions, seeds, reader)
    return _Expansion(manifest, blocks, dimensions, reader).sweep(seeds, limit)


def _seeds(manifest: Manifest) -> Sequence[int]:
    try:
        return (0,) if manifest.seeds is None else read_seeds(manifest.seeds)
    except ValueError as error:
        raise ManifestError(str(error), where=manifest.where(("seeds",))) from error


class _Expansion:
    """The steps of `expand` after reading, over what they have in common."""

    def __init__(
        self, manifest: Manifest, blocks: Sequence[Block], dimensions: Sequence[Dimension], reader: FieldReader
    ) -> None:
        self._manifest = manifest
        self._blocks = blocks
        self._dimensions = dimensions
        self._confs = reader.confs
        places = {name: manifest.where(("set", name)) for name in manifest.set}
        settings = reader.read_all(manifest.set, manifest.where(("set",)), places)
        self._resolver = Resolver(reader.confs, settings, manifest.where(("set",)), manifest.folder)
        self._maker = Maker(reader.confs)
        self._models: dict[str, Model] = {}
        self._fitting: set[tuple[Model, Canvas]] = set()
        self._names = ("prompt", *(name for dimension in dimensions for name in dimension.names), "seed")
        self._exclusions = Exclusions(manifest, self._names, reader)
        self._ends = list(accumulate(block.size for block in blocks))

    def sweep(self, seeds: Sequence[int], limit: int) -> Sweep:
        """Count, choose, check, then make the cells."""
        self._comparable()
        product = self._ends[-1]
        kept = self._chosen(product, limit)
        rows = list(self._rows(kept))
        self._possible(rows)
        cells = self._cells(rows)
        return Sweep(
            axes=self._axes(cells, seeds),
            cells=cells,
            product=product,
            excluded=self._exclusions.count,
            notes=tuple(self._notes(product, seeds)),
            warnings=(*self._manifest.told, *self._exclusions.warnings(), *self._without_effect()),
            overruled=tuple(self._overruled({id(row.parts): row.parts for row, _ in rows}.values())),
        )

    def _comparable(self) -> None:
        compare = self._manifest.compare or Comparing()
        against = compare.against if isinstance(compare.against, Mapping) else {}
        for key, axis in (*compare.sides.items(), *(("against", axis) for axis in against)):
            if axis not in self._names:
                message = f"compare: {key}: {unknown_name('axis', axis, self._names)}"
                raise ManifestError(message, where=self._manifest.where(("compare", key)))

    def _chosen(self, product: int, limit: int) -> Sequence[int]:
        """Return the numbers of the cells that are neither excluded nor outside of the subset, in order."""
        subset = self._manifest.subset
        asked = min(subset.count, product) if subset else product
        if asked > limit:
            message = f"{asked:,} cells are asked for, more than {limit:,}; write a `subset:`, or raise --max-jobs"
            raise UsageError(message, where=self._manifest.file or None)
        if not subset:
            kept: Sequence[int] = range(product)
            return self._not_excluded(kept, product) if self._exclusions or self._manifest.incompatible else kept
        # Where exclusions leave next to nothing, looking on would take for ever.
        most = min(product, 4 * limit)
        order = (index for index, _ in zip(drawn(product, subset.seed), range(most), strict=False))
        found = self._not_excluded(order, asked)
        if len(found) < asked and most < product:
            message = f"subset: exclude leaves only {len(found):,} of {most:,} cells that were looked at"
            raise ManifestError(message, where=self._manifest.where(("subset",)))
        return sorted(found)

    def _not_excluded(self, order: Iterable[int], most: int) -> list[int]:
        found: list[int] = []
        for index in order:
            if len(found) == most:
                break
            if self._exclusions and self._exclusions.meet(self._value_of(index)):
                continue
            if self._manifest.incompatible and self._misfits(index):
                self._exclusions.count += 1
                continue
            found.append(index)
        if not found:
            raise ManifestError("exclude: leaves nothing to make", where=self._manifest.where(("exclude",)))
        return found

    def _misfits(self, index: int) -> bool:
        block, digits, seed = self._at(index)
        row = self._row(block, digits)
        model = self._model(row.parts.model, block)
        return self._maker.misfit(Ordered(parts=row.parts, text=row.text, seed=seed, model=model)) is not None

    def _value_of(self, index: int) -> Callable[[str], Any]:
        """Return how the coordinates and fields of a cell are looked up."""
        block, digits, seed = self._at(index)
        values = {**block.texts, "prompt": block.prompt.label, "seed": seed}
        for dimension, option in zip(self._dimensions, block.chosen(digits), strict=True):
            values |= zip(dimension.names, option.coordinates, strict=True)
        fields = self._parts(block, digits).values
        return lambda name: values[name] if name in values else fields.get(name)

    def _at(self, index: int) -> tuple[Block, Digits, int]:
        i = bisect_right(self._ends, index)
        block = self._blocks[i]
        return block, *block.at(index - (self._ends[i - 1] if i else 0))

    def _parts(self, block: Block, digits: Digits) -> Parts:
        found = block.parts.get(digits)
        if found is None:
            found = self._resolver.parts(block.chosen(digits), block.own)
            block.parts[digits] = found
        return found

    def _rows(self, kept: Iterable[int]) -> Iterator[tuple[_Row, int]]:
        """Yield the row and the seed of each cell."""
        row, here = None, None
        for index in kept:
            block, digits, seed = self._at(index)
            if row is None or here != (id(block), digits):
                row, here = self._row(block, digits), (id(block), digits)
            yield row, seed

    def _row(self, block: Block, digits: Digits) -> _Row:
        parts = self._parts(block, digits)
        try:
            prompt = check_field("prompt", block.text(digits))
        except ValueError as error:
            raise ManifestError(str(error)[:200], where=block.prompt.where) from error
        coordinates = [value for option in block.chosen(digits) for value in option.coordinates]
        text = Text(prompt=prompt, **{**parts.text, **block.texts})
        return _Row(block, parts, text, (block.prompt.label, *coordinates), digits)

    def _possible(self, rows: Iterable[tuple[_Row, int]]) -> None:
        """Refuse what a model's family cannot do, before any model is looked for."""
        seen = set()
        for row, _ in rows:
            parts = row.parts
            key = (parts.model, id(parts.canvas), id(parts.sampling), id(parts.motion), parts.asked)
            if key not in seen:
                seen.add(key)
                self._check(row.block, parts)

    def _check(self, block: Block, parts: Parts) -> None:
        family = FAMILIES[self._confs.model(parts.model).family]
        try:
            family.check(parts.canvas, parts.sampling, parts.motion, asked=parts.asked)
        except UsageError as error:
            kind = ModelError if isinstance(error, ModelError) else ManifestError
            raise kind(error.message, where=self._place(error.message, block)) from error

    def _place(self, message: str, block: Block) -> str | None:
        """Return where the field was set that a message begins with."""
        field = (re.findall(r"\w+", message) or [""])[0]
        if field in block.own:
            return block.prompt.where
        for dimension in self._dimensions:
            if field in dimension.sets:
                return dimension.wheres[0]
        name = "size" if field in ("width", "height") and "size" in self._manifest.set else field
        return self._manifest.where(("set", name))

    def _cells(self, rows: Iterable[tuple[_Row, int]]) -> tuple[Cell, ...]:
        return tuple(
            Cell(
                coordinates=Coordinates(self._names, (*row.coordinates, seed)),
                job=self._job(row, seed),
                name=row.block.prompt.name,
                note=row.block.prompt.note,
            )
            for row, seed in rows
        )

    def _job(self, row: _Row, seed: int, behind: tuple[Digits, ...] = ()) -> Job:
        """Make the job of a place; where it begins with another option's picture, that one's first."""
        image, first = row.parts.wishes.get("init_image") if row.parts.wishes else None, None
        if isinstance(image, From):
            digits = instead(image, row.block.options, row.digits, self._places(row))
            if digits in behind:
                raise ManifestError(f"init_image: {image.option!r} begins with itself", where=self._places(row)[0])
            first = self._job(self._row(row.block, digits), seed, (*behind, row.digits))
        model = self._model(row.parts.model, row.block)
        try:
            self._fits(model, row.parts)
            return self._maker.job(Ordered(parts=row.parts, text=row.text, seed=seed, model=model, first=first))
        except UsageError as error:
            raise type(error)(error.message, where=error.where or self._place(error.message, row.block)) from error

    def _fits(self, model: Model, parts: Parts) -> None:
        """Refuse a clip of a size that others of the family can make, and this model cannot."""
        if (model, parts.canvas) not in self._fitting:
            check_clip(model, parts.canvas)
            self._fitting.add((model, parts.canvas))

    def _places(self, row: _Row) -> tuple[str | None, ...]:
        return (*(dimension.wheres[0] for dimension in self._dimensions), row.block.prompt.where)

    def _model(self, name: str, block: Block) -> Model:
        if name not in self._models:
            try:
                self._models[name] = self._confs.resolve(name)
            except ModelError as error:
                raise ModelError(error.message, where=error.where or self._place("model", block)) from error
        return self._models[name]

    def _axes(self, cells: Sequence[Cell], seeds: Sequence[int]) -> tuple[Axis, ...]:
        ranks = {"seed": _rank_of(seeds)}
        for dimension in self._dimensions:
            for i, name in enumerate(dimension.names):
                ranks[name] = _rank_of(tuple(dict.fromkeys(option.coordinates[i] for option in dimension.options)))
        found = []
        for name in self._names:
            values = list(dict.fromkeys(cell.coordinates[name] for cell in cells))
            found.append(Axis(name=name, values=tuple(sorted(values, key=ranks[name]) if name in ranks else values)))
        return tuple(found)

    def _notes(self, product: int, seeds: Sequence[int]) -> Iterator[str]:
        if self._manifest.seeds is None and any(block.seeds is seeds for block in self._blocks):
            yield "no seeds are given: every picture has seed 0"
        if self._exclusions.count:
            yield f"excluded: {self._exclusions.count:,} cells"
        if subset := self._manifest.subset:
            yield f"a random subset of {product:,} cells (seed {subset.seed})"

    def _without_effect(self) -> Iterator[str]:
        """Yield the words of the command line that an axis of another name covers."""
        for at, word in self._manifest.words.items():
            names = {"width", "height"} if at == ("set", "size") else {str(at[-1])}
            for dimension in self._dimensions if at[0] == "set" else ():
                if all(names <= option.sets.keys() for option in dimension.options):
                    yield f"{word} has no effect: the axis {dimension.names[0]!r} sets {' and '.join(sorted(names))}"

    def _overruled(self, all_parts: Iterable[Parts]) -> Iterator[str]:
        """Yield the fields for which a model recommends a value that no cell has."""
        found: dict[tuple[str, str], dict[str, None]] = {}
        for parts in all_parts:
            for name in self._confs.model(parts.model).recommended:
                found.setdefault((parts.model, name), {})[label(parts.values.get(name))] = None
        for (model, name), shown in found.items():
            recommended = self._confs.model(model).recommended[name]
            if recommended is not None and label(recommended) not in shown:
                given = ", ".join([*shown][:4]) + (", ..." if len(shown) > 4 else "")
                yield f"{name} {given}: model {model!r} recommends {label(recommended)}"


def _rank_of(values: Sequence[Any]) -> Callable[[Any], tuple[int, int]]:
    """Return a sort key: the manifest's order, then pinned values as they come, then None."""
    ranks = values if isinstance(values, range) else {value: i for i, value in enumerate(values)}

    def rank(value: Any) -> tuple[int, int]:
        if value is None:
            return (2, 0)
        if value not in ranks:
            return (1, 0)
        return (0, ranks.index(value) if isinstance(ranks, range) else ranks[value])

    return rank
