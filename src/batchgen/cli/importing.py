"""`batchgen import FILE...`: other programs' pictures and workflows as one manifest."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from batchgen.interop.imported import Imported
    from batchgen.interop.shelf import Shelf


@click.command("import", short_help="Make a manifest of other programs' pictures and workflows.")
@click.argument("places", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="MANIFEST", help="Write here, not to stdout.")
@click.option("--lenient", is_flag=True, help="Leave out what is not understood, with a warning.")
@click.option("--hash", "hashing", is_flag=True, help="Hash all weights that are here, to find renamed ones.")
def import_(places: tuple[Path, ...], output: Path | None, lenient: bool, hashing: bool) -> int:
    """Make a manifest of pictures and workflows of ComfyUI, A1111's web UI and its relatives, InvokeAI, or batchgen.

    A folder is searched for pictures; what cannot be read there is counted at the end. Files that are named must be
    understood, or nothing is written. Weights are found by hash, then by exact name; hashes are computed of files of
    the same name only, unless --hash is given.

    \b
    batchgen import workflow.json -o herons.yaml
    batchgen import ~/ComfyUI/output -o old.yaml
    """
    from batchgen.errors import UsageError
    from batchgen.interop.composing import composed, different
    from batchgen.interop.shelf import missing, settled

    if output and output.exists():
        raise UsageError("is there already; name another file, or remove it", where=str(output))
    read = _Reading(lenient=lenient)
    found = [each for place in places for each in read.place(place)]
    read.refuse_named()
    shelf = _shelf(hashing=hashing)
    pictures = different(settled(each, shelf) for each in found)
    if not pictures:
        read.say_table()
        raise UsageError("nothing to make again was found", where=", ".join(str(place) for place in places))
    away = dict.fromkeys(f"{each.kind} {each.name or each.hash}" for one in found for each in missing(one, shelf))
    text = composed(pictures, [f"Imported from {_listed(places)}.", *(f"Not found here: {each}" for each in away)])
    write_out(text, output)
    _say_warnings(pictures, output)
    click.echo(f"{_pictures(len(pictures))} in {output or 'the manifest'}", err=True)
    read.say_table()
    return 0


class _Reading:
    """Reads files, and remembers what could not be read and why."""

    def __init__(self, *, lenient: bool) -> None:
        self._lenient = lenient
        self._named: list[str] = []
        self._passed_over: Counter[str] = Counter()

    def place(self, place: Path) -> Iterator["Imported"]:
        """Yield what a file tells of, or every picture in a folder."""
        from batchgen.interop.imported import Unreadable

        named = not place.is_dir()
        for file in [place] if named else _files(place):
            try:
                yield from self._file(file, named=named)
            except Unreadable as error:
                self._fail(error.message, str(file), named=named)

    def _file(self, file: Path, *, named: bool) -> Iterator["Imported"]:
        from dataclasses import replace

        from batchgen.interop.files import read_file

        found = read_file(file)
        refused = list(dict.fromkeys(each for one in found for each in one.refused))
        if refused and not self._lenient:
            reasons = [str(each) if named else f"{each.what}: {each.reason}" for each in refused]
            self._fail("; ".join(reasons), str(file), named=named)
            return
        left_out = tuple(f"left out: {each}" for each in refused)
        yield from (replace(one, warnings=(*one.warnings, *left_out)) for one in found)

    def _fail(self, reason: str, file: str, *, named: bool) -> None:
        if named:
            self._named.append(f"{file}: {reason}")
        else:
            self._passed_over[reason] += 1

    def refuse_named(self) -> None:
        """Raise what is wrong with files that were named one by one.

        Raises:
            UsageError: at least one of them cannot be imported.
        """
        from batchgen.errors import UsageError

        for line in self._named[:-1]:
            click.echo(f"batchgen: {_line(line)}", err=True)
        if self._named:
            raise UsageError(_line(self._named[-1]))

    def say_table(self) -> None:
        """Say how many files of folders were passed over, by reason."""
        if not self._passed_over:
            return
        click.echo(f"passed over: {_pictures(self._passed_over.total())}", err=True)
        for reason, count in self._passed_over.most_common():
            click.echo(f"{count:7}  {_line(reason)}", err=True)


def _files(folder: Path) -> Iterable[Path]:
    from batchgen.interop.pictures import SUFFIXES

    found = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def write_out(text: str, output: Path | None) -> None:
    """Write a manifest into a file that is not there yet, or print it."""
    from batchgen.errors import UsageError

    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(output)) from error


def _say_warnings(pictures: "Sequence[Imported]", output: Path | None) -> None:
    """Say each warning once, with how many pictures it is of."""
    said: dict[str, list[str]] = {}
    for each in pictures:
        for warning in (*each.warnings, *_absent(each, output)):
            said.setdefault(warning, []).append(each.source)
    for warning, sources in said.items():
        several = len(set(sources)) > 1
        click.echo(_line(f"batchgen: {_pictures(len(sources)) if several else sources[0]}: {warning}"), err=True)


def _absent(picture: "Imported", output: Path | None) -> Iterator[str]:
    """Yield what a picture begins with, if that is not where the manifest will look."""
    folder = output.parent if output else Path()
    for field in ("init_image", "mask_image"):
        name = picture.recipe.get(field)
        if isinstance(name, str) and name != "alpha" and not (folder / name).is_file():
            yield f"{field} {name!r} is not beside the manifest; put it there (ComfyUI keeps it in its folder input)"


def _shelf(*, hashing: bool) -> "Shelf":
    from batchgen.settings import load_settings, parse_words

    return load_settings(parse_words([]), cwd=Path.cwd()).weights(hashing=hashing)


def _listed(places: Sequence[Path], most: int = 5) -> str:
    names = [place.name or str(place) for place in places[:most]]
    return ", ".join(names) + (f" and {len(places) - most} more" if len(places) > most else "")


def _pictures(count: int) -> str:
    return f"{count} picture{'s' if count != 1 else ''}"


def _line(text: Any) -> str:
    from batchgen.cli.screen import one_line

    return one_line(text)
