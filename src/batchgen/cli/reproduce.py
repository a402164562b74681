"""`batchgen reproduce FILE...`: make pictures again from their records, and say how near they come."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.asking import Hashed, is_place, near, printable
from batchgen.errors import Interrupted, StoreError, UsageError

if TYPE_CHECKING:
    from batchgen.reproduce import Again, Answer, Difference
    from batchgen.settings import Settings, Words


@click.command(short_help="Make pictures again and compare them.")
@click.argument("words", nargs=-1, required=True, metavar="FILE... [KEY=VALUE]...")
@click.option("--tolerance", type=float, metavar="DB", help="Be content with a peak signal-to-noise ratio of DB.")
@click.option("--into", type=click.Path(path_type=Path), metavar="DIR", help="Where new pictures go: a new folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def reproduce(words: tuple[str, ...], tolerance: float | None, into: Path | None, as_json: bool) -> int:
    """Make pictures again from their records, in a folder of their own, and say of each: EXACT, DIFFERENT, IMPOSSIBLE.

    \b
    batchgen reproduce outputs/demo                         all pictures of a run
    batchgen reproduce a-red-circle_s0_1f2e3d4c.png         one picture, whatever its name
    batchgen reproduce records/1f2e3d4c5b6a.json            a record alone: by the hash of its pixels
    batchgen reproduce picture.png steps=40                 with something changed, to see by how much

    FILE is a picture, a record or a run directory. Weights are looked for by their digest, not by their name. What else
    differs (versions, device, threads) is said and not undone: runtime.threads=1 and the like are yours to say.
    """
    import json

    from batchgen.reproduce import asked_again, originals
    from batchgen.settings import load_settings, parse_words

    _refuse_used(into)
    said = parse_words([word for word in words if not is_place(word)])
    settings = load_settings(said, cwd=Path.cwd())
    found = originals(Path(word) for word in words if is_place(word))
    again = asked_again(found, Hashed(settings), _changes(said, settings))
    if not again:
        raise UsageError("nothing to make again: name a picture, a record, or a run directory that holds some")
    made = _made(again, settings, into)
    if as_json:
        click.echo(json.dumps(_facts(made, tolerance), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        click.echo("\n".join(_in_words(made, tolerance)))
    if made.interrupted:
        raise Interrupted("stopped; the same command begins anew")
    return 0 if all(each.within(tolerance) for each in made.answers) else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """Answers in the order of the files, and where the new pictures lie."""

    answers: "Sequence[Answer]"
    folder: Path | None
    interrupted: bool


def _refuse_used(into: Path | None) -> None:
    if into is not None and into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError("is there already; what is made again goes into a new folder", where=str(into))


def _changes(said: "Words", settings: "Settings") -> dict[str, Any]:
    """Return the fields that are to be otherwise than recorded."""
    from batchgen.plan.fields import FieldReader
    from batchgen.wishes import WISHES

    for name, values in said.fields.items():
        if name in WISHES:
            raise UsageError(f"{name} stays as recorded here; `batchgen promote` renders pictures with another")
        if len(values) != 1:
            raise UsageError("one value is meant here; a sweep is what `batchgen run` is for", where=f"{name}=...")
    reader = FieldReader(confs=settings)
    return reader.read_all({name: values[0] for name, values in said.fields.items()}, None, {})


def _made(again: "Sequence[Again | Answer]", settings: "Settings", into: Path | None) -> _Made:
    from batchgen.cli.checking import check_machine
    from batchgen.cli.progress import listener, noun
    from batchgen.preflight.heat import heat
    from batchgen.reproduce import Again, answer, plan_of, render
    from batchgen.run.until import earliest, now
    from batchgen.store.layout import RunDirectory

    possible = [each for each in again if isinstance(each, Again)]
    if not possible:
        return _Made(answers=[each for each in again if not isinstance(each, Again)], folder=None, interrupted=False)
    plan, may_begin = plan_of(possible), heat(settings.runtime)
    until = earliest(now(), lasting=None, at=settings.runtime.stop_at)
    check_machine(plan, into or settings.output.root / "reproduced", settings)
    folder = into or _next_folder(settings.output.root / "reproduced")
    show = listener(what=noun(each.job.clip for each in possible))
    rendered = render(plan, RunDirectory(folder), settings, show, until=until, may_begin=may_begin)
    answers = [answer(each, rendered) if isinstance(each, Again) else each for each in again]
    return _Made(answers=answers, folder=folder, interrupted=rendered.interrupted)


def _next_folder(root: Path) -> Path:
    """Make the first of `root`/1, `root`/2, ... that is not there."""
    for number in count(1):
        folder = root / str(number)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"cannot be written: {error.strerror}", where=str(folder)) from error
        return folder
    raise AssertionError  # there is always another number


def _in_words(made: _Made, tolerance: float | None) -> list[str]:
    from batchgen.cli.progress import count as counted
    from batchgen.cli.progress import noun
    from batchgen.store.media import is_clip

    what = noun(is_clip(each.picture or each.file) for each in made.answers)
    lines = [_line(each, tolerance) for each in made.answers]
    fields = Counter(_was_and_is(field) for each in made.answers for field in each.differences)
    if fields:
        lines.append("made otherwise than then:")
        lines += [f"  {line} ({counted(number, what)})" for line, number in fields.items()]
    verdicts = Counter(each.verdict for each in made.answers)
    where = f"; made again in {near(made.folder)}" if made.folder else ""
    total = f"{verdicts['EXACT']} of {counted(len(made.answers), what)} EXACT"
    rest = "".join(f", {verdicts[verdict]} {verdict}" for verdict in ("DIFFERENT", "IMPOSSIBLE") if verdicts[verdict])
    return [printable(line) for line in (*lines, f"{total}{rest}{where}")]


def _line(each: "Answer", tolerance: float | None) -> str:
    said = []
    if each.figures:
        share = f"{100 * each.figures.share:.2f} % of the pixels"
        said.append(f"{each.figures.psnr:.1f} dB, by {each.figures.largest} of 255 at most, {share}")
    if each.verdict == "DIFFERENT" and each.within(tolerance):
        said.append(f"within {tolerance:g} dB")
    said += [each.note] if each.note else []
    return f"{each.verdict:<10} {near(each.file)}{': ' if said else ''}{'; '.join(said)}"


def _was_and_is(difference: "Difference") -> str:
    then, now = (_short(value) for value in (difference.then, difference.now))
    return f"{difference.field} was {then}, is {now}"


def _short(value: Any) -> str:
    import json

    text = "not said" if value is None else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _facts(made: _Made, tolerance: float | None) -> dict[str, Any]:
    verdicts = Counter(each.verdict for each in made.answers)
    return {
        "directory": None if made.folder is None else str(made.folder),
        "exact": verdicts["EXACT"],
        "different": verdicts["DIFFERENT"],
        "impossible": verdicts["IMPOSSIBLE"],
        "pictures": [_fact(each, tolerance) for each in made.answers],
    }


def _fact(each: "Answer", tolerance: float | None) -> dict[str, Any]:
    apart = each.figures
    return {
        "file": str(each.file),
        "verdict": each.verdict,
        "within_tolerance": each.within(tolerance),
        "id": each.id,
        "picture": None if each.picture is None else str(each.picture),
        # JSON knows no infinity: without any difference there is no ratio.
        "psnr": None if apart is None or apart.psnr == inf else round(apart.psnr, 4),
        "largest_difference": None if apart is None else apart.largest,
        "share_of_pixels": None if apart is None else apart.share,
        "differences": [{"field": field.field, "then": field.then, "now": field.now} for field in each.differences],
        "note": each.note,
    }
