"""What came of each cell of a run: read once, shown by sheets, gallery, charts and `compare.csv` alike.

Nothing is locked: a run may be under way. What cannot be read is a result too, with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from batchgen.errors import BatchgenError
from batchgen.interop.own import read_record
from batchgen.store import media, record
from batchgen.store.asked import AskedCell, read_sweep
from batchgen.store.content import content
from batchgen.store.history import Done, History, history
from batchgen.store.layout import RunDirectory

State = Literal["made", "missing", "failed", "rejected", "unreadable"]
"""`missing`: not made yet, or its file is gone. `rejected`: by a person, whether or not a picture is there.
`unreadable`: there, but its record says nothing that is understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A place of the sweep, and what came of it."""

    coordinates: Mapping[str, Any]
    """Axis -> value, for every axis of the run."""
    id: str
    """Of its job, 64 hex digits. Two places may hold the same job."""
    state: State
    reason: str = ""
    """Why there is no picture, where that is known."""
    prompt: str
    picture: Path | None = None
    """The picture or clip, where it is there."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """What a person would write for it: field -> value, `model` by name. Empty where there is no record."""
    pixel_sha256: str = ""
    seconds: float | None = None
    """Render time of its batch divided by its pictures."""
    evaluations: int | None = None
    """How often the denoiser was asked."""
    width: int = 0
    height: int = 0
    """Pixels of the file, 0 where there is none."""
    frames: int = 1
    fps: float = 8.0
    environment: str = ""
    """Names what it was made with: a key of `Results.environments`."""
    batchgen: str = ""
    """The version that made it."""
    batch_size: int | None = None
    """Jobs in the forward pass that it came from."""
    weights: tuple[tuple[str, str], ...] = ()
    """Name and digest (64 hex digits) of the checkpoint, and then of every other file of weights, as recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Every place of a run, in the manifest's order."""

    name: str
    """Of the run directory."""
    axes: Mapping[str, Sequence[Any]]
    """By name: `prompt` first, then as the manifest has them, `seed` last; values in the manifest's order."""
    places: tuple[Result, ...]
    environments: Mapping[str, Mapping[str, Any]]
    """What records say of versions, device and so on, by the hash that results name."""

    @property
    def varying(self) -> tuple[str, ...]:
        """The axes with more than one value."""
        return tuple(name for name, values in self.axes.items() if len(values) > 1)


def read_results(directory: RunDirectory) -> Results:
    """Return what came of each cell that the run in `directory` was asked for.

    Raises:
        UsageError: it is no run directory.
    """
    asked = read_sweep(directory)
    reader = _Reader(directory, history(directory))
    places = tuple(reader.result(cell) for cell in asked.cells)
    name = directory.root.resolve().name
    return Results(name=name, axes=asked.axes, places=places, environments=reader.environments)


class _Reader:
    """Reads each record once, however many cells hold its job."""

    def __init__(self, directory: RunDirectory, past: History) -> None:
        self.environments: dict[str, Mapping[str, Any]] = {}
        self._directory = directory
        self._past = past
        self._said: dict[str, dict[str, Any]] = {}

    def result(self, cell: AskedCell) -> Result:
        if cell.id not in self._said:
            rejected = {"state": "rejected", "reason": ""} if cell.id in self._past.rejected else {}
            self._said[cell.id] = self._read(cell.id) | rejected
        return Result(coordinates=cell.coordinates, id=cell.id, prompt=cell.prompt, **self._said[cell.id])

    def _read(self, id_: str) -> dict[str, Any]:
        """Return the arguments of a result that its job alone decides."""
        done = self._past.done.get(id_)
        if done is None or done.missing:
            reason = self._past.failed.get(id_, "" if done is None else "its file is gone")
            return {"state": "failed" if id_ in self._past.failed else "missing", "reason": reason}
        there = {"picture": done.picture, "pixel_sha256": done.pixel_sha256, "seconds": done.seconds}
        try:
            return there | {"state": "made"} | self._recorded(done)
        except (BatchgenError, OSError, LookupError, TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, BatchgenError) else "its record is not as batchgen writes one"
            return there | {"state": "unreadable", "reason": reason}

    def _recorded(self, done: Done) -> dict[str, Any]:
        found = self._record(done)
        output, execution, environment = found["output"], found["execution"], str(found["env_id"])
        said = read_record(found, str(done.picture))
        model = said.checkpoint.name if said.checkpoint else ""
        self.environments.setdefault(environment, dict(found["environment"]))
        evaluations, batch_size = execution.get("denoiser_evaluations"), execution.get("batch_size")
        weights = [each for each in (said.checkpoint, *said.files) if each and each.hash]
        return {
            "recipe": MappingProxyType({"model": model, **said.recipe}),
            "evaluations": evaluations if isinstance(evaluations, int) else None,
            "width": int(output["width"]),
            "height": int(output["height"]),
            "frames": int(output.get("frames", 1)),
            "fps": float(output.get("fps", 8.0)),
            "environment": environment,
            "batchgen": str(found.get("batchgen_version", "")),
            "batch_size": batch_size if isinstance(batch_size, int) else None,
            "weights": tuple(dict.fromkeys((each.name, each.hash) for each in weights)),
        }

    def _record(self, done: Done) -> Mapping[str, Any]:
        """Return the record beside a picture, or else the one inside."""
        file = self._directory.record(done.id)
        try:
            found = record.read(content(file, record.LARGEST), str(file))
        except (BatchgenError, OSError):
            return media.record_in(done.picture)
        return found if found["id"] == done.id else media.record_in(done.picture)
