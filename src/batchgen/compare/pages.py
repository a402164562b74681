"""The sheets of a run: its sweep and its pictures in, files under `sheets/` out."""

from collections.abc import Mapping
from pathlib import Path

from batchgen.compare.layout import Compare, Shown, choose, pages
from batchgen.compare.sheet import write_sheets
from batchgen.plan.expand import Sweep
from batchgen.plan.names import slug

MAX_PAGES = 500
"""A folder of more sheets than this is no comparison; such a run is looked at picture by picture."""


def write_pages(
    sweep: Sweep, compare: Mapping[str, str], pictures: Mapping[str, Path], folder: Path, *, title: str
) -> list[Path]:
    """Write one sheet for each page of the comparison, and return their paths in reading order.

    Args:
        sweep: what was asked for.
        compare: the manifest's `compare:`; where it is empty the sides are chosen by `layout.choose`.
        pictures: the pictures that are there, by the id of their job.
        folder: where the sheets go; it is made when there is something to show.
        title: stands at the head of every sheet.
    """
    axes = {axis.name: axis.values for axis in sweep.axes}
    shown = [Shown(coordinates=cell.coordinates, picture=pictures.get(cell.job.id)) for cell in sweep.cells]
    laid_out = pages(shown, axes, Compare(**compare) if compare else choose(axes))
    if len(laid_out) > MAX_PAGES or not any(each.picture for each in shown):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    models = sorted({cell.job.model.name for cell in sweep.cells})
    footer = f"{', '.join(models)} · {len(sweep.cells)} pictures asked for"
    written: list[Path] = []
    for page in laid_out:
        name = _free(slug(page.title) or title, {path.stem for path in written})
        written += write_sheets(page, folder / f"{name}.png", title=title, footer=footer)
    return written


def _free(name: str, taken: set[str]) -> str:
    """Two prompts may have the same slug; the second becomes `...~2`."""
    if name not in taken:
        return name
    return next(each for number in range(2, len(taken) + 3) if (each := f"{name}~{number}") not in taken)
