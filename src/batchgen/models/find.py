"""Finding a model on this machine: embedded, in a folder, in the Hugging Face cache, or a checkpoint by its file name.

Nothing is ever downloaded. Who has not got a model is told where it was looked for and how to get it.
"""

import fnmatch
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchgen.errors import ModelError
from batchgen.models.extra_paths import extra_folders
from batchgen.models.folder import INDEX
from batchgen.models.gathered import gather
from batchgen.models.header import CONVERT
from batchgen.models.hub import hub_cache, snapshot
from batchgen.models.shelf import PICKLES
from batchgen.shipped import at_home, shipped_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model comes from: exactly one of the first five, but a file may have a hub id beside it."""

    builtin: str | None = None
    """An embedded model, by name."""

    folder: str | None = None
    """A diffusers folder: absolute, from `~`, or the name of one in a models folder."""

    hub: str | None = None
    """A hub id (`owner/name`), looked up in the local Hugging Face cache. Beside `file`: a repository that has it."""

    file: tuple[str, ...] = ()
    """A single-file checkpoint: absolute, from `~`, or names to find in the models folders, `*` allowed; the first
    that is found counts."""

    parts: Mapping[str, str] = field(default_factory=dict)
    """A model in several files, as ComfyUI has it: components (`transformer`, `vae`, `text_encoder`, ...) and the names
    or paths of their files."""

    revision: str = "main"
    """Of a hub id: a branch, a tag or a whole commit hash."""

    include: tuple[str, ...] = ()
    """Of a hub id: which files are enough to download."""


def find(source: Source, folders: Sequence[Path], *, name: str, where: str | None = None) -> Path:
    """Return the diffusers folder or the single `.safetensors` file that the model `name` lies in.

    Raises:
        ModelError: it is not here (where it was looked for, how to get it), or it is a pickle.
    """
    if source.builtin:
        return _builtin(source.builtin, where)
    try:
        if source.parts:
            return gather(source.parts, folders, where)
        if source.file:
            found, looked, get = _by_name(source, folders, name, where)
        elif source.folder:
            found, looked, get = _in_folders(source.folder, folders)
        else:
            found, looked, get = _in_cache(str(source.hub), source, name)
    except (OSError, UnicodeError, RuntimeError) as error:  # too long a name, bytes that are no text, nobody's home
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ModelError(f"model {name!r} cannot be looked for: {reason}", where=where) from error
    if found is None:
        raise ModelError(f"model {name!r} is not on this machine: looked for {looked}; {get}", where=where)
    return found


def _builtin(model: str, where: str | None) -> Path:
    path = shipped_model(model)
    if not (path / INDEX).is_file():
        raise ModelError(f"the embedded model {model!r} is not in this installation: no {path}/{INDEX}", where=where)
    return path


_Answer = tuple[Path | None, str, str]
"""What was found, what was looked for where, and how to get it."""


def _in_cache(hub_id: str, source: Source, name: str) -> _Answer:
    looked = f"{hub_id} (revision {source.revision}) in {hub_cache()}"
    return snapshot(hub_id, source.revision, INDEX), looked, _download(hub_id, source, name)


def _download(hub_id: str, source: Source, name: str) -> str:
    words = ["hf", "download", hub_id]
    if source.revision != "main":
        words += ["--revision", source.revision]
    if source.include:
        words += ["--include", *source.include]
    return f"where there is a network, get it by: batchgen models pull {name}, or: {shlex.join(words)}"


def _in_folders(wanted: str, folders: Sequence[Path]) -> _Answer:
    place = at_home(wanted)
    if place.is_absolute():
        return place if (place / INDEX).is_file() else None, f"{place}/{INDEX}", "put the diffusers folder there"
    places = [folder / below / wanted for folder in folders for below in ("", "diffusers")]
    found = next((place for place in places if (place / INDEX).is_file()), None)
    looked = f"a diffusers folder at {', '.join(map(str, places))}"
    return found, looked, "put it there, or say where your models are: paths.models=[FOLDER]"


def _by_name(source: Source, folders: Sequence[Path], name: str, where: str | None) -> _Answer:
    for wanted in source.file:
        if wanted.lower().endswith(PICKLES):
            raise ModelError(_no_pickle(wanted), where=where)
    places = [place for folder in folders for place in (folder, *extra_folders(folder, "checkpoint"))]
    looked = f"{' or '.join(source.file)} in {', '.join(map(str, places))}"
    put = f"put the file into {folders[0]}/checkpoints/" if folders else "put the file into a models folder"
    get = f"{put}, or say where your models are: paths.models=[FOLDER]"
    found = next(_candidates(source.file, places), None)
    if source.hub:
        looked, get = f"{looked}, and {source.hub} in {hub_cache()}", f"{get}; or: batchgen models pull {name}"
        found = found or next((place / each for each in source.file if (place := _held(source, each))), None)
    return found, looked, get


def _held(source: Source, file: str) -> Path | None:
    return snapshot(str(source.hub), source.revision, file)


def _no_pickle(file: str) -> str:
    return f"{Path(file).name} is a pickle, which can run code when it is loaded; use the model's {CONVERT}"


def _candidates(names: Iterable[str], folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that `names` stand for, in the order of names, then of folders, then of depth and spelling."""
    files: list[Path] | None = None
    for wanted in names:
        place = at_home(wanted)
        if place.is_absolute():
            if place.is_file():
                yield place
            continue
        if files is None:
            files = [file for folder in folders for file in checkpoints(folder)]
        tail = f"*/{place.as_posix().lower()}"
        yield from (file for file in files if fnmatch.fnmatch(file.as_posix().lower(), tail))


def checkpoints(folder: Path) -> list[Path]:
    """Return the `.safetensors` files in a models folder and below it, nearer ones first.

    Links to folders are followed, as people keep checkpoints on another disk; no folder is entered twice.
    """
    found: list[Path] = []
    entered: set[str] = set()
    for parent, children, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        # Below a diffusers folder lie components, which are no checkpoints.
        if real in entered or INDEX in files:
            children.clear()
        else:
            found += [Path(parent, file) for file in files if file.endswith(".safetensors")]
        entered.add(real)
    return sorted(found, key=lambda file: (len(file.parts), str(file)))
