"""The gallery: a folder with `index.html` and its data, to be opened from a disk or put on any static host.

`index.html` and `page/` are plain files that ship with batchgen and ask nobody for anything; what a run adds is
`data.js`, `live.js`, thumbnails and charts.
"""

import hashlib
import json
import os
import shutil
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchgen import __version__
from batchgen.compare.charts.drawing import Chart
from batchgen.compare.facts import Extras, Shape, address_from, facts
from batchgen.compare.layout import Compare
from batchgen.compare.results import Results
from batchgen.compare.thumbnails import embedded_thumbnails, keep_thumbnails
from batchgen.errors import StoreError
from batchgen.store.publish import said_plainly

INDEX = "index.html"
DATA, LIVE = "data.js", "live.js"
_VERSION = "// "
"""Begins the first line of the data, which says its version."""
_THUMBS, _CHARTS, _ORIGINALS = "thumbs", "charts", "pictures"
_PAGE = "page"
_SHIPPED = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What kind of gallery it is to be."""

    sides: Compare
    grid: bool = True
    """Whether the page begins with rows and columns."""
    copied: bool = False
    """Whether the pictures are copied into the folder, so that it stands alone."""
    run_axis: str | None = None
    """The axis that says of which run a place is, where there are two."""
    small: bool = False
    """Whether it holds small thumbnails and nothing else, all in `data.js`."""


def write_gallery(results: Results, folder: Path, wanted: Wanted, extras: Extras, charts: Sequence[Chart] = ()) -> Path:
    """Write the gallery of `results` into `folder`, or bring it up to date, and return its page.

    Files are replaced whole, the data after all that it names, so that a page that is open never sees half of anything.

    Raises:
        TryLater: no room.
        StoreError: the folder cannot be written.
    """
    with said_plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _see_real(folder)
        (folder / _PAGE).mkdir(exist_ok=True)
        for source in (*sorted((_SHIPPED / _PAGE).iterdir()), _SHIPPED / INDEX):
            _write(folder / source.relative_to(_SHIPPED), source.read_bytes())
        extras = replace(extras, charts=_charts(charts, folder, embedded=wanted.small))
        told = facts(results, _shape(results, folder, wanted), extras)
        told |= {"made_with": f"batchgen {__version__}", "version": _version(told)}
        # A text in a text: a record may have a key `__proto__`, which means something in an object of JavaScript.
        text = json.dumps(json.dumps(told, separators=(",", ":"), allow_nan=False))
        _write(folder / DATA, f"{_VERSION}{told['version']}\nglobalThis.batchgenData = JSON.parse({text});\n".encode())
    return folder / INDEX


def write_live(folder: Path, progress: Mapping[str, Any] | None) -> None:
    """Tell pages that are open which data is the newest, and how far a run is; None: none is under way.

    Raises:
        OSError: it cannot be written.
    """
    told = {"version": _version_in(folder), "running": progress is not None, **(progress or {})}
    _write(folder / LIVE, f"globalThis.batchgenLive?.({json.dumps(told)});\n".encode())


def _version_in(folder: Path) -> str | None:
    try:
        with (folder / DATA).open(encoding="utf-8") as file:
            first = file.readline(len(_VERSION) + 17)
    except (OSError, ValueError):
        return None
    return first.removeprefix(_VERSION).strip() if first.startswith(_VERSION) else None


def _see_real(folder: Path) -> None:
    """Refuse links in place of folders: what is in there is replaced and removed, and a stranger may have made them."""
    for path in (folder, *(folder / name for name in (_PAGE, _THUMBS, _CHARTS, _ORIGINALS))):
        if path.is_symlink():
            raise StoreError("is a symbolic link, and batchgen writes and deletes there; move it away", where=str(path))


def _version(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _shape(results: Results, folder: Path, wanted: Wanted) -> Shape:
    if wanted.small:
        thumbs: Mapping[str, str] = embedded_thumbnails(results.places)
    else:
        thumbs = {name: f"{_THUMBS}/{name}" for name in keep_thumbnails(results.places, folder / _THUMBS)}
    return Shape(
        sides=wanted.sides, grid=wanted.grid, thumbs=thumbs, address=_address(folder, wanted), run_axis=wanted.run_axis
    )


def _address(folder: Path, wanted: Wanted) -> Callable[[Path], str] | None:
    if wanted.small:
        return None
    if not wanted.copied:
        return address_from(folder)
    places: dict[Path, Path] = {}

    def copied(path: Path) -> str:
        # Pictures of two runs may have the same names.
        number = len(places) + 1
        place = places.setdefault(
            path.parent.parent, folder / (_ORIGINALS if number == 1 else f"{_ORIGINALS}-{number}")
        )
        place.mkdir(exist_ok=True)
        target = place / path.name
        if not target.exists() or target.stat().st_size != path.stat().st_size:
            shutil.copyfile(path, target)
        return address_from(folder)(target)

    return copied


def _charts(charts: Sequence[Chart], folder: Path, *, embedded: bool) -> list[dict[str, str]]:
    found = []
    for each in charts:
        data = each.svg.encode()
        if embedded:
            place = f"data:image/svg+xml;base64,{b64encode(data).decode()}"
        else:
            (folder / _CHARTS).mkdir(exist_ok=True)
            place = f"{_CHARTS}/{each.name}.svg"
            _write(folder / place, data)
        found.append({"title": each.title, "file": place, "text": each.text})
    return found


def _write(path: Path, data: bytes) -> None:
    """Replace a file whole; one that says the same stays. Not synced: all of it can be written again."""
    if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
        return
    fresh = path.with_name(f"{os.getpid()}-{path.name}.part")
    fresh.write_bytes(data)
    fresh.replace(path)
