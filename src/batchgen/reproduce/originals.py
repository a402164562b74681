"""What is to be made again, with what it says of itself: pictures, records, and whole run directories."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchgen.errors import StoreError, UsageError
from batchgen.store.history import history, upscaled
from batchgen.store.layout import CLIP_SUFFIXES, PICTURE_SUFFIX, RunDirectory
from batchgen.store.media import is_clip, look_at
from batchgen.store.record import LARGEST, Record, read
from batchgen.wishes import PICTURE_SUFFIXES

MOST_IN_A_BATCH = 1024
"""As many as `runtime.batch` allows. A stranger's record may claim any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A picture or clip, or the record of one, that can be understood."""

    file: Path
    """What a person named, or what was found in the run directory."""
    record: Record
    size: int
    """Pictures that went through the denoiser with it, itself included."""
    promised: str
    """The SHA-256 of the pixels that the record is of."""
    seen: str | None
    """That of the pixels in `file`, as `media.look_at` has it; None where it is a record alone."""
    stage_sizes: Mapping[str, int] = field(default_factory=dict)
    """Pictures in the batches of what it builds on, by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file from which nothing can be made again."""

    file: Path
    reason: str


def originals(places: Iterable[Path]) -> Iterator[Original | Unreadable]:
    """Yield what pictures (`.png`), clips, records and run directories hold; pictures and clips are decoded whole.

    Raises:
        UsageError: there is no such file, or a folder is no run directory.
    """
    for place in places:
        for file in _files(place):
            try:
                yield _read(file)
            except (StoreError, OSError) as error:
                yield Unreadable(file=file, reason=error.message if isinstance(error, StoreError) else str(error))


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    directory = RunDirectory(place)
    if not place.exists():
        raise UsageError("no such file", where=str(place))
    if not directory.pictures.is_dir():
        raise UsageError("no run directory: it has no pictures/", where=str(place))
    pictures = sorted(directory.pictures.glob(f"*{PICTURE_SUFFIX}"))
    pictures += sorted(path for path in directory.clips.glob("*") if path.suffix in CLIP_SUFFIXES.values())
    # Of a picture that is gone its record may still tell what its pixels were.
    past = history(directory)
    there = {each.picture for each in past.done.values() if not each.missing}
    missing = (each for each in past.done.values() if each.missing and each.id not in past.rejected)
    gone = (each for each in missing if each.picture in there or not each.picture.exists())
    return pictures + [directory.record(each.id) for each in gone]


def _read(file: Path) -> Original:
    seen = None
    if file.suffix.lower() == PICTURE_SUFFIX or is_clip(file):
        found = look_at(file)
        record, seen = found.record, found.pixel_sha256
    else:
        if not file.is_file() or file.stat().st_size > LARGEST:
            raise StoreError("is no record: no file, or far too large", where=str(file))
        record = read(file.read_bytes(), str(file))
    promised, size = _within(record, "output", "pixel_sha256"), _within(record, "execution", "batch_size")
    if not isinstance(promised, str):
        raise StoreError("the record does not say the hash of its pixels", where=str(file))
    if type(size) is not int or not 1 <= size <= MOST_IN_A_BATCH:
        raise StoreError(f"the record says no batch size from 1 to {MOST_IN_A_BATCH}", where=str(file))
    stages = _within(record, "execution", "stage_batch_sizes")
    return Original(
        file=file,
        record=record,
        size=size,
        promised=promised,
        seen=seen,
        stage_sizes={
            str(id_): count
            for id_, count in (stages.items() if isinstance(stages, dict) else ())
            if type(count) is int and 1 <= count <= MOST_IN_A_BATCH
        },
    )


def pictures_near(file: Path) -> Iterator[Path]:
    """Yield pictures that one may have begun with: those beside it, and those that its run was asked for."""
    yield from sorted(each for each in file.parent.glob("*") if each.suffix.lower() in PICTURE_SUFFIXES)
    yield from upscaled(RunDirectory(file.parent.parent))
    manifest = file.parent.parent / "manifest.yaml"
    try:
        if manifest.is_file() and manifest.stat().st_size <= LARGEST:
            for name in _NAMED.findall(manifest.read_text(encoding="utf-8")):
                place = Path(name)
                yield from sorted(place.iterdir()) if place.is_dir() else sorted(place.parent.glob(place.name))
    except (OSError, ValueError):
        return


_NAMED = re.compile(r'"(/[^"\n]+)"')
"""A path, as a run writes it into its manifest: from the root, and in quotes."""


def _within(record: Record, part: str, key: str) -> Any:
    found = record.get(part)
    return found.get(key) if isinstance(found, dict) else None
