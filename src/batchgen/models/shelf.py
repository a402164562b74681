"""All models that lie in the models folders, by kind and by the name a person gives them.

The folders are laid out as ComfyUI has them, as A1111 and its relatives do, or not at all: checkpoints in a folder of
their own. What `extra_model_paths.yaml` names belongs to them, and so does the Hugging Face cache.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from batchgen.errors import ModelError
from batchgen.models.extra_paths import KINDS, extra_folders
from batchgen.models.folder import INDEX
from batchgen.models.header import CONVERT
from batchgen.models.hub import snapshots
from batchgen.shipped import at_home

PICKLES = (".ckpt", ".pt", ".pth", ".bin")
_PICKLES_READ = frozenset({"upscaler", "embedding"})
"""Kinds that are mostly shared as pickles, and are read from them with torch's `weights_only`."""

_A1111 = {
    "checkpoint": ("Stable-diffusion",),
    "text_encoder": ("text_encoder",),
    "lora": ("Lora", "LyCORIS"),
    "vae": ("VAE",),
    "upscaler": ("ESRGAN", "RealESRGAN", "SwinIR", "DAT", "HAT"),
}
_OTHERS = frozenset(
    {"BLIP", "Codeformer", "ControlNet", "GFPGAN", "VAE-approx", "clip_vision", "configs", "controlnet", "deepbooru"}
    | {"gligen", "hypernetworks", "karlo", "photomaker", "style_models", "torch_deepdanbooru", "vae_approx"}
)
"""Folders of kinds that are not used here."""

_PLACES = {kind: (*names, *_A1111.get(kind, ())) for kind, names in KINDS.items()}
_TAKEN = frozenset(name for names in _PLACES.values() for name in names if name not in _PLACES["checkpoint"]) | _OTHERS
_SEPARATORS = " ._-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model in a folder."""

    kind: str
    name: str
    """Its path below the folder of its kind, with `/`; of the Hugging Face cache `owner/name`."""

    path: Path

    @property
    def refused(self) -> str:
        """Why it is not read, whatever is in it; empty if it may be."""
        pickle = self.path.suffix.lower() in PICKLES and self.kind not in _PICKLES_READ
        return f"is a pickle, which can run code when it is loaded; get the {CONVERT}" if pickle else ""


class Shelf:
    """The models in some folders. What lies there is looked up once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Use the models folders `folders`, of which some may not exist, or be an `extra_model_paths.yaml`."""
        self._folders = tuple(folders)
        self._entries: Callable[[str], tuple[Entry, ...]] = cache(self._look_up)

    def all(self, kind: str) -> tuple[Entry, ...]:
        """Return the models of a kind, a key of `extra_paths.KINDS`, in natural order.

        Raises:
            ModelError: an extra_model_paths.yaml cannot be read.
        """
        return self._entries(kind)

    def find(self, kind: str, name: str, where: str | None = None) -> Path:
        """Return the file or folder of the model that `name` stands for: its path, file name, or file name's stem.

        Raises:
            ModelError: there is none, or several, or it is a pickle.
        """
        place = at_home(name)
        if place.is_absolute():
            if not place.exists():
                raise ModelError(f"no such file: {place}", where=where)
            return _allowed(Entry(kind=kind, name=place.name, path=place), where)
        found = self._named(kind, name.replace("\\", "/"))
        folders = {entry.path.parent for entry in found}
        if len(folders) > 1:
            both = " and ".join(str(entry.path) for entry in found[:2])
            raise ModelError(f"{kind} {name!r} is both {both}; say which by its path", where=where)
        if not found:
            raise ModelError(self._absent(kind, name), where=where)
        # Of the same name in one folder, the file that cannot run code comes first.
        return _allowed(min(found, key=lambda entry: (entry.path.suffix.lower() in PICKLES, entry.name)), where)

    def _named(self, kind: str, name: str) -> list[Entry]:
        """Return what `name` stands for: exactly before in other case, a whole path before a part of one."""
        for same in (str, str.casefold):
            for names in (_whole, _parts):
                found = [entry for entry in self.all(kind) if same(name) in map(same, names(entry))]
                if found:
                    return found
        return []

    def _absent(self, kind: str, name: str) -> str:
        known = {each for entry in self.all(kind) for each in (*_whole(entry), *_parts(entry))}
        close = get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        looked = ", ".join(str(place) for place in self._places(kind))
        return f"{kind} {name!r} is not on this machine{hint} (looked in {looked or 'no folder: set paths.models'})"

    def _places(self, kind: str) -> Iterator[Path]:
        """Yield the folders of a kind that exist; for a models folder without one, that where a person would put it."""
        for folder in self._folders:
            found = [place for place, _ in self._searched(folder, kind) if place.is_dir() and place != folder]
            yield from found or [folder / _PLACES[kind][0]]

    def _look_up(self, kind: str) -> tuple[Entry, ...]:
        found: dict[str, Entry] = {}
        for folder in self._folders:
            for place, skipped in self._searched(folder, kind):
                for path in _below(place, kind, skipped):
                    name = path.relative_to(place).as_posix()
                    found.setdefault(os.path.realpath(path), Entry(kind=kind, name=name, path=path))
        if kind == "checkpoint":
            for name, path in snapshots(INDEX):
                found.setdefault(os.path.realpath(path), Entry(kind=kind, name=name, path=path))
        return tuple(sorted(found.values(), key=lambda entry: natural(entry.name)))

    def _searched(self, folder: Path, kind: str) -> Iterator[tuple[Path, frozenset[str]]]:
        """Yield folders to search with the names of folders in them to leave out."""
        yield from ((root / name, frozenset()) for root in _roots(folder, kind) for name in _PLACES[kind])
        yield from ((place, frozenset()) for place in extra_folders(folder, kind))
        if kind == "checkpoint" and folder.suffix not in (".yaml", ".yml"):
            root = folder / "models" if (folder / "models").is_dir() else folder
            yield root / "diffusers", frozenset()
            yield root, _TAKEN


