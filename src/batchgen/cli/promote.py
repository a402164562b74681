"""`batchgen promote RUN --pick ID`: the manifest that renders chosen pictures again, with more."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.asking import Hashed, near, printable
from batchgen.cli.importing import write_out

if TYPE_CHECKING:
    from batchgen.interop.imported import Imported
    from batchgen.job import Job
    from batchgen.manifest import Manifest
    from batchgen.plan.expand import Sweep
    from batchgen.settings import Settings
    from batchgen.store.history import Done, History
    from batchgen.store.layout import RunDirectory
    from batchgen.store.marks import Mark

Fields = Mapping[str, tuple[Any, ...]]

_LIMIT = 1_000_000
"""Pictures of a manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marked:
    """Pictures that are chosen by what a gallery's marks say of them."""

    file: Path
    stars: int | None
    """At least so many, or None: those with the verdict keep."""

    def chooses(self, mark: "Mark") -> bool:
        """Say whether a mark is one of those."""
        return mark.verdict == "keep" if self.stars is None else mark.stars >= self.stars and mark.verdict != "reject"

    def __str__(self) -> str:
        """What the pictures have."""
        return "marked as kept" if self.stars is None else f"of {self.stars} stars or more, and not rejected"


def _marking(command: Callable[..., int]) -> Callable[..., int]:
    """Give `command` the options that choose by marks; it receives them as `marked`, None where there are none."""

    @click.option("--marks", type=click.Path(path_type=Path), metavar="FILE", help="All that a gallery's marks keep.")
    @click.option(
        "--stars", type=click.IntRange(1, 5), metavar="N", help="Of --marks, all with N stars or more instead."
    )
    @wraps(command)
    def with_marks(*arguments: Any, marks: Path | None, stars: int | None, **others: Any) -> int:
        from batchgen.errors import UsageError

        if marks is None and stars is not None:
            raise UsageError("stars of which gallery? Name the file that it exported with --marks", where="--stars")
        return command(*arguments, marked=_Marked(file=marks, stars=stars) if marks else None, **others)

    return with_marks


@click.command(short_help="Make a manifest of chosen pictures, with more steps or larger.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("words", nargs=-1, metavar="[ID|NAME]... [KEY=VALUE]...")
@click.option("--pick", "picks", multiple=True, metavar="ID|NAME", help="A picture: 4 digits of its id, or its file.")
@_marking
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="MANIFEST", help="Write here, not to stdout.")
@click.option("--dry-run", is_flag=True, help="Say which pictures are chosen; write nothing.")
def promote(
    run: Path,
    words: tuple[str, ...],
    picks: tuple[str, ...],
    marked: _Marked | None,
    output: Path | None,
    *,
    dry_run: bool,
) -> int:
    """Write the manifest that renders chosen pictures of a run again, with what is said of them changed or added.

    \b
    batchgen promote outputs/demo --pick 1f2e 77ab upscale=4x-UltraSharp -o large.yaml
    batchgen promote outputs/demo --pick a-red-circle_euler_s0_1f2e3d4c.png hires=1.5 -o large.yaml
    batchgen promote outputs/demo --pick 1f2e steps=40,80 seeds=0..7 > more.yaml
    batchgen promote outputs/demo --marks marks.json steps=40 -o kept.yaml
    batchgen promote outputs/demo --marks marks.json --stars 4 upscale=4x-UltraSharp -o best.yaml

    --marks takes the file that a run's gallery exports, and chooses what is marked there as kept; with --stars N, what
    has N stars or more instead, kept or not, unless it is marked as rejected. Pictures that are named by --pick are
    chosen as well, whatever their marks.

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
    said = parse_words([word for word in words if "=" in word])
    settings = load_settings(said, cwd=Path.cwd())
    chosen = _chosen(directory, past, [*picks, *(word for word in words if "=" not in word)], marked)
    found = [_imported(each, directory, settings) for each in chosen]
    promoted = _Promoted(found=found, fields=said.fields, name=_name(directory), output=output)
    sweep = promoted.sweep(settings)
    if dry_run:
        click.echo("\n".join(_listed(chosen)))
    else:
        write_out(promoted.text, output)
    then = [] if dry_run else [_next(promoted, directory, settings)]
    for line in (*_changed(promoted, chosen, settings), *_told(sweep, past), *then):
        click.echo(line, err=True)
    return 0


def _chosen(directory: "RunDirectory", past: "History", named: Sequence[str], marked: _Marked | None) -> "list[Done]":
    """Return the pictures that are named or marked, each once; UsageError: there are none, or a word names none."""
    from batchgen.cli.picking import pictures_in
    from batchgen.cli.progress import count
    from batchgen.errors import UsageError

    if not named and marked is None:
        message = (
            "which pictures? --pick with digits of an id, or the name of a file; or --marks with that of a gallery"
        )
        raise UsageError(message, where="--pick")
    pictures, name = pictures_in(directory, past), directory.root.resolve().name
    ids = [pictures.named(word) for word in named]
    for word, id_ in zip(named, ids, strict=True):
        if id_ not in past.done:
            raise UsageError("was never made, so nothing can be made of it", where=word)
    found = [] if marked is None else pictures.marked(marked.file, name, marked.chooses)
    if marked and (never := [id_ for id_ in found if id_ not in past.done]):
        which = f"{count(len(never), 'picture')}, the first of {never[0][:12]}"
        click.echo(f"warning: {marked.file}: left out, for nothing was made yet: {which}", err=True)
    chosen = [past.done[id_] for id_ in dict.fromkeys([*ids, *found]) if id_ in past.done]
    if not chosen and marked:
        raise UsageError(f"no picture is {marked}", where=str(marked.file))
    return chosen


def _listed(chosen: "Sequence[Done]") -> Iterator[str]:
    from batchgen.cli.progress import count

    yield from (printable(each.picture.name) for each in chosen)
    yield f"{count(len(chosen), 'picture')} chosen"


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

    plan = make_plan(sweep.cells, past.known, batch=1, rejected=past.rejected)
    there = {id_ for id_, reason in past.known.items() if reason in THERE}
    begun = {stage.id for cell in sweep.cells for stage in _stages(cell.job)} & there
    reused = f"; {count(len(begun), 'picture')} that they begin with {'is' if len(begun) == 1 else 'are'} there"
    rejected = f", {len(plan.rejected):,} rejected" if plan.rejected else ""
    yield f"{count(plan.asked, 'picture')} asked for, {plan.to_make:,} to make{rejected}{reused if begun else ''}"


def _stages(job: "Job") -> "Iterator[Job]":
    for stage in job.stages:
        yield stage
        yield from _stages(stage)


def _next(promoted: _Promoted, directory: "RunDirectory", settings: "Settings") -> str:
    same = (settings.output.root / promoted.name).resolve() == directory.root.resolve()
    into = "" if same else f" --into {near(directory.root)}"
    return f"next: batchgen run {promoted.output or 'MANIFEST'}{into}"
