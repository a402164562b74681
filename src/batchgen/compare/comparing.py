"""One comparison, whole: what `batchgen compare` makes, and what a run leaves when it ends.

Results are read once; sheets, gallery, charts and `compare.csv` show the same. No lock is taken: all that is written
can be written again, and a run may be under way.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from batchgen.compare.changes import stray_sentence
from batchgen.compare.charts.draw import Charts, draw_charts, said
from batchgen.compare.charts.drawing import Chart
from batchgen.compare.facts import Extras, Numbers
from batchgen.compare.gallery import Wanted, write_gallery
from batchgen.compare.identical import said_of_same, same
from batchgen.compare.layout import Compare, choose
from batchgen.compare.metrics import Differences, differences
from batchgen.compare.own import Own, measured_by
from batchgen.compare.pages import write_pages
from batchgen.compare.printing import Printing
from batchgen.compare.references import read_against
from batchgen.compare.results import Results, read_results
from batchgen.compare.table import Measured, write_table
from batchgen.compare.two_runs import pair, sentences
from batchgen.errors import UsageError, unknown_name
from batchgen.manifest import Comparing
from batchgen.settings import Output
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import said_plainly, write_atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to come of a comparison."""

    how: Comparing = field(default_factory=Comparing)
    """Axes, reference and sizes."""
    output: Output = field(default_factory=Output)
    """Of it: whether there are sheets and a gallery, the sheets' format, the program that judges pictures."""
    into: Path | None = None
    """A folder for a gallery that stands alone; then nothing else is written."""
    charts: bool = True
    """Whether charts are drawn, which takes some seconds; what they say is said either way."""
    small: bool = False
    """Whether that holds thumbnails and no pictures."""
    where: str = "--against"
    """What to call the place where the reference is said, in an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of it."""

    results: Results
    gallery: Path | None = None
    """Its page."""
    sheets: Sequence[Path] = ()
    table: Path | None = None
    findings: Sequence[str] = ()
    warnings: Sequence[str] = ()


def compare_run(directory: RunDirectory, wish: Wish) -> Compared:
    """Compare what a run made.

    Raises:
        UsageError: it is no run directory, or has no such axis or reference.
        TryLater: no room.
        StoreError: a file cannot be written.
    """
    results = read_results(directory)
    see_axes(wish.how, results)
    found = differences(results, read_against(wish.how.against, results, where=wish.where), directory)
    own = _own(results, found, directory, wish)
    measured = Measured(differences=found, same=same(results), own=own.columns)
    drawn = draw_charts(results, found) if wish.charts else Charts(charts=(), findings=said(results, found))
    findings = (*drawn.findings, *said_of_same(results), *filter(None, [stray_sentence(results)]))
    extras = extras_of(measured, findings)
    wanted = Wanted(sides=sides(wish.how, results), grid=wish.how.grid, copied=wish.into is not None, small=wish.small)
    warnings = [own.warning] if own.warning else []
    if wish.into is not None:
        page = write_gallery(results, wish.into, wanted, extras, drawn.charts)
        return Compared(results=results, gallery=page, findings=findings, warnings=warnings)
    return Compared(
        results=results,
        sheets=_sheets(results, directory, wish, drawn.charts) if wish.output.sheets else (),
        table=write_table(results, measured, directory.comparison),
        gallery=write_gallery(results, directory.gallery, wanted, extras, drawn.charts)
        if wish.output.gallery
        else None,
        findings=findings,
        warnings=warnings,
    )


def compare_two(one: RunDirectory, other: RunDirectory, wish: Wish) -> Compared:
    """Compare what two runs made, picture by picture, each measured against its like in the first.

    It is left in a folder beside the first run, `A_vs_B`.

    Raises:
        UsageError: one is no run directory, or has no such axis; or that folder is a run directory itself.
        TryLater: no room.
        StoreError: a file cannot be written.
    """
    two = pair(read_results(one), read_results(other))
    results = two.results
    see_axes(wish.how, results)
    found = differences(results, two.against, one)
    own = _own(results, found, one, wish)
    measured = Measured(differences=found, same=same(results), own=own.columns)
    findings = sentences(two, found)
    chosen = sides(wish.how, results) if wish.how.sides else two.sides
    alone = wish.into is not None
    wanted = Wanted(sides=chosen, grid=wish.how.grid, copied=alone, run_axis=two.axis, small=wish.small)
    extras = extras_of(measured, findings)
    warnings = [own.warning] if own.warning else []
    if wish.into is not None:
        page = write_gallery(results, wish.into, wanted, extras)
        return Compared(results=results, gallery=page, findings=findings, warnings=warnings)
    beside = RunDirectory(one.root.resolve().parent / f"{two.names[0]}_vs_{two.names[1]}")
    if beside.hidden.exists():
        raise UsageError("is a run directory; say --into DIR", where=str(beside.root))
    for path, reason in beside.obstacles():
        raise UsageError(reason, where=str(path))
    with said_plainly(beside.root):
        beside.root.mkdir(exist_ok=True)
    return Compared(
        results=results,
        sheets=_sheets(results, beside, replace(wish, how=replace(wish.how, **asdict(chosen))))
        if wish.output.sheets
        else (),
        table=write_table(results, measured, beside.comparison),
        gallery=write_gallery(results, beside.gallery, wanted, extras) if wish.output.gallery else None,
        findings=findings,
        warnings=warnings,
    )


def see_axes(how: Comparing, results: Results) -> None:
    """Refuse an axis that the run does not have: UsageError."""
    for side, axis in how.sides.items():
        if axis not in results.axes:
            raise UsageError(unknown_name("axis", axis, results.axes), where=f"--{side}")


def sides(how: Comparing, results: Results) -> Compare:
    """Return which axes go where, chosen where nobody said it."""
    return Compare(**how.sides) if how.sides else choose(results.axes, len(results.places))


def extras_of(measured: Measured, findings: Sequence[str]) -> Extras:
    """Return what was measured as a gallery shows it."""
    found = measured.differences
    own = [Numbers(name=name, kind="own", numbers=numbers) for name, numbers in measured.own.items()]
    if not found.text:
        return Extras(columns=own, same=measured.same, findings=findings)
    psnr = Numbers(name="psnr", kind="metric", numbers=found.psnr, unit="dB", better="more")
    ssim = Numbers(name="ssim", kind="metric", numbers=found.ssim, better="more")
    return Extras(
        columns=[psnr, ssim, *own],
        reference=found.reference,
        reference_text=found.text,
        same=measured.same,
        findings=findings,
    )


def _own(results: Results, found: Differences, directory: RunDirectory, wish: Wish) -> Own:
    command = wish.output.metrics
    return measured_by(command, results, found.reference, directory) if command else Own(columns={})


def _sheets(results: Results, directory: RunDirectory, wish: Wish, charts: Sequence[Chart] = ()) -> list[Path]:
    how = wish.how
    printing = Printing(format=wish.output.sheet_format, cell=how.cell, columns=how.columns, grid=how.grid)
    chosen = Compare(**how.sides) if how.sides else None
    written = write_pages(results, chosen, directory.sheets, title=results.name, printing=printing)
    for chart in charts:
        path = directory.charts / f"{chart.name}.png"
        with said_plainly(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, chart.png, path.parent)
    return written
