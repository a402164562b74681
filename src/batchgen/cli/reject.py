"""`batchgen reject RUN ID`: which pictures of a run a person does not want, so that they are not made again."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchgen.cli.asking import near, printable

if TYPE_CHECKING:
    from batchgen.store.history import History
    from batchgen.store.layout import RunDirectory


@click.command(short_help="Say which pictures are not to be made again.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("words", nargs=-1, metavar="[ID|NAME]...")
@click.option("--marks", type=click.Path(path_type=Path), metavar="FILE", help="All that a gallery's marks reject.")
@click.option("--undo", is_flag=True, help="Take it back: what is missing of them is made again.")
@click.option("--dry-run", is_flag=True, help="Say what would be rejected; write nothing.")
def reject(run: Path, words: tuple[str, ...], marks: Path | None, undo: bool, dry_run: bool) -> int:
    """Reject pictures of a run: they are not made again, and a run without them is complete.

    \b
    batchgen reject outputs/demo 1f2e 77ab
    batchgen reject outputs/demo a-red-circle_euler_s0_1f2e3d4c.png
    batchgen reject outputs/demo --marks marks.json         what was marked in the gallery, and exported
    batchgen reject outputs/demo --marks marks.json --undo

    Their files stay where they are, and may be deleted. What failed or was never made can be rejected too, by its id
    (4 digits or more). A rejected picture is made all the same where another one begins with it.
    """
    from batchgen.cli.progress import count
    from batchgen.errors import UsageError
    from batchgen.store.history import history
    from batchgen.store.layout import RunDirectory

    directory = RunDirectory(run)
    if not directory.plan.is_file():
        raise UsageError("no run directory: it has no .batchgen/plan.json", where=str(run))
    if not words and marks is None:
        raise UsageError("which pictures? Digits of an id, the name of a file, or --marks FILE")
    past = history(directory)
    ids = _meant(directory, past, words, marks)
    fresh = [id_ for id_ in ids if (id_ in past.rejected) is undo]
    if fresh and not dry_run:
        _write_down(directory, fresh, undo=undo)
    verb = "no longer rejected" if undo else "rejected"
    for id_ in fresh:
        click.echo(f"{verb}: {_name(past, id_)}")
    numbers = [f"{count(len(fresh), 'picture')} {'would be ' if dry_run else ''}{verb}"]
    if before := len(ids) - len(fresh):
        numbers += [f"{before:,} {'was' if before == 1 else 'were'} {'not rejected' if undo else 'before'}"]
    click.echo(f"{near(directory.root)}: {', '.join(numbers)}{_of_files(past, fresh, undo=undo)}")
    return 0


def _meant(directory: "RunDirectory", past: "History", words: Sequence[str], marks: Path | None) -> list[str]:
    """Return ids, each once; UsageError: a word or a mark is none of this run."""
    from batchgen.cli.picking import pictures_in

    pictures, name = pictures_in(directory, past), directory.root.resolve().name
    named = [pictures.named(word) for word in words]
    marked = [] if marks is None else pictures.marked(marks, name, lambda mark: mark.verdict == "reject")
    return list(dict.fromkeys([*named, *marked]))


def _write_down(directory: "RunDirectory", ids: Sequence[str], *, undo: bool) -> None:
    from batchgen.cli.run import say_what_was_found
    from batchgen.store.held import hold

    with hold(directory) as held:
        say_what_was_found(held)
        held.accept(ids) if undo else held.reject(ids)


def _of_files(past: "History", ids: Sequence[str], *, undo: bool) -> str:
    """Say what becomes of files."""
    from batchgen.cli.progress import count

    there = sum(id_ in past.done and not past.done[id_].missing for id_ in ids)
    if undo:
        return f"; {len(ids) - there:,} to make" if len(ids) > there else ""
    stay = "stays where it is" if there == 1 else "stay where they are"
    return f"; {count(there, 'file')} {stay}" if there else ""


def _name(past: "History", id_: str) -> str:
    """Return what to call a picture: there may be no file of it."""
    done = past.done.get(id_)
    if done is not None:
        return printable(done.picture.name)
    return f"{id_[:12]} ({'failed' if id_ in past.failed else 'never made'})"
