"""What a run was asked for, cell by cell: `.batchgen/sweep.json`.

With it a run can be looked at where neither its models nor its prompt files are: nothing has to be resolved again.
Reading trusts nothing, for the run directory may be a stranger's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import FailFast, Field, TypeAdapter, ValidationError

from batchgen.errors import UsageError
from batchgen.plan.expand import Coordinates, Sweep
from batchgen.plan.sweep import label
from batchgen.store.content import content
from batchgen.store.layout import RunDirectory

_FORMAT = 1

_Value = str | int | float | bool | None
_Id = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Place = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCell:
    """A place of the sweep, and the picture that belongs there."""

    coordinates: Coordinates
    id: str
    """Of its job, 64 hex digits."""
    prompt: str
    """In full; the coordinate `prompt` may be a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedSweep:
    """Every place of a run, in the manifest's order."""

    axes: Mapping[str, Sequence[Any]]
    """By name, in the manifest's order, with their values."""
    cells: tuple[AskedCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    name: str
    values: Annotated[list[_Value], FailFast()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The file. Numbers in `cells` are places in `jobs`, in `prompts`, and in the values of each axis."""

    format: int
    # The first error ends it: a file of a million nonsense values would otherwise be answered by a million of them.
    axes: Annotated[list[_Axis], FailFast()]
    prompts: Annotated[list[str], FailFast()]
    jobs: Annotated[list[_Id], FailFast()]
    cells: Annotated[list[Annotated[list[_Place], FailFast()]], FailFast()]


def to_text(sweep: Sweep) -> str:
    """Return what `sweep.json` is to hold."""
    ranks = [{_key(value): rank for rank, value in enumerate(axis.values)} for axis in sweep.axes]
    prompts: dict[str, int] = {}
    jobs: dict[str, int] = {}
    cells = []
    for cell in sweep.cells:
        job = jobs.setdefault(cell.job.id, len(jobs))
        prompt = prompts.setdefault(cell.job.denoised.text.prompt, len(prompts))
        places = (rank[_key(cell.coordinates[axis.name])] for axis, rank in zip(sweep.axes, ranks, strict=True))
        cells.append([job, prompt, *places])
    axes = [_Axis(name=axis.name, values=[_plain(value) for value in axis.values]) for axis in sweep.axes]
    kept = _Kept(format=_FORMAT, axes=axes, prompts=list(prompts), jobs=list(jobs), cells=cells)
    return json.dumps(asdict(kept), separators=(",", ":")) + "\n"


def read_sweep(directory: RunDirectory) -> AskedSweep:
    """Return what the run in `directory` was asked for.

    Raises:
        UsageError: nothing says so, or not as a run wrote it; the next run writes it anew.
    """
    where = str(directory.sweep)
    try:
        kept = TypeAdapter(_Kept).validate_json(content(directory.sweep), strict=True)
    except OSError as error:
        message = "no run directory, or of an older batchgen; `batchgen run` on it writes what is missing here"
        raise UsageError(message, where=where) from error
    except ValidationError as error:
        raise UsageError("is not as a run wrote it; the next run writes it anew", where=where) from error
    try:
        return _read(kept)
    except (IndexError, ValueError) as error:
        raise UsageError("is not as a run wrote it; the next run writes it anew", where=where) from error


def _read(kept: _Kept) -> AskedSweep:
    """Raises IndexError or ValueError where a number stands for nothing, or for another format."""
    if kept.format != _FORMAT:
        raise ValueError(kept.format)
    names = tuple(axis.name for axis in kept.axes)
    values = [axis.values for axis in kept.axes]
    cells = tuple(
        AskedCell(
            coordinates=Coordinates(names, tuple(each[at] for each, at in zip(values, places, strict=True))),
            id=kept.jobs[job],
            prompt=kept.prompts[prompt],
        )
        for job, prompt, *places in kept.cells
    )
    axes = {name: tuple(each) for name, each in zip(names, values, strict=True)}
    return AskedSweep(axes=MappingProxyType(axes), cells=cells)


def _plain(value: Any) -> Any:
    """Return a value that JSON holds: of one with parts, such as LoRAs, how a person writes it."""
    return value if value is None or isinstance(value, str | int | float) else label(value)


def _key(value: Any) -> tuple[type, Any]:
    """What tells values apart: 1, 1.0 and true are three."""
    return type(value), value
