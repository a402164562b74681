"""`batchgen compare RUN`: sheets, a gallery page, charts and a table of what a run made."""

import contextlib
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.asking import is_place, near, printable

if TYPE_CHECKING:
    from batchgen.compare.comparing import Compared, Wish
    from batchgen.manifest import Comparing
    from batchgen.store.layout import RunDirectory

_FOUND = 6
"""Findings that are said; the page has all."""


def _shaped(command: Callable[..., int]) -> Callable[..., int]:
    """Give `command` the options that say how pictures stand beside one another; it receives them as `said`."""

    @click.option("--x", metavar="AXIS", help="The axis whose values are columns.")
    @click.option("--y", metavar="AXIS", help="The axis whose values are rows.")
    @click.option("--page", metavar="AXIS", help="The axis of which each value has a sheet of its own.")
    @click.option("--against", metavar="REF", help="What each is measured against; `steps=max` where steps vary.")
    @click.option("--no-grid", is_flag=True, help="Pictures one after another, in the manifest's order.")
    @click.option("--columns", type=click.IntRange(min=1), metavar="N", help="Pictures beside one another at most.")
    @click.option("--cell", type=click.IntRange(16, 2048), metavar="PX", help="Longer side of a picture on a sheet.")
    @wraps(command)
    def shaped(*arguments: Any, no_grid: bool, **others: Any) -> int:
        names = ("x", "y", "page", "against", "columns", "cell")
        said = {name: value for name in names if (value := others.pop(name)) is not None}
        return command(*arguments, said=said | ({"grid": False} if no_grid else {}), **others)

    return shaped


@click.command(short_help="Show pictures side by side: page, sheets, charts, table.")
@click.argument("words", nargs=-1, required=True, metavar="RUN [RUN_B] [KEY=VALUE]...")
@_shaped
@click.option("--format", "kind", type=click.Choice(["png", "jpeg", "webp"]), help="Of sheets.")
@click.option("--into", type=click.Path(path_type=Path), metavar="DIR", help="A gallery that stands alone, for others.")
@click.option("--small", is_flag=True, help="With --into: small thumbnails, and no pictures.")
@click.option("--sheets/--no-sheets", default=None, help="Draw contact sheets. [default: as conf/ says]")
@click.option("--gallery/--no-gallery", default=None, help="Write the page. [default: as conf/ says]")
@click.option("--during-run", is_flag=True, hidden=True)
def compare(words: tuple[str, ...], said: dict[str, Any], **options: Any) -> int:
    """Show a run's pictures side by side: a page for the browser, sheets to print, charts, and a table.

    \b
    batchgen compare outputs/demo                                open outputs/demo/gallery/index.html
    batchgen compare outputs/demo --x steps --y sampler          with these axes as columns and rows
    batchgen compare outputs/demo --against sampler=heun,steps=30
    batchgen compare outputs/demo --no-grid --columns 8 --format jpeg
    batchgen compare outputs/demo --into for_anna --small        one folder of a few files, to send
    batchgen compare outputs/before outputs/after                what changed, and how much

    Nothing is rendered, and no model is needed. A run that is under way can be looked at, too.
    """
    from batchgen.compare.comparing import compare_run, compare_two
    from batchgen.errors import UsageError

    if options["small"] and options["into"] is None:
        raise UsageError("goes with --into DIR, the folder that is to hold them", where="--small")
    runs = [Path(word) for word in words if is_place(word)]
    others = [word for word in words if not is_place(word)]
    if not 1 <= len(runs) <= 2:
        raise UsageError(f"one run directory, or two to compare; these are {len(runs)}", where=" ".join(words))
    if options["during_run"]:
        os.nice(10)  # the pictures come first
    if len(runs) == 2 and "against" in said:
        raise UsageError("of two runs each picture is measured against its like in the first", where="--against")
    directories = [_directory(run) for run in runs]
    wish = _wish(_how(directories[0] if len(runs) == 1 else None, said), others, options)
    found = compare_run(directories[0], wish) if len(runs) == 1 else compare_two(directories[0], directories[1], wish)
    _tell_pages(found, None if wish.into or len(runs) == 2 else directories[0])
    if not options["during_run"]:
        _say(found)
    return 0


def _directory(run: Path) -> "RunDirectory":
    from batchgen.errors import UsageError
    from batchgen.store.layout import RunDirectory

    directory = RunDirectory(run)
    if not directory.hidden.is_dir():
        raise UsageError("no run directory", where=str(run))
    for path, reason in directory.obstacles():
        raise UsageError(reason, where=str(path))
    return directory


def _wish(how: "Comparing", words: list[str], options: dict[str, Any]) -> "Wish":
    from dataclasses import replace

    from batchgen.compare.comparing import Wish
    from batchgen.errors import UsageError
    from batchgen.settings import load_settings, parse_words

    parsed = parse_words(words)
    if parsed.fields:
        raise UsageError("is a recipe field; a comparison renders nothing", where=f"{next(iter(parsed.fields))}=...")
    output = load_settings(parsed, cwd=Path.cwd()).output
    during = options["during_run"]
    changed = {"sheet_format": options["kind"], "sheets": options["sheets"], "gallery": options["gallery"]}
    changed |= {"sheets": False, "gallery": True, "metrics": ()} if during else {}
    output = replace(output, **{name: value for name, value in changed.items() if value is not None})
    return Wish(how=how, output=output, into=options["into"], charts=not during, small=options["small"])


def _how(directory: "RunDirectory | None", said: dict[str, Any]) -> "Comparing":
    """Return what the command line says of comparison; where it is silent, what the manifest of a single run does."""
    from dataclasses import replace

    from batchgen.errors import UsageError
    from batchgen.manifest import Comparing, read_manifest

    sides = ("x", "y", "page")
    named = [axis for side in sides if (axis := said.get(side))]
    if named and "grid" in said:
        raise UsageError("without a grid there are no axes to put on its sides", where="--no-grid")
    if len(set(named)) < len(named):
        raise UsageError("--x, --y and --page are different axes", where=" ".join(named))
    how = Comparing()
    if directory is not None:
        with contextlib.suppress(UsageError):  # pictures that were only upscaled have no manifest
            how = read_manifest(directory.manifest).compare or how
    if named or "grid" in said:
        how = replace(how, x=None, y=None, page=None, grid=True)
    return replace(how, **said)


def _tell_pages(found: "Compared", directory: "RunDirectory | None") -> None:
    """Tell pages that are open of the new data, unless a run is at work in `directory`, which does so itself."""
    from batchgen.compare.gallery import write_live
    from batchgen.store.lock import at_work
    from batchgen.store.publish import said_plainly

    if found.gallery is not None and (directory is None or at_work(directory.lock) is None):
        with said_plainly(found.gallery.parent):
            write_live(found.gallery.parent, None)


def _say(found: "Compared") -> None:
    for warning in found.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)
    for line in found.findings[:_FOUND]:
        click.echo(printable(line))
    places = [near(found.gallery)] if found.gallery else []
    if found.sheets:
        places.append(near(found.sheets[0]) if len(found.sheets) == 1 else f"{near(found.sheets[0].parent)}/")
    places += [near(found.table)] if found.table else []
    if places:
        *first, last = places
        click.echo(f"look at {', '.join(first)} and {last}" if first else f"look at {last}")
