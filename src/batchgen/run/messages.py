"""What supervisor and worker say to each other: one JSON object a line, each a frozen value on either side."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from batchgen.engine import Runtime
from batchgen.job import File, Model, Stage
from batchgen.recipe import Found, files_of, models_of, read_recipe
from batchgen.store.clips import KEEPING, Keeping
from batchgen.store.record import Asked

Trouble = Literal["out_of_memory", "not_finite", "engine", "device", "model", "disk_full", "store", "stage"]
"""What kind of failure: memory halves the batch, `model` ends the group, `disk_full` ends the run; with `stage`, what a
job begins with is damaged, and trying again is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """To the worker, first of all: how to work."""

    runtime: Runtime
    tmp: Path
    compression: int
    manifest: Mapping[str, str] | None
    clips: Keeping = KEEPING


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """To the worker: let go of the model you have, and load this one."""

    model: Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Render:
    """To the worker: render these jobs, which share a `batch_key`, and put their pictures into `tmp`."""

    number: int
    asked: tuple[Asked, ...]
    attempt: int
    degradations: tuple[str, ...]
    size: int = 0
    """Pictures in the forward pass; where the jobs are fewer, copies of the last one are rendered and thrown away."""
    rehearsal: bool = False
    """Take one step, decode, and keep nothing: answered by `Rehearsed`, or `Refused` as ever."""
    with_frames: tuple[str, ...] = ()
    """Ids of the clips whose frames are wanted as they were rendered, beside the clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """To the worker: finish the batch in hand and its pictures, forget those that wait, and end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """From the worker: the model is loaded."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """From the worker: this batch is in hand now."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From the worker: the batch in hand has taken this many steps."""

    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """From the worker: the batch is pixels; its pictures follow one by one."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """From the worker: the batch fits, takes steps and decodes."""

    number: int
    ids: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """From the worker: this picture and its record lie in `tmp`, verified and synced."""

    number: int
    id: str
    file: Path
    record: Path
    bytes: int
    file_sha256: str
    pixel_sha256: str
    seconds: float
    attempt: int
    frames: Path | None = None
    """The frames of the clip in a ZIP, if they were wanted and the clip is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """From the worker: these jobs of the batch got no picture; without ids, the model could not be opened."""

    number: int
    ids: tuple[str, ...]
    reason: str
    trouble: Trouble


Command = SetUp | Open | Render | Stop
Reply = Opened | Begun | Step | Rendered | Rehearsed | Made | Refused
Message = Command | Reply


def encode(message: Message) -> bytes:
    """Return `message` as a line."""
    fields = _said_of_jobs(message) if isinstance(message, Render) else asdict(message)
    # ASCII: whatever a prompt holds, a line ends where it should.
    return json.dumps({"is": type(message).__name__} | fields, default=str).encode() + b"\n"


def _said_of_jobs(message: Render) -> dict[str, Any]:
    jobs = [each.job for each in message.asked]
    sources = (source for job in jobs for source in (job.init_image, job.mask_image))
    asked = [{"recipe": dict(each.job.recipe), "name": each.name, "note": each.note} for each in message.asked]
    return {
        "models": {model.digest: asdict(model) for job in jobs for model in models_of(job)},
        "files": {file.digest: asdict(file) for job in jobs for file in files_of(job)},
        "pictures": {source.job.id: source.path for source in sources if isinstance(source, Stage)},
        "number": message.number,
        "asked": asked,
        "attempt": message.attempt,
        "degradations": message.degradations,
        "size": message.size,
        "rehearsal": message.rehearsal,
        "with_frames": message.with_frames,
    }


def decode(line: bytes) -> Message:
    """Return the message that `encode` made a line of."""
    fields = json.loads(line)
    kind = fields.pop("is")
    return _KINDS[kind](fields)


def _set_up(fields: dict[str, Any]) -> SetUp:
    runtime, clips = Runtime(**fields["runtime"]), Keeping(**fields["clips"])
    return SetUp(**fields | {"runtime": runtime, "tmp": Path(fields["tmp"]), "clips": clips})


def _render(fields: dict[str, Any]) -> Render:
    found = Found(
        models={digest: Model(**each) for digest, each in fields.pop("models").items()},
        files={digest: File(**each) for digest, each in fields.pop("files").items()},
        pictures=fields.pop("pictures"),
    )
    asked = tuple(
        Asked(job=read_recipe(each["recipe"], found), name=each["name"], note=each["note"]) for each in fields["asked"]
    )
    listed = {name: tuple(fields[name]) for name in ("degradations", "with_frames")}
    return Render(**fields | listed | {"asked": asked})


def _made(fields: dict[str, Any]) -> Made:
    paths = {name: Path(fields[name]) for name in ("file", "record", "frames") if fields[name] is not None}
    return Made(**fields | paths)


_KINDS: Mapping[str, Callable[[dict[str, Any]], Message]] = {
    "SetUp": _set_up,
    "Open": lambda fields: Open(model=Model(**fields["model"])),
    "Render": _render,
    "Stop": lambda _: Stop(),
    "Opened": lambda fields: Opened(**fields),
    "Begun": lambda fields: Begun(**fields),
    "Step": lambda fields: Step(**fields),
    "Rendered": lambda fields: Rendered(**fields),
    "Rehearsed": lambda fields: Rehearsed(**fields | {"ids": tuple(fields["ids"])}),
    "Made": _made,
    "Refused": lambda fields: Refused(**fields | {"ids": tuple(fields["ids"])}),
}
