"""`batchgen export RUN`: pictures and clips in plain folders, for other programs and other people."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchgen.cli.asking import near, printable

if TYPE_CHECKING:
    from batchgen.compare.exporting import Copies
    from batchgen.compare.results import Results
    from batchgen.store.layout import RunDirectory

_TOLD = 5
"""Files that could not be copied, by name."""

_LEFT = {
    "missing": "not made",
    "failed": "failed",
    "rejected": "rejected",
    "unreadable": "with a record that cannot be read",
}


@click.command(short_help="Copy pictures into plain folders, by sampler or whatever was swept.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--by", "axes", multiple=True, metavar="AXIS[,AXIS]", help="A folder for each value, one in another.")
@click.option("--strip", is_flag=True, help="Without record and parameters; pixels stay the same to the bit.")
@click.option("--into", type=click.Path(path_type=Path), metavar="DIR", help="Instead of RUN/export.")
@click.option("--marks", type=click.Path(path_type=Path), metavar="FILE", help="Only what a gallery's marks keep.")
@click.option("--dry-run", is_flag=True, help="Say what would be copied where; write nothing.")
def export(run: Path, axes: tuple[str, ...], strip: bool, into: Path | None, marks: Path | None, dry_run: bool) -> int:
    """Copy the pictures and clips of a run into plain folders.

    \b
    batchgen export outputs/demo                                    all into outputs/demo/export
    batchgen export outputs/demo --by sampler,steps                 export/euler/20/NAME.png, ...
    batchgen export outputs/demo --strip --into for_anna            nobody reads prompts in them
    batchgen export outputs/demo --marks marks.json --into best     what was kept in the gallery

    Files keep their names. Folders are called after values; of values whose folders would have the same name the second
    gets ~2. Nothing is overwritten: a copy that is there already stays, so the same command again copies what came
    since; where a file has other content, it stays too, is named, and the exit code is 1. What is not made or rejected
    is counted in the last line.
    """
    from batchgen.cli.progress import count, noun
    from batchgen.compare.exporting import check_target, copies
    from batchgen.compare.results import read_results
    from batchgen.store.layout import RunDirectory
    from batchgen.store.media import is_clip

    directory = RunDirectory(run)
    target = _target(directory, into)
    check_target(target)
    results = read_results(directory)
    wanted = copies(results, _axes(axes, results), None if marks is None else _kept(directory, marks))
    what = noun(is_clip(each.source) for each in wanted.copies)
    left = "".join(f", {number:,} {_LEFT[state]}" for state, number in wanted.left.items())
    if dry_run:
        for line in _folders(wanted, target, what):
            click.echo(line)
        click.echo(f"{near(target)}: {count(len(wanted.copies), what)} would be copied{left}")
        return 0
    came, wrong = _carry_out(wanted, target, what, bare=strip)
    there = f", {came[False]:,} there already" if came[False] else ""
    failed = f", {len(wrong):,} not copied" if wrong else ""
    for reason in wrong[:_TOLD]:
        click.echo(printable(reason), err=True)
    if len(wrong) > _TOLD:
        click.echo(f"... and {len(wrong) - _TOLD:,} more", err=True)
    click.echo(f"{near(target)}: {count(came[True], what)} copied{there}{failed}{left}")
    return 1 if wrong else 0


def _target(directory: "RunDirectory", into: Path | None) -> Path:
    from batchgen.errors import UsageError

    if into is None and directory.export.is_symlink():
        message = "is a link, which may have come with the run directory; say where with --into"
        raise UsageError(message, where=str(directory.export))
    return into or directory.export


def _axes(words: Sequence[str], results: "Results") -> list[str]:
    from batchgen.errors import UsageError, unknown_name

    names = [name.strip() for word in words for name in word.split(",")]
    for name in names:
        if name not in results.axes:
            raise UsageError(unknown_name("axis", name, results.axes), where="--by")
    return list(dict.fromkeys(names))


def _kept(directory: "RunDirectory", marks: Path) -> frozenset[str]:
    """Return the ids of what is marked as kept; UsageError: nothing is."""
    from batchgen.cli.picking import pictures_in
    from batchgen.errors import UsageError
    from batchgen.store.history import history

    pictures, name = pictures_in(directory, history(directory)), directory.root.resolve().name
    found = pictures.marked(marks, name, lambda mark: mark.verdict == "keep")
    if not found:
        raise UsageError("no picture is marked as kept", where=str(marks))
    return frozenset(found)


def _folders(wanted: "Copies", target: Path, what: str) -> Iterator[str]:
    from batchgen.cli.progress import count

    for folder, number in Counter(each.folder for each in wanted.copies).items():
        yield f"{near(target.joinpath(*folder))}: {count(number, what)}"


def _carry_out(wanted: "Copies", target: Path, what: str, *, bare: bool) -> tuple[Counter[bool], list[str]]:
    """Copy everything; return how much was copied and how much was there, and what could not be copied."""
    from tqdm import tqdm

    from batchgen.compare import exporting
    from batchgen.errors import StoreError

    came: Counter[bool] = Counter()
    wrong: list[str] = []
    for each in tqdm(wanted.copies, unit=what, disable=not sys.stderr.isatty(), leave=False):
        try:
            came[exporting.export(each, target, bare=bare)] += 1
        except StoreError as error:
            wrong.append(str(error))
    return came, wrong
