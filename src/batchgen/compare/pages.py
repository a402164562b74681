"""The sheets of a run: what came of it in, files under `sheets/` out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Final

from batchgen.compare import clips, sheet
from batchgen.compare.cutting import Bounds, parts, wrapped
from batchgen.compare.fonts import installed
from batchgen.compare.layout import SEPARATOR, Compare, Page, Shown, captioned, choose, in_rows, pages
from batchgen.compare.printing import MAX_PIXELS, MAX_SIDE, SUFFIXES, Printing, remove_others
from batchgen.compare.results import Result, Results
from batchgen.compare.sheet import Sheet, cell_of, letters
from batchgen.plan.names import slug
from batchgen.plan.sweep import label
from batchgen.store.media import is_clip

MAX_PAGES: Final = 500
"""A folder of more sheets than this is no comparison; such a run is looked at picture by picture."""


def write_pages(results: Results, sides: Compare | None, folder: Path, *, title: str, printing: Printing) -> list[Path]:
    """Write the sheets of a run, remove those of it that are no longer asked for, and return what there is.

    Args:
        results: What came of each place of the run.
        sides: Which axes go where; None: chosen by `layout.choose`.
        folder: Where the sheets go; it is made when there is something to show.
        title: Stands at the head of every sheet.
        printing: How they are printed. Without a grid, `sides` is not looked at.

    Returns:
        The files, in reading order.

    Raises:
        TryLater: no room.
        StoreError: a file cannot be written.
    """
    sides = sides or choose(results.axes, len(results.places))
    many = printing.grid and sides.page is not None and len(results.axes[sides.page]) > MAX_PAGES
    if many or not any(each.picture for each in results.places):
        return []
    installed().look_for("".join({each.prompt for each in results.places}))
    sheets = _numbered(_Planning(results, title, printing).sheets(sides, folder))
    folder.mkdir(parents=True, exist_ok=True)
    for each in sheets:
        write = clips.write if _moves(each.page) else sheet.write
        write(each)
    written = [each.path for each in sheets]
    remove_others(folder, written)
    clips.remove_other_videos(folder, written)
    return written


class _Planning:
    """Which files there will be, and what stands on each."""

    def __init__(self, results: Results, title: str, printing: Printing) -> None:
        self._results, self._printing = results, printing
        self._letters = letters()
        self._words = {"title": title, "footer": SEPARATOR.join(_constants(results)), "run": results.name}
        self._suffix = SUFFIXES[printing.format]
        self._texts: dict[str, set[str]] = {}
        for each in results.places:
            self._texts.setdefault(label(each.coordinates["prompt"]), set()).add(each.prompt)
        self._taken: set[str] = set()

    def sheets(self, sides: Compare, folder: Path) -> list[Sheet]:
        """Return the sheets in reading order."""
        shown = [_shown(each) for each in self._results.places]
        if self._printing.grid:
            laid_out = pages(shown, self._results.axes, sides)
        else:
            laid_out = [self._in_order(captioned(shown, self._results.axes))]
        return [each for page in laid_out for each in self._of(page, sides, folder)]

    def _of(self, page: Page, sides: Compare, folder: Path) -> Iterator[Sheet]:
        """Yield the sheets of a page: of one with clips the videos, and then their frames in rows."""
        name = slug(page.title) or slug(self._words["title"]) or "sheet"
        in_full = self._printing.grid and sides.page == "prompt"
        whole = replace(page, title=self._in_full(page.title)) if in_full else page
        cell, printing = self._cell(whole), self._printing
        columns = printing.columns if printing.grid else None
        kinds = [(self._suffix, whole, columns)]
        if _moves(page):
            kinds = [(self._suffix, clips.in_rows(whole), None)]
            kinds = [*([(clips.SUFFIX, whole, columns)] if clips.can_encode() else []), *kinds]
        for suffix, table, most in kinds:
            for number, part in enumerate(parts(table, cell, self._letters, _bounds(suffix), most), start=1):
                path = folder / self._free(name if number == 1 else f"{name}-{number}", suffix)
                yield Sheet(path=path, page=part, cell=cell, **self._words)

    def _in_order(self, shown: Sequence[Shown]) -> Page:
        moving = any(each.picture and is_clip(each.picture) for each in shown)
        suffix = clips.SUFFIX if moving else self._suffix
        cell = self._cell(in_rows(shown, 1))
        return wrapped(shown, cell, self._letters, _bounds(suffix), self._printing.columns)

    def _cell(self, page: Page) -> tuple[int, int]:
        sizes = [(each.width, each.height) for row in page.cells for each in row if each]
        if not _moves(page):
            return cell_of(sizes, self._printing.cell)
        asked = self._printing.cell and min(self._printing.cell, clips.MOST_CELL)
        return cell_of(sizes, asked, clips.LARGEST_CELL)

    def _in_full(self, name: str) -> str:
        """Return a prompt's name with the prompt behind it, where the name is not the prompt."""
        texts = self._texts.get(name, set())
        return name if len(texts) != 1 or texts == {name} else f"{name}: {next(iter(texts))}"

    def _free(self, stem: str, suffix: str) -> str:
        """Two prompts may have the same slug, or differ in capitals alone; the second becomes `...~2`."""
        names = chain([f"{stem}{suffix}"], (f"{stem}~{number}{suffix}" for number in count(2)))
        name = next(each for each in names if each.casefold() not in self._taken)
        self._taken.add(name.casefold())
        return name


def _numbered(sheets: Sequence[Sheet]) -> list[Sheet]:
    """Return the sheets with their numbers, videos and pictures each for themselves."""
    of, at = Counter(each.path.suffix for each in sheets), Counter[str]()
    found = []
    for each in sheets:
        kind = each.path.suffix
        at[kind] += 1
        found.append(replace(each, number=f"page {at[kind]} of {of[kind]}" if of[kind] > 1 else ""))
    return found


def _bounds(suffix: str) -> Bounds:
    if suffix == clips.SUFFIX:
        return Bounds(pixels=clips.MAX_PIXELS, side=clips.MAX_SIDE)
    return Bounds(pixels=MAX_PIXELS, side=MAX_SIDE)


def _shown(result: Result) -> Shown:
    return Shown(
        coordinates=result.coordinates,
        picture=None if result.state == "rejected" else result.picture,
        width=result.width,
        height=result.height,
        frames=result.frames,
        fps=result.fps,
        state=result.state,
        reason=result.reason,
    )


def _moves(page: Page) -> bool:
    return any(each and each.picture and is_clip(each.picture) for row in page.cells for each in row)


def _constants(results: Results) -> list[str]:
    """What all pictures have in common, so that a sheet stands alone: models, and fields that no axis varies."""
    made = [each for each in results.places if each.recipe]
    found = [", ".join(sorted({str(each.recipe["model"]) for each in made if each.recipe.get("model")}))]
    found += _one({f"{each.width}x{each.height}" for each in made})
    found += _one({f"{each.frames} frames, {each.fps:g} a second" for each in made if each.frames > 1})
    for name in ("sampler", "schedule", "steps", "guidance_scale", "seed"):
        values = {label(each.recipe[name]) for each in made if name in each.recipe}
        found += [f"{name} {value}" for value in _one(values) if name not in results.varying]
    return [each for each in found if each]


def _one(values: set[str]) -> Iterable[str]:
    return values if len(values) == 1 else ()
