"""The sheets of a run: its sweep and its pictures in, files under `sheets/` out."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from batchgen.compare.clips import shown_by, write_clip_sheets
from batchgen.compare.layout import Compare, Page, Shown, choose, pages
from batchgen.compare.sheet import remove_others, write_sheets
from batchgen.plan.expand import Sweep
from batchgen.plan.names import slug
from batchgen.plan.sweep import label
from batchgen.store.media import is_clip

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
    sides = Compare(**compare) if compare else choose(axes, len(sweep.cells))
    shown = [Shown(coordinates=cell.coordinates, picture=pictures.get(cell.job.id)) for cell in sweep.cells]
    if (sides.page and len(axes[sides.page]) > MAX_PAGES) or not any(each.picture for each in shown):
        return []
    laid_out = pages(shown, axes, sides)
    folder.mkdir(parents=True, exist_ok=True)
    footer = " · ".join(_constants(sweep))
    written: list[Path] = []
    for page in laid_out:
        name = _free(slug(page.title) or title, {path.stem for path in written})
        shown_page = replace(page, title=_in_full(page.title, sweep) if sides.page == "prompt" else page.title)
        write = write_clip_sheets if _moves(page) else write_sheets
        written += write(shown_page, folder / f"{name}.png", title=title, footer=footer)
    remove_others(folder, written)
    for path in set(folder.glob("*.mp4")) - set(written):
        if shown_by(path) is not None:
            path.unlink()
    return written


def _moves(page: Page) -> bool:
    return any(each and each.picture and is_clip(each.picture) for row in page.cells for each in row)


def _in_full(name: str, sweep: Sweep) -> str:
    """A prompt's name with the prompt behind it, where the name is not the prompt."""
    texts = {cell.job.text.prompt for cell in sweep.cells if cell.coordinates["prompt"] == name}
    return name if len(texts) != 1 or texts == {name} else f"{name}: {texts.pop()}"


def _constants(sweep: Sweep) -> list[str]:
    """What all pictures have in common, so that a sheet stands alone: models, and fields that no axis varies."""
    jobs = [cell.job for cell in sweep.cells]
    sizes = {f"{job.canvas.width}x{job.canvas.height}" for job in jobs}
    found = [", ".join(sorted({job.model.name for job in jobs})), *(sizes if len(sizes) == 1 else ())]
    lengths = {f"{job.motion.frames} frames, {job.motion.fps:g} a second" for job in jobs if job.clip}
    found += lengths if len(lengths) == 1 else ()
    for name in ("sampler", "schedule", "steps", "guidance_scale"):
        values = {getattr(job.sampling, name) for job in jobs}
        found += [f"{name} {label(value)}" for value in values if len(values) == 1]
    seeds = {job.seed for job in jobs}
    return [*found, *(f"seed {seed}" for seed in seeds if len(seeds) == 1)]


def _free(name: str, taken: set[str]) -> str:
    """Two prompts may have the same slug; the second becomes `...~2`."""
    if name not in taken:
        return name
    return next(each for number in range(2, len(taken) + 3) if (each := f"{name}~{number}") not in taken)