def _roots(folder: Path, kind: str) -> tuple[Path, ...]:
    """Return where folders of kinds lie: people name the folder of the program itself, or its `models/`.

    A1111 keeps embeddings beside `models/`, not in it.
    """
    beside = (folder.parent,) if kind == "embedding" and folder.name == "models" else ()
    return (folder, folder / "models", *beside)


def _below(place: Path, kind: str, skipped: frozenset[str]) -> Iterator[Path]:
    """Yield files of weights below a folder, and diffusers folders; links are followed, nothing is entered twice."""
    entered: set[str] = set()
    for parent, children, files in os.walk(place, followlinks=True):
        real = os.path.realpath(parent)
        here = Path(parent)
        if real in entered or INDEX in files:
            children.clear()
            if real not in entered and kind == "checkpoint" and here != place:
                yield here
        else:
            children[:] = [child for child in children if here != place or child not in skipped]
            yield from (here / file for file in files if file.lower().endswith((".safetensors", *PICKLES)))
        entered.add(real)


def _whole(entry: Entry) -> tuple[str, str]:
    return entry.name, str(Path(entry.name).with_suffix("")) if entry.path.suffix else entry.name


def _parts(entry: Entry) -> tuple[str, str]:
    return entry.path.name, entry.path.stem


def _allowed(entry: Entry, where: str | None) -> Path:
    if entry.refused:
        raise ModelError(f"{entry.path.name} {entry.refused}", where=where)
    return entry.path


def in_natural_order(paths: Iterable[Path]) -> list[Path]:
    """Return paths as a person counts: checkpoint-900 before checkpoint-1000, the one without a number last."""
    return sorted(paths, key=lambda path: natural(path.as_posix()))


def natural(name: str) -> tuple[tuple[bool, str, tuple[float, ...], str], ...]:
    """Return what to sort a path by, so that its numbers count as numbers.

    A trainer writes `grain-000001`, `grain-000002`, and `grain` at the end; others `checkpoint-900/weights` and
    `weights` at the end. So a folder comes before a file, and no number is more than any.

    >>> sorted(["step-1000/w", "w", "step-900/w", "grain", "grain-000010", "grain-9"], key=natural)
    ['step-900/w', 'step-1000/w', 'grain-9', 'grain-000010', 'grain', 'w']
    """
    *folders, file = name.split("/")
    return (*(_counted(each, last=False) for each in folders), _counted(file.rpartition(".")[0] or file, last=True))


def _counted(name: str, *, last: bool) -> tuple[bool, str, tuple[float, ...], str]:
    numbers = tuple(float(number) for number in re.findall(r"\d+", name))
    words = re.sub(rf"[{re.escape(_SEPARATORS)}]*\d+", "", name).casefold()
    return last, words, numbers or (math.inf,), name
