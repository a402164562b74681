"""Finding a model on this machine: embedded, in a folder, in the Hugging Face cache, or a checkpoint by its file name.

Nothing is ever downloaded. Who has not got a model is told where it was looked for and how to get it.
"""

import fnmatch
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchgen.errors import ModelError
from batchgen.models.families import FAMILIES
from batchgen.models.folder import INDEX
from batchgen.shipped import shipped_model

_PICKLES = (".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model comes from: exactly one of the first four."""

    builtin: str | None = None
    """An embedded model, by name."""

    folder: str | None = None
    """A diffusers folder: absolute, from `~`, or the name of one in a models folder."""

    hub: str | None = None
    """A hub id (`owner/name`), looked up in the local Hugging Face cache."""

    file: tuple[str, ...] = ()
    """A single-file checkpoint: absolute, from `~`, or names to find in the models folders, `*` allowed; the first
    that is found counts."""

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
    if source.hub:
        found, looked, get = _in_cache(source.hub, source)
    elif source.folder:
        found, looked, get = _in_folders(source.folder, folders)
    else:
        found, looked, get = _by_name(source.file, folders, where)
    if found is None:
        raise ModelError(f"model {name!r} is not on this machine: looked for {looked}; {get}", where=where)
    return found


def configuration(checkpoint: Path, family: str) -> Path:
    """Return the diffusers folder with the configurations and tokenizers that a single-file checkpoint does not hold.

    It is the folder of the checkpoint's name beside it, else that of the family's base model in the Hugging Face cache.

    Raises:
        ModelError: neither is here.
    """
    beside, base = checkpoint.with_suffix(""), FAMILIES[family].configuration
    if (beside / INDEX).is_file():
        return beside
    if snapshot := _snapshot(base, "main"):
        return snapshot
    looked = f"looked for {beside}/ and {base} in {hub_cache()}"
    get = _download(base, Source(include=("*.json", "*.txt", "*.model")))
    raise ModelError(f"its configuration and tokenizer files are not here: {looked}; {get}", where=str(checkpoint))


def hub_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the local Hugging Face cache, by the variables that its own tools read."""
    if chosen := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(chosen).expanduser()
    home = environment.get("HF_HOME") or Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def _builtin(model: str, where: str | None) -> Path:
    path = shipped_model(model)
    if not (path / INDEX).is_file():
        raise ModelError(f"the embedded model {model!r} is not in this installation: no {path}/{INDEX}", where=where)
    return path


_Answer = tuple[Path | None, str, str]
"""What was found, what was looked for where, and how to get it."""


def _in_cache(hub_id: str, source: Source) -> _Answer:
    looked = f"{hub_id} (revision {source.revision}) in {hub_cache()}"
    return _snapshot(hub_id, source.revision), looked, _download(hub_id, source)


def _snapshot(hub_id: str, revision: str) -> Path | None:
    """Return the snapshot that `revision` stands for; the cache keeps a file for every branch and tag it knows."""
    repository = hub_cache() / f"models--{hub_id.replace('/', '--')}"
    reference = repository / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    snapshot = repository / "snapshots" / commit
    return snapshot if (snapshot / INDEX).is_file() else None


def _download(hub_id: str, source: Source) -> str:
    words = ["hf", "download", hub_id]
    if source.revision != "main":
        words += ["--revision", source.revision]
    if source.include:
        words += ["--include", *source.include]
    return f"where there is a network, get it by: {shlex.join(words)}"


def _in_folders(wanted: str, folders: Sequence[Path]) -> _Answer:
    place = Path(wanted).expanduser()
    if place.is_absolute():
        return place if (place / INDEX).is_file() else None, f"{place}/{INDEX}", "put the diffusers folder there"
    places = [folder / below / wanted for folder in folders for below in ("", "diffusers")]
    found = next((place for place in places if (place / INDEX).is_file()), None)
    looked = f"a diffusers folder at {', '.join(map(str, places))}"
    return found, looked, "put it there, or say where your models are: paths.models=[FOLDER]"


def _by_name(names: Sequence[str], folders: Sequence[Path], where: str | None) -> _Answer:
    for wanted in names:
        if wanted.lower().endswith(_PICKLES):
            raise ModelError(_no_pickle(wanted), where=where)
    looked = f"{' or '.join(names)} in {', '.join(map(str, folders))}"
    put = f"put the file into {folders[0]}/checkpoints/" if folders else "put the file into a models folder"
    get = f"{put}, or say where your models are: paths.models=[FOLDER]"
    return next(_candidates(names, folders), None), looked, get


def _no_pickle(file: str) -> str:
    return (
        f"{Path(file).name} is a pickle, which can run code when it is loaded; use the model's .safetensors, "
        "or convert it once: torch.load(FILE, weights_only=True), then safetensors.torch.save_file()"
    )


def _candidates(names: Iterable[str], folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that `names` stand for, in the order of names, then of folders, then of depth and spelling."""
    files: list[Path] | None = None
    for wanted in names:
        place = Path(wanted).expanduser()
        if place.is_absolute():
            if place.is_file():
                yield place
            continue
        if files is None:
            files = [file for folder in folders for file in checkpoints(folder)]
        yield from (file for file in files if fnmatch.fnmatch(file.name.lower(), place.name.lower()))


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
