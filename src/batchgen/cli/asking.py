"""From argv to what is asked for: settings, manifest, cells and the run directory they belong in.

The words of `run` and `plan` are the same, so that `plan` speaks of exactly what `run` would do.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.errors import ManifestError, UsageError, unknown_name

if TYPE_CHECKING:
    from batchgen.manifest import Manifest
    from batchgen.plan.expand import Sweep
    from batchgen.plan.joining import Join
    from batchgen.settings import Settings
    from batchgen.store.layout import RunDirectory

_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The words of one command line, still as they were typed."""

    words: tuple[str, ...]
    """Manifests, run directories and `key=value` overrides, in any order."""
    prompts: tuple[str, ...]
    seeds: str | None
    into: Path | None
    max_jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One run directory, and all that is to be in it."""

    manifest: "Manifest"
    settings: "Settings"
    sweep: "Sweep"
    directory: "RunDirectory"
    fields: Mapping[str, tuple[Any, ...]]
    """What the command line says of fields and axes."""
    pictures: tuple[str, ...] = ()
    """Absolute paths of what is only upscaled, now or earlier; no manifest says that."""
    joins: "tuple[Join, ...]" = ()
    """Clips that become one when all are made."""

    @property
    def what(self) -> str:
        """What is asked for: a `picture` or a `clip`."""
        from batchgen.cli.progress import noun

        return noun(cell.job.clip for cell in self.sweep.cells)

    def saved_manifest(self) -> str | None:
        """The text of the run directory's manifest.yaml: the command line's words applied, prompt files written in.

        None where no manifest says what is asked for.
        """
        from batchgen.plan.words import saved_text

        if self.pictures:
            return None
        return saved_text(self.manifest, self.fields)


def asking(command: Callable[..., int]) -> Callable[..., int]:
    """Give `command` the arguments of `run` and `plan`; it receives them as a `Request`."""

    @click.argument("words", nargs=-1, metavar="[MANIFEST|RUN_DIR]... [KEY=VALUE]...")
    @click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="A prompt, taken literally. Repeatable.")
    @click.option("--seeds", metavar="SEEDS", help="`0..3`, `7` or `1,5`; instead of the manifest's.")
    @click.option("--into", type=click.Path(path_type=Path), metavar="DIR", help="The run directory itself.")
    @click.option("--max-jobs", default=1_000_000, show_default=True, help="Refuse to expand a larger sweep.")
    # Accepted for Hydra's sake: sweeps need no flag.
    @click.option("-m", "--multirun", is_flag=True, hidden=True, expose_value=False)
    @wraps(command)
    def asked(
        *,
        words: tuple[str, ...],
        prompts: tuple[str, ...],
        seeds: str | None,
        into: Path | None,
        max_jobs: int,
        **others: Any,
    ) -> int:
        request = Request(words=words, prompts=prompts, seeds=seeds, into=into, max_jobs=max_jobs)
        return command(request, **others)

    return asked


Meet = Callable[["RunDirectory"], None]


def ask(request: Request, meet: Meet = lambda _: None) -> list[Asked]:
    """Return what is asked for, one run directory after the other.

    All is read before anything is rendered: a wrong word in the last manifest must not be found at three at night.

    Args:
        request: The words.
        meet: Sees each run directory before its sweep is expanded and its models are hashed, which may take minutes.

    Raises:
        UsageError: the words are wrong; which and why is in its message.
    """
    from batchgen.settings import parse_words

    places: list[str | None] = [word for word in request.words if is_place(word)]
    words = parse_words([word for word in request.words if not is_place(word)])
    fields = _with_options(words.fields, request)
    if len(places) > 1 and request.into:
        raise UsageError("one directory cannot hold several manifests; run them one by one", where="--into")
    if not places and "prompt" not in fields:
        raise UsageError(
            f"nothing to render: name a manifest ({', '.join(_known())}), a run directory, or --prompt TEXT"
        )
    return [_asked(place, words, fields, request, meet) for place in places or [None]]


def _with_options(fields: Mapping[str, tuple[Any, ...]], request: Request) -> dict[str, tuple[Any, ...]]:
    found = dict(fields)
    for name, option, said in (("prompt", "--prompt", request.prompts), ("seeds", "--seeds", request.seeds)):
        if not said:
            continue
        if found.keys() & {name, name.rstrip("s")}:
            raise UsageError(f"{name} is given twice; say it once", where=option)
        found[name] = (said,) if isinstance(said, str) else said
    return found


def near(path: Path) -> str:
    """A path as a person in this folder would type it."""
    here = Path.cwd()
    return str(path.relative_to(here) if here != Path("/") and path.is_relative_to(here) else path)


def printable(text: str) -> str:
    """Text that a stranger may have written, without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


