"""The record of a picture: what was asked for, how it came to be, and the hash of what came out.

It stands inside the picture and, with the same bytes, in `records/`. It names no folder and no person of the machine it
was made on. From a record and the model of its digest comes the very job again.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchgen import __version__
from batchgen.errors import StoreError
from batchgen.job import Job, Model, recipe_id
from batchgen.parts import FIELDS
from batchgen.recipe import Found, files_of, read_recipe
from batchgen.store.content import content

SCHEMA = 1
"""Goes up when a reader of the former number would misunderstand."""

MAX_BYTES = 256 * 1024
"""Of a record without its recipe. What was asked for is never cut, however long; what an engine has to say is."""

Record = Mapping[str, Any]
"""JSON values; `build` says which."""

LARGEST = 64 * 2**20
"""Bytes of a record's file. Two prompts of a million characters, each written as `\\u0000`, are 12 MB."""

_DEEPEST = 64
"""Values inside one another. Ours are five deep, and what goes through a record takes a step for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A job with what a person wrote beside it, which is not in the id."""

    job: Job
    name: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a batch came to be: what the records of its pictures share."""

    batch: tuple[str, ...]
    """The ids of its jobs, in order."""
    attempt: int
    """1 for the first try."""
    degradations: tuple[str, ...]
    """What had to be done otherwise than planned, in words: a batch halved, a job rendered alone."""
    environment: Mapping[str, Any]
    manifest: Mapping[str, str] | None
    """Its `name` and `sha256`, where there was one."""
    started: str
    """UTC, ISO 8601; informative only."""
    seconds: float
    """Render time of the batch divided by its pictures."""


def build(asked: Asked, making: Making, index: int, facts: Mapping[str, Any], output: Mapping[str, Any]) -> Record:
    """Put a record together.

    Args:
        asked: The job.
        making: How its batch came to be.
        index: Its place in the batch, from 0.
        facts: What the engine says of this picture.
        output: What `images.look` says of its pixels.
    """
    job = asked.job
    record = {
        "schema": SCHEMA,
        "batchgen_version": __version__,
        "id": job.id,
        "recipe": dict(job.recipe),
        "model": _said_of(job.model),
        "stages": [{"id": stage.id, "model": _said_of(stage.model)} for stage in _stages(job)],
        "files": [{"name": file.name, "sha256": file.digest} for file in files_of(job)],
        "name": asked.name,
        "note": asked.note,
        "manifest": making.manifest,
        "execution": dict(facts)
        | {
            "batch_size": len(making.batch),
            "batch_index": index,
            "batch_ids": list(making.batch),
            "attempt": making.attempt,
            "degradations": list(making.degradations),
        },
        "environment": dict(making.environment),
        "env_id": environment_id(making.environment),
        "output": dict(output),
        "started": making.started,
        "seconds": round(making.seconds, 6),
    }
    return _shortened(record, tuple(facts))


def environment_id(environment: Mapping[str, Any]) -> str:
    """Name an environment: SHA-256 of its canonical form, 64 hex digits."""
    return hashlib.sha256(_json(environment, sort_keys=True).encode()).hexdigest()


def _said_of(model: Model) -> Mapping[str, str]:
    return {"name": model.name, "family": model.family, "digest": model.digest}


def _stages(job: Job) -> Iterator[Job]:
    """Yield every job that `job` builds on, the nearest first."""
    for stage in job.stages:
        yield stage
        yield from _stages(stage)


def _json(value: Mapping[str, Any], *, sort_keys: bool = False) -> str:
    # NaN is no JSON: a reader in another language could not open the record.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=sort_keys, separators=(",", ":"))


def _shortened(record: dict[str, Any], facts: tuple[str, ...]) -> Record:
    """Leave out the engine's longest facts, by name, until the rest fits."""
    execution = record["execution"]
    size = len(_json({**record, "recipe": None, "note": None}).encode())
    longest_first = sorted(facts, key=lambda name: len(_json({name: execution[name]})), reverse=True)
    for name in longest_first:
        if size <= MAX_BYTES:
            break
        size -= len(_json({name: execution.pop(name)}).encode())
        execution.setdefault("left_out", []).append(name)
    return record


def to_text(record: Record) -> str:
    """Return the record as it stands in the picture and, in UTF-8, in its file.

    Raises:
        ValueError: a value is no JSON, such as NaN.
    """
    return _json(record)


def read(data: bytes | str, where: str) -> Record:
    """Read a record, which may be anybody's.

    Args:
        data: What `to_text` returned, or anything else.
        where: What to call it in an error.

    Raises:
        StoreError: it is no record, of a newer kind, or its id is not that of its recipe.
    """
    try:
        record = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise StoreError("the record is not JSON", where=where) from error
    if not isinstance(record, dict) or not isinstance(record.get("recipe"), dict):
        raise StoreError("this is no record of batchgen", where=where)
    if _deep(record):
        raise StoreError(f"the record has more than {_DEEPEST} values inside one another", where=where)
    if record.get("schema") != SCHEMA:
        raise StoreError(f"record of schema {record.get('schema')!r}; this batchgen reads {SCHEMA}", where=where)
    if record.get("id") != _id_of(record["recipe"]):
        raise StoreError("the record's id does not belong to its recipe", where=where)
    return record


def _deep(record: Record) -> bool:
    level: list[Any] = [record]
    for _ in range(_DEEPEST):
        inside = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [value for values in inside for value in values]
    return bool(level)


def _refuse(constant: str) -> None:
    message = f"{constant} is no JSON"
    raise ValueError(message)


def _id_of(recipe: Mapping[str, Any]) -> str | None:
    try:
        return recipe_id(recipe)
    except (UnicodeEncodeError, RecursionError):  # lone surrogates, which JSON may escape; or nested without end
        return None


def stands_for(path: Path, job_id: str) -> bool:
    """Say whether the record's file at `path` may hold the record of `job_id`: there is none, or no other id in it."""
    try:
        found = json.loads(content(path, LARGEST))["id"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return True
    return bool(found == job_id)


def job_of(record: Record, found: Found) -> Job:
    """Return the job that the record is of.

    Args:
        record: What `read` returned.
        found: The models and files that the record names, by digest.

    Raises:
        StoreError: a field is unknown or wrong, or a model or file is not among what was found.
    """
    where = f"record {record['id'][:12]}"
    try:
        return read_recipe(record["recipe"], found)
    except KeyError as error:
        known = ", ".join(sorted(FIELDS))
        raise StoreError(f"field {error.args[0]!r} is missing or unknown (known: {known})", where=where) from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(str(error), where=where) from error
