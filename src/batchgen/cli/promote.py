"""`batchgen promote RUN --pick ID`: the manifest that renders chosen pictures again, with more."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.asking import Hashed, near
from batchgen.cli.importing import write_out

if TYPE_CHECKING:
    from batchgen.interop.imported import Imported
    from batchgen.job import Job
    from batchgen.manifest import Manifest
    from batchgen.plan.expand import Sweep
    from batchgen.settings import Settings
    from batchgen.store.history import Done, History
    from batchgen.store.layout import RunDirectory

Fields = Mapping[str, tuple[Any, ...]]

_FEWEST = 4
"""Digits of an id."""

_LIMIT = 1_000_000
"""Pictures of a manifest."""


@click.command(short_help="Make a manifest of chosen pictures, with more steps or larger.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("words", nargs=-1, metavar="[ID|NAME]... [KEY=VALUE]...")
@click.option("--pick", "picks", multiple=True, metavar="ID|NAME", help="A picture: 4 digits of its id, or its file.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="MANIFEST", help="Write here, not to stdout.")
def promote(run: Path, words: tuple[str, ...], picks: tuple[str, ...], output: Path | None) -> int:
    """Write the manifest that renders chosen pictures of a run again, with what is said of them changed or added.

    \b
    batchgen promote outputs/demo --pick 1f2e 77ab upscale=4x-UltraSharp -o large.yaml
    batchgen promote outputs/demo --pick a-red-circle_euler_s0_1f2e3d4c.png hires=1.5 -o large.yaml
    batchgen promote outputs/demo --pick 1f2e steps=40,80 seeds=0..7 > more.yaml

    `upscale` and `hires` go on from the picture as it is. It is not rendered again if the manifest is run in the same
    run directory: so the manifest has the run's name, or the last line here says `--into`. That directory then keeps
    the new manifest as its own; the pictures of the old one stay.
    """
    from batchgen.errors import UsageError
    from batchgen.settings import load_settings, parse_words
    from batchgen.store.history import history
    from batchgen.store.layout import RunDirectory

    if output and output.exists():
        raise UsageError("is there already; name another file, or remove it", where=str(output))
    directory = RunDirectory(run)
    past = history(directory)
    if not past.done:
        raise UsageError("no run directory with pictures in it", where=str(run))
    named = [*picks, *(word for word in words if "=" not in word)]
    said = parse_words([word for word in words if "=" in word])
    if not named:
        raise UsageError("which pictures? --pick with digits of an id, or the name of a file", where="--pick")
    settings = load_settings(said, cwd=Path.cwd())
    chosen = [_picked(word, past.done.values()) for word in dict.fromkeys(named)]
    found = [_imported(each, directory, settings) for each in dict.fromkeys(chosen)]
    promoted = _Promoted(found=found, fields=said.fields, name=_name(directory), output=output)
    sweep = promoted.sweep(settings)
    write_out(promoted.text, output)
    for line in (*_changed(promoted, chosen, settings), *_told(sweep, past), _next(promoted, directory, settings)):
        click.echo(line, err=True)
    return 0


@dataclass(frozen=True, kw_only=True)
class _Promoted:
    """The new manifest."""

    found: "Sequence[Imported]"
    fields: Fields
    name: str
    output: Path | None

    @property
    def text(self) -> str:
        """The manifest as YAML."""
        from dataclasses import replace

        from batchgen.interop.composing import composed
        from batchgen.interop.imported import frozen
        from batchgen.manifest import manifest_text

        single, several = _sorted(self.fields)
        instead = {*single, *several, *_instead(self.fields)}
        kept = (
            {name: value for name, value in each.recipe.items() if name not in instead} | single for each in self.found
        )
        pictures = [replace(each, recipe=frozen(recipe)) for each, recipe in zip(self.found, kept, strict=True)]
        seeds = {"seeds": several.pop("seeds")} if "seeds" in several else {}
        rest = seeds | ({"sweep": several} if several else {})
        return manifest_text({"name": self.name}) + composed(pictures) + (manifest_text(rest) if rest else "")

    def sweep(self, settings: "Settings") -> "Sweep":
        """Expand it; UsageError: a word is wrong."""
        from batchgen.errors import UsageError
        from batchgen.plan.expand import expand

        try:
            return expand(self._read(), {}, Hashed(settings), limit=_LIMIT)
        except UsageError as error:
            # A line of a manifest that is not written is no place to look at.
            where = None if (error.where or "").startswith(f"{self._file}:") else error.where
            raise type(error)(error.message, where=where) from error

    def _read(self) -> "Manifest":
        from batchgen.manifest.reading import parse_yaml
        from batchgen.manifest.shape import manifest_of

        return manifest_of(parse_yaml(self.text, self._file))

    @property
    def _file(self) -> str:
        return str(self.output or "promoted.yaml")


def _sorted(fields: Fields) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return fields with one value, and those with several, by name; all seeds are `seeds`."""
    from batchgen.errors import ManifestError
    from batchgen.manifest.shape import CHOICES
    from batchgen.plan.fields import may_be_range, wrong_field

    single: dict[str, Any] = {}
    several: dict[str, Any] = {}
    for name, values in fields.items():
        if name in ("seed", "seeds"):
            several["seeds"] = values[0] if len(values) == 1 else list(values)
        elif name not in CHOICES:
            raise ManifestError(wrong_field(name, CHOICES), where=f"{name}=...")
        elif len(values) == 1 and not may_be_range(name, values[0]):
            single[name] = values[0]
        elif name == "prompt":
            raise ManifestError("one prompt is meant here; several are what a manifest is for", where="prompt=...")
        else:
            several[name] = list(values)
    return single, several