def is_place(word: str) -> bool:
    """Whether a word is a file, a folder or a name, and no `key=value`."""
    return "=" not in word or _exists(Path(word))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a prompt as long as no file's name may be, or with a NUL
        return False


def _asked(place: str | None, words: Any, fields: Mapping[str, tuple[Any, ...]], request: Request, meet: Meet) -> Asked:
    manifest, settings, directory = _found(place, words, request)
    meet(directory)
    from batchgen.plan.expand import expand
    from batchgen.plan.joining import bundle_of, joins
    from batchgen.plan.pictures import with_pictures
    from batchgen.plan.words import with_words
    from batchgen.preflight.clips import check_clips

    # Once: what is kept with the run asks for the same pictures as what is planned now.
    manifest = with_pictures(manifest, fields.keys(), settings)
    with growing():
        if (worded := with_words(manifest, fields)).join:
            bundle_of(worded)  # before models are looked for
        sweep = expand(manifest, fields, Hashed(settings), limit=request.max_jobs)
        check_clips((cell.job for cell in sweep.cells), settings.output)
        found = joins(sweep, worded)
    return Asked(manifest=manifest, settings=settings, sweep=sweep, directory=directory, fields=fields, joins=found)


def _found(place: str | None, words: Any, request: Request) -> "tuple[Manifest, Settings, RunDirectory]":
    from batchgen.manifest import adhoc, read_manifest
    from batchgen.settings import load_settings
    from batchgen.store.layout import RunDirectory

    resumed = None if place is None else _run_directory(Path(place))
    if resumed and request.into:
        raise UsageError(f"{place} is a run directory, and goes on where it is", where="--into")
    saved = resumed.settings if resumed and resumed.settings.is_file() else None
    settings = load_settings(words, cwd=Path.cwd(), saved=saved)
    if resumed:
        return read_manifest(resumed.manifest), settings, resumed
    manifest = adhoc() if place is None else read_manifest(_manifest(place))
    return manifest, settings, RunDirectory(request.into or settings.output.root / manifest.name)


def _run_directory(place: Path) -> "RunDirectory | None":
    from batchgen.store.history import upscaled
    from batchgen.store.layout import RunDirectory

    directory = RunDirectory(place)
    if not _exists(place) or not directory.hidden.is_dir():
        return None
    if not directory.manifest.is_file() and upscaled(directory):
        command = f"batchgen upscale PICTURE... model=NAME --into {place}"
        raise UsageError(f"holds upscaled pictures; the same words go on with it: {command}", where=str(place))
    return directory if directory.manifest.is_file() else None


def _manifest(word: str) -> Path:
    """Find a manifest by path, or by name in ./manifests and among the shipped ones."""
    named = (folder / f"{word}{suffix}" for folder in _folders() for suffix in _SUFFIXES)
    if found := next((path for path in (Path(word), *named) if _exists(path) and path.is_file()), None):
        return found
    if Path(word).suffix in _SUFFIXES or "/" in word:
        raise ManifestError("no such file", where=word)
    raise ManifestError(unknown_name("manifest", word, _known()))


def _folders() -> tuple[Path, ...]:
    from batchgen.shipped import shipped

    return (Path("manifests"), shipped("manifests"))


def _known() -> list[str]:
    found = {path.stem for folder in _folders() for path in folder.glob("*") if path.suffix in _SUFFIXES}
    return sorted(found)


@contextmanager
def growing() -> Iterator[None]:
    """Do not look for garbage while a plan grows: all of it stays, and looking takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Hashed:
    """Settings whose `resolve` shows, on a terminal, how far the hashing of a model's files is."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._settings, name)

    def resolve(self, name: str) -> Any:
        """As `Settings.resolve`."""
        from tqdm import tqdm

        with tqdm(
            unit="B", unit_scale=True, desc=f"hashing {name}", disable=not sys.stderr.isatty(), leave=False
        ) as bar:

            def on_hash(path: Path, done: int, total: int) -> None:
                bar.set_postfix_str(path.name)
                bar.total, bar.n = total, done
                bar.refresh()

            return self._settings.resolve(name, on_hash)
