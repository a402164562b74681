"""`batchgen upscale PICTURE...`: make pictures larger that are there already, with an upscaling model."""

from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.asking import Asked, is_place, near
from batchgen.cli.run import Bounds, bounded, carry_out, ready

if TYPE_CHECKING:
    from batchgen.job import File
    from batchgen.parts import Canvas
    from batchgen.plan.expand import Cell, Sweep
    from batchgen.settings import Settings
    from batchgen.wishes import Upscale

_NAME = "upscaled"
"""The run directory below output.root."""

_AXES = ("prompt", "model", "scale", "seed")
"""Of such a run. The pictures stand where the prompts of other runs do: first, and in no part of a file's name."""


@click.command(short_help="Make pictures larger with an upscaling model.")
@click.argument("words", nargs=-1, required=True, metavar="PICTURE|FOLDER|GLOB... model=NAME [scale=N] [KEY=VALUE]...")
@bounded
@click.option("--into", type=click.Path(path_type=Path), metavar="DIR", help="The run directory itself.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and why; render nothing.")
def upscale(words: tuple[str, ...], bounds: Bounds, into: Path | None, only_plan: bool) -> int:
    """Make pictures larger with a model of the ESRGAN kind, into outputs/upscaled.

    \b
    batchgen upscale photos/* model=4x-UltraSharp               as large as the model makes them
    batchgen upscale photos/ model=4x-UltraSharp scale=2        twice as large, whatever the model does
    batchgen upscale heron.png model=4x-UltraSharp,RealESRGAN   with each of several models

    A run like any other: the same command makes what is missing, and `status`, `verify` and `reproduce` know its
    directory. It keeps no manifest; this command goes on with it. Pictures are named after their sources, and EXIF
    orientation is applied. Transparency is laid on grey. The models lie in upscale_models/ of paths.models.
    """
    from batchgen.store.history import history

    asked = _asked(words, into)
    if only_plan:
        from batchgen.cli.plan import in_words, plan_of

        made = plan_of(asked, history(asked.directory))[0].first(bounds.most)
        click.echo("\n".join(in_words(asked, made, each=False)))
        return 0
    asked, may_begin = ready(asked)
    return carry_out(asked, bounds, may_begin)[0]


def _asked(words: Sequence[str], into: Path | None) -> Asked:
    from dataclasses import replace

    from batchgen.errors import UsageError, unknown_name
    from batchgen.manifest import adhoc
    from batchgen.settings import load_settings, parse_words
    from batchgen.store.history import upscaled
    from batchgen.store.layout import RunDirectory

    said = parse_words([word for word in words if not is_place(word)])
    for name in said.fields:
        if name not in ("model", "scale"):
            raise UsageError(unknown_name("word", name, ("model", "scale")), where=f"{name}=...")
    settings = load_settings(said, cwd=Path.cwd())
    wishes = _wishes(said.fields, settings)
    files = _files([word for word in words if is_place(word)], settings)
    directory = RunDirectory(into or settings.output.root / _NAME)
    return Asked(
        manifest=replace(adhoc(_NAME), compare=None),
        settings=settings,
        sweep=_sweep(files, wishes, settings),
        directory=directory,
        fields={},
        # Those of earlier commands too: to make a picture again, its source must be found.
        pictures=tuple(dict.fromkeys(str(file) for file in (*upscaled(directory), *files))),
    )


def _wishes(fields: Mapping[str, tuple[Any, ...]], settings: "Settings") -> "list[Upscale]":
    """Return every model with every scale that is asked for."""
    from batchgen.errors import UsageError
    from batchgen.wishes import Upscale, read_wish

    if "model" not in fields:
        here = ", ".join(sorted({entry.path.stem for entry in settings.beside.shelf.all("upscaler")}))
        raise UsageError(f"with which upscaler? model=NAME (here: {here or 'none; put one into upscale_models/'})")
    scales: list[dict[str, Any]] = [{"scale": scale} for scale in fields.get("scale", ())] or [{}]
    try:
        found = [read_wish("upscale", {"model": str(name), **scale}) for name in fields["model"] for scale in scales]
    except ValueError as error:
        raise UsageError(str(error), where="scale=...") from error
    return [wish for wish in dict.fromkeys(found) if isinstance(wish, Upscale)]


