"""Two runs side by side: the pictures of one beside those of the other, what differs between them, and by how much.

two = pair(read_results(one), read_results(other))
measured = differences(two.results, two.against, one)
for line in sentences(two, measured): ...
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isinf
from statistics import median
from types import MappingProxyType

from batchgen.compare.changes import Change, environments, leaves, listed, made, said, stray_sentence, weights
from batchgen.compare.layout import Compare
from batchgen.compare.matching import Fields, match
from batchgen.compare.metrics import Differences
from batchgen.compare.references import Against
from batchgen.compare.results import Result, Results
from batchgen.compare.side_by_side import shared_axes

_AXIS = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoRuns:
    """Two runs, and which picture of one belongs beside which of the other."""

    runs: tuple[Results, Results]
    """As they were read."""
    names: tuple[str, str]
    """What they are called here: two different words."""
    results: Results
    """The places of the first run and then those of the second, on axes that both share, and on one more that says of
    which run they are; it stands before the seed."""
    axis: str
    """The name of that axis: `run`, unless a run has such an axis itself. Its values are `names`."""
    pairs: tuple[tuple[int, int], ...]
    """Numbers of places in `results`, of the first run and of the second, whose pictures belong together."""
    changed: tuple[Change, ...]
    """What differs between the runs."""
    apart: Mapping[str, tuple[str, str]]
    """By field, its values in either run, where they share none and one of the runs has several."""

    @property
    def only(self) -> tuple[int, int]:
        """How many pictures of the first run and of the second have none in the other that belongs to them."""
        one, other = (len(made(each)) - len(self.pairs) for each in self.runs)
        return one, other

    @property
    def identical(self) -> tuple[tuple[int, int], ...]:
        """The pairs whose pictures are the same to the last bit."""
        return tuple(pair for pair in self.pairs if len({each.pixel_sha256 for each in self._of(pair)}) == 1)

    @property
    def elsewhere(self) -> tuple[tuple[int, int], ...]:
        """The pairs whose pictures were made in two different environments."""
        return tuple(pair for pair in self.pairs if len({each.environment for each in self._of(pair)}) == 2)

    @property
    def against(self) -> Against:
        """What `metrics.differences` is to measure: each picture of the second run against its like in the first."""
        return Against(at=MappingProxyType({self.axis: self.names[0]}), text=f"the same picture in {self.names[0]}")

    @property
    def sides(self) -> Compare:
        """Sides of a page on which pairs are neighbours: a column for each run."""
        rows = [name for name in self.results.varying if name not in {"prompt", self.axis}]
        return Compare(x=self.axis, y=rows[0] if rows else None, page="prompt")

    def _of(self, pair: tuple[int, int]) -> tuple[Result, Result]:
        return self.results.places[pair[0]], self.results.places[pair[1]]


def pair(one: Results, other: Results, names: tuple[str, str] | None = None) -> TwoRuns:
    """Match the pictures of two runs.

    Args:
        one: The first run.
        other: The second.
        names: What to call them, two different words; without them, after their directories.
    """
    names = names or _told_apart(one.name, other.name)
    one, other = replace(one, name=names[0]), replace(other, name=names[1])
    fields = Fields(*([leaves(each.recipe) for each in made(run)] for run in (one, other)))
    matched = match(one, other, fields)
    axes, at = shared_axes(one, other, matched, fields.changed)
    axis = _AXIS
    while axis in axes:
        axis += "_"
    runs = [names[0]] * len(one.places) + [names[1]] * len(other.places)
    places = tuple(
        replace(each, coordinates=MappingProxyType({**here, axis: run}))
        for each, here, run in zip(one.places + other.places, at, runs, strict=True)
    )
    shared = {name: values for name, values in axes.items() if name != "seed"} | {axis: names}
    return TwoRuns(
        runs=(one, other),
        names=names,
        results=Results(
            name=f"{names[0]} and {names[1]}",
            axes=MappingProxyType(shared | {name: values for name, values in axes.items() if name == "seed"}),
            places=places,
            environments=MappingProxyType({**one.environments, **other.environments}),
        ),
        axis=axis,
        pairs=tuple((i, j + len(one.places)) for i, j in matched),
        changed=(
            *fields.changes(),
            *weights(made(one), made(other)),
            *environments(one, other),
            *_batches([(one.places[i], other.places[j]) for i, j in matched]),
        ),
        apart=fields.apart(),
    )


def _told_apart(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one != other else (f"{one} (A)", f"{other} (B)")


def _batches(pairs: list[tuple[Result, Result]]) -> Iterator[Change]:
    """Yield in which sizes of batches the pairs were rendered for which these are not the same; bits depend on them."""
    sizes = [(one.batch_size, other.batch_size) for one, other in pairs if one.batch_size != other.batch_size]
    if sizes:
        before, after = (listed(sorted({size for size in each if size})) for each in zip(*sizes, strict=True))
        yield Change(kind="batch", name="batch size", before=before, after=after)


def sentences(two: TwoRuns, measured: Differences | None = None) -> tuple[str, ...]:
    """Return what is to be said of two runs, a sentence each.

    Args:
        two: The runs.
        measured: What `metrics.differences` found of `two.results` and `two.against`.
    """
    found = [
        _counted(two) + (_distances(two, measured) if measured else ""),
        _alone(two),
        _changed(two),
        _elsewhere(two),
        *map(stray_sentence, two.runs),
    ]
    return tuple(each for each in found if each)


def _counted(two: TwoRuns) -> str:
    if two.pairs:
        many, same = len(two.pairs), len(two.identical)
        alike = {0: "none", many: "it is" if many == 1 else "all"}.get(same, f"{same:,}")
        return f"{many:,} {_noun(two, many)} in both, {alike} equal to the last bit"
    if empty := [name for name, run in zip(two.names, two.runs, strict=True) if not made(run)]:
        return f"nothing is made yet in {' and '.join(empty)}"
    why = ", ".join(
        f"{name} is {before} in {two.names[0]} and {after} in {two.names[1]}"
        for name, (before, after) in two.apart.items()
    )
    return "no picture of one was asked for in the other" + (f": {why}" if why else "")


def _distances(two: TwoRuns, measured: Differences) -> str:
    """Say how far apart the pairs are that are not the same, and name the worst."""
    same = {other for _, other in two.identical}
    there = {other: measured.psnr[other] for _, other in two.pairs if other not in same}
    found = {number: value for number, value in there.items() if value is not None and not isinf(value)}
    text = ""
    if found:
        worst = min(found, key=lambda number: found[number])
        likeness = [value for number in found if (value := measured.ssim[number]) is not None]
        ssim = f", SSIM {median(likeness):.3f}" if likeness else ""
        file = two.results.places[worst].picture
        name = file.name if file else ""
        if len(found) == 1:
            text = f"; the other differs by {found[worst]:.1f} dB{ssim}: {name}"
        else:
            middle = f"{median(found.values()):.1f} dB{ssim}{',' if ssim else ''} in the median"
            text = f"; the others differ by {middle} (worst {found[worst]:.1f} dB: {name})"
    unmeasured = len(there) - len(found)
    return text + (
        f"; {unmeasured:,} cannot be compared: they have other sizes, or cannot be read" if unmeasured else ""
    )


def _changed(two: TwoRuns) -> str:
    if two.changed:
        return f"what changed: {said(two.changed)}"
    return "nothing that is recorded differs between them" if two.pairs else ""


def _alone(two: TwoRuns) -> str:
    alone = [f"{many:,} in {name} alone" for many, name in zip(two.only, two.names, strict=True) if many]
    unmade = [(len(run.places) - len(made(run)), name) for run, name in zip(two.runs, two.names, strict=True)]
    return ", ".join([*alone, *(f"{many:,} of {name} not made" for many, name in unmade if many)])


def _elsewhere(two: TwoRuns) -> str:
    many = len(two.elsewhere)
    if not many:
        return ""
    of = "all" if many == len(two.pairs) else f"{many:,} of {len(two.pairs):,}"
    return f"the pictures of {of} pairs were made in different environments"


def _noun(two: TwoRuns, many: int) -> str:
    clips = all(two.results.places[one].frames > 1 for one, _ in two.pairs)
    return ("clip" if clips else "picture") + ("" if many == 1 else "s")
