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

    def saved_manifest(self) -> str:
        """The text of the run directory's manifest.yaml: the command line's words applied, prompt files written in."""
        from batchgen.plan.words import saved_text

        return saved_text(self.manifest, self.fields)


def asking(command: Callable[..., int]) -> Callable[..., int]:
    """Give `command` the arguments of `run` and `plan`; it receives them as a `Request`."""

    @click.argument("words", nargs=-1, metavar="[MANIFEST|RUN_DIR]... [KEY=VALUE]...")
    @click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="A prompt, taken literally. Repeatable.")
    @click.option("--seeds", metavar="SEEDS", help="`0..3`, `7` or `1,5`; instead of the manifest's.")
    @click.option("--into", type=click.Path(path_type=Path), metavar="DIR", help="The run directory itself.")
    @click.option("--max-jobs", default=1_000_000, show_default=True, help="Refuse to expand a larger sweep.")
    @click.option("-m", "--multirun", is_flag=True, hidden=True, help="Accepted for Hydra's sake; sweeps need no flag.")
    @wraps(command)
    def asked(
        *,
        words: tuple[str, ...],
        prompts: tuple[str, ...],
        seeds: str | None,
        into: Path | None,
        max_jobs: int,
        multirun: bool,  # noqa: ARG001  # changes nothing, by design
        **others: Any,
    ) -> int:
        request = Request(words=words, prompts=prompts, seeds=seeds, into=into, max_jobs=max_jobs)
        return command(request, **others)

    return asked


def ask(request: Request) -> Iterator[Asked]:
    """Yield what is asked for, one run directory after the other.

    Raises:
        UsageError: the words are wrong; which and why is in its message.
    """
    from batchgen.settings import parse_words

    places = [word for word in request.words if _is_place(word)]
    words = parse_words([word for word in request.words if not _is_place(word)])
    fields = dict(words.fields)
    if request.prompts:
        fields["prompt"] = request.prompts
    if request.seeds is not None:
        fields["seeds"] = (request.seeds,)
    if len(places) > 1 and request.into:
        raise UsageError("one directory cannot hold several manifests; run them one by one", where="--into")
    if not places and "prompt" not in fields:
        raise UsageError(
            f"nothing to render: name a manifest ({', '.join(_known())}), a run directory, or --prompt TEXT"
        )
    if not places:
        yield _asked(None, words, fields, request)
    for place in places:
        yield _asked(place, words, fields, request)


def near(path: Path) -> str:
    """A path as a person in this folder would type it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _is_place(word: str) -> bool:
    return "=" not in word or Path(word).exists()


def _asked(place: str | None, words: Any, fields: Mapping[str, tuple[Any, ...]], request: Request) -> Asked:
    from batchgen.manifest import adhoc, read_manifest
    from batchgen.plan.expand import expand
    from batchgen.settings import load_settings
    from batchgen.store.layout import RunDirectory

    resumed = None if place is None else _run_directory(Path(place))
    saved = resumed.settings if resumed and resumed.settings.is_file() else None
    settings = load_settings(words, cwd=Path.cwd(), saved=saved)
    if resumed:
        manifest = read_manifest(resumed.manifest)
    else:
        manifest = adhoc() if place is None else read_manifest(_manifest(place))
    with growing():
        sweep = expand(manifest, fields, _Hashed(settings), limit=request.max_jobs)
    directory = resumed or RunDirectory(request.into or settings.output.root / manifest.name)
    return Asked(
        manifest=manifest,
        settings=settings,
        sweep=sweep,
        directory=directory,
        fields=fields,
    )


def _run_directory(place: Path) -> "RunDirectory | None":
    from batchgen.store.layout import RunDirectory

    directory = RunDirectory(place)
    return directory if directory.manifest.is_file() and directory.hidden.is_dir() else None


def _manifest(word: str) -> Path:
    """Find a manifest by path, or by name in ./manifests and among the shipped ones."""
    if Path(word).is_file():
        return Path(word)
    for folder in _folders():
        for suffix in _SUFFIXES:
            if (found := folder / f"{word}{suffix}").is_file():
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


class _Hashed:
    """Settings whose `resolve` shows, on a terminal, how far the hashing of a model's files is."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._settings, name)

    def resolve(self, name: str) -> Any:
        from tqdm import tqdm

        with tqdm(
            unit="B", unit_scale=True, desc=f"hashing {name}", disable=not sys.stderr.isatty(), leave=False
        ) as bar:

            def on_hash(path: Path, done: int, total: int) -> None:
                bar.set_postfix_str(path.name)
                bar.total, bar.n = total, done
                bar.refresh()

            return self._settings.resolve(name, on_hash)