def _files(words: Sequence[str], settings: "Settings") -> list[Path]:
    """Return the pictures that words name. Of several words, files and folders without pictures are passed over.

    Raises:
        UsageError: a word names nothing.
    """
    from batchgen.errors import UsageError
    from batchgen.store.media import moves

    found: dict[Path, None] = {}
    passed_over = []
    for word in words:
        path = Path(word)
        if path.is_file() and moves(path):
            right = "say `upscale: NAME` where it is made, or `batchgen promote RUN --pick FILE upscale=NAME`"
            raise UsageError(f"is a clip, and this command takes pictures; {right}", where=word)
        there = settings.beside.files("init_image", escape(word) if path.is_file() else word, Path.cwd())
        files = [file for file in there if not moves(file)]
        if not files and not (len(words) > 1 and path.exists()):
            raise UsageError("no picture is there (PNG, JPEG, WebP, TIFF and BMP are read)", where=word)
        passed_over += [] if files else [word]
        found |= dict.fromkeys(files)
    if not found:
        raise UsageError("nothing to make larger: name pictures, a folder, or a pattern such as 'photos/*.jpg'")
    if passed_over:
        click.echo(f"passed over, for they are no pictures: {_some(passed_over)}", err=True)
    return list(found)


def _sweep(files: Sequence[Path], wishes: "Sequence[Upscale]", settings: "Settings") -> "Sweep":
    from batchgen.plan.expand import Sweep
    from batchgen.plan.sweep import Axis

    sources = _sources(files, settings)
    cells = [cell for file in files for cell in _cells(file, sources[file], wishes, settings)]
    axes = (Axis(name=name, values=tuple(dict.fromkeys(cell.coordinates[name] for cell in cells))) for name in _AXES)
    return Sweep(
        axes=tuple(axes),
        cells=tuple(cells),
        product=len(cells),
        excluded=0,
        notes=(),
        warnings=tuple(_twice(sources)),
        overruled=(),
    )


def _sources(files: Sequence[Path], settings: "Settings") -> "dict[Path, tuple[File, tuple[int, int]]]":
    """Return each picture with its width and height; UsageError: some cannot be read."""
    from batchgen.errors import UsageError

    found, unreadable = {}, []
    for file in files:
        try:
            found[file] = settings.beside.picture(file), settings.beside.picture_size(file)
        except UsageError as error:
            unreadable.append((near(file), error.message.removeprefix("init_image: ")))
    if unreadable:
        others = [file for file, _ in unreadable[1:]]
        more = f"; nor can {_some(others)}" if others else ""
        raise UsageError(f"{unreadable[0][1]}{more}", where=unreadable[0][0])
    return found


def _cells(
    file: Path, source: "tuple[File, tuple[int, int]]", wishes: "Sequence[Upscale]", settings: "Settings"
) -> "Iterator[Cell]":
    from batchgen.plan.expand import Cell, Coordinates
    from batchgen.plan.making import upscaling

    for wish in wishes:
        model = settings.beside.upscaler(wish.model)
        scale = wish.scale or settings.beside.upscaling(model)
        job = upscaling(source[0], model, _canvas(file, source[1], scale))
        yield Cell(
            coordinates=Coordinates(_AXES, (near(file), model.name, scale, job.seed)), job=job, name=None, note=None
        )


def _canvas(file: Path, size: tuple[int, int], scale: float) -> "Canvas":
    from batchgen.errors import UsageError
    from batchgen.plan.making import enlarged

    try:
        return enlarged(*size, scale)
    except ValueError as error:
        raise UsageError(str(error), where=near(file)) from error


def _twice(sources: "Mapping[Path, tuple[File, tuple[int, int]]]") -> Iterator[str]:
    firsts: dict[str, Path] = {}
    for path, (file, _) in sources.items():
        first = firsts.setdefault(file.digest, path)
        if first != path:
            yield f"{near(path)} is the same file as {near(first)}, and made larger once"


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