def _instead(fields: Fields) -> set[str]:
    """Return the recorded fields that give way to those of another name."""
    names = {"size": {"width", "height"}, "seed": {"seed"}, "seeds": {"seed"}}
    return {each for name in fields for each in names.get(name, ())}


def _picked(word: str, done: "Iterable[Done]") -> "Done":
    """Return the picture that a word names; UsageError: there is none, or several."""
    from batchgen.errors import UsageError

    every = list(done)
    name = Path(word).name
    if named := [each for each in every if name in (each.picture.name, each.picture.stem)]:
        return named[-1]
    digits = word.lower()
    if not set(digits) <= set("0123456789abcdef"):
        raise UsageError("no picture of this run has such a name, and it is no id", where=word)
    if len(digits) < _FEWEST:
        raise UsageError(f"an id is given by at least {_FEWEST} digits", where=word)
    found = [each for each in every if each.id.startswith(digits)]
    if len(found) != 1:
        some = ", ".join(each.id[:12] for each in found[:5])
        raise UsageError(f"several ids begin so: {some}" if found else "no id in this run begins so", where=word)
    return found[0]


def _imported(done: "Done", directory: "RunDirectory", settings: "Settings") -> "Imported":
    """Return what the record of a picture says, with names of weights and paths of pictures."""
    from dataclasses import replace

    from batchgen.errors import StoreError, UsageError
    from batchgen.interop.imported import frozen
    from batchgen.interop.own import read_record
    from batchgen.store import media, record

    file = directory.record(done.id)
    try:
        data = record.read(file.read_bytes(), str(file)) if file.is_file() else media.record_in(done.picture)
    except (OSError, StoreError) as error:
        raise UsageError(f"its record cannot be read: {error}", where=near(done.picture)) from error
    found = read_record(data, near(done.picture))
    if found.refused:
        raise UsageError(str(found.refused[0]), where=near(done.picture))
    recipe = {"model": found.checkpoint.name if found.checkpoint else None, **found.recipe}
    return replace(found, recipe=frozen(recipe | _pictures(recipe, data["recipe"], done.picture, settings)))


def _pictures(
    recipe: Mapping[str, Any], recorded: Mapping[str, Any], near_by: Path, settings: "Settings"
) -> dict[str, str]:
    """Return where the pictures are that a recipe begins with: a record says only what they are called."""
    from batchgen.reproduce.originals import pictures_near

    while "recipe" in recorded.get("init_image", {}):
        recorded = recorded["init_image"]["recipe"]
    found: dict[str, str] = {}
    for name in ("init_image", "mask_image"):
        if name in recipe and name in recorded:
            places = [*pictures_near(near_by), Path.cwd() / str(recipe[name])]
            file = settings.beside.file_of(recorded[name]["sha256"], str(recipe[name]), places)
            found |= {} if file is None else {name: str(Path(file.path).absolute())}
    return found


def _name(directory: "RunDirectory") -> str:
    """Return the name of the run, which is the name of its manifest."""
    from batchgen.errors import UsageError
    from batchgen.manifest import read_manifest

    try:
        return read_manifest(directory.manifest).name
    except UsageError:
        return "promoted"


def _changed(promoted: _Promoted, chosen: "Iterable[Done]", settings: "Settings") -> Iterator[str]:
    """Say which pictures would not be the same ones by now, so that nothing of them can be used again."""
    from dataclasses import replace

    planned = {cell.job.id for cell in replace(promoted, fields={}).sweep(settings).cells}
    for each in chosen:
        if each.id not in planned:
            yield f"warning: {near(each.picture)} would be another picture by now: its weights or files have changed"


def _told(sweep: "Sweep", past: "History") -> Iterator[str]:
    from batchgen.cli.progress import count
    from batchgen.plan.plan import THERE, make_plan

    plan = make_plan(sweep.cells, past.known, batch=1)
    there = {id_ for id_, reason in past.known.items() if reason in THERE}
    begun = {stage.id for cell in sweep.cells for stage in _stages(cell.job)} & there
    reused = f"; {count(len(begun), 'picture')} that they begin with {'is' if len(begun) == 1 else 'are'} there"
    yield f"{count(plan.asked, 'picture')} asked for, {plan.to_make:,} to make{reused if begun else ''}"


def _stages(job: "Job") -> "Iterator[Job]":
    for stage in job.stages:
        yield stage
        yield from _stages(stage)


def _next(promoted: _Promoted, directory: "RunDirectory", settings: "Settings") -> str:
    same = (settings.output.root / promoted.name).resolve() == directory.root.resolve()
    into = "" if same else f" --into {near(directory.root)}"
    return f"next: batchgen run {promoted.output or 'MANIFEST'}{into}"
