"""How far each picture is from its reference: PSNR in RGB, and SSIM of the luma as in Wang et al. 2004.

What cannot be measured has no number and is never an error: a picture that is missing or torn, of another size or
length than its reference, or, for SSIM, with a side of less than 11 pixels.
"""

import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from batchgen.compare.references import Against, references
from batchgen.compare.remembered import Pair, Remembered
from batchgen.compare.results import Result, Results
from batchgen.engine import Pixels
from batchgen.errors import BatchgenError
from batchgen.store import media
from batchgen.store.layout import RunDirectory

SMALLEST = 11
"""Pixels of a side of the window that SSIM slides over a picture: a Gaussian of sigma 1.5, cut off at 3.5 sigma."""

_TOGETHER = 32
"""Pictures that one thread compares with a reference it has decoded once."""

_LUMA = np.array([0.299, 0.587, 0.114])
"""Of R, G and B, as in Rec. 601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How far each place's picture is from its reference."""

    reference: tuple[int, ...]
    """By place: the number of the place it is measured against, -1 for none."""
    psnr: tuple[float | None, ...]
    """By place: dB, infinite where not a pixel differs; None where nothing could be measured."""
    ssim: tuple[float | None, ...]
    """By place: -1 to 1, which only equal pictures reach; None as above."""
    text: str = ""
    """What the references are, for people; empty where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A reference, and pictures that are measured against it, by the hashes of their pixels."""

    reference: Result
    pictures: tuple[Result, ...]


def differences(results: Results, against: Against | None, directory: RunDirectory) -> Differences:
    """Measure every picture of a run against its reference, on all cores; what was measured before is remembered.

    Args:
        results: The run.
        against: What `references.read_against` returned.
        directory: Where it is, and remembers.
    """
    places, of = results.places, references(results, against)
    remembered = Remembered(directory)
    wanted = {
        (places[reference].pixel_sha256, place.pixel_sha256): (places[reference], place)
        for place, reference in zip(places, of, strict=True)
        if reference >= 0 and _comparable(place, places[reference])
    }
    found: dict[tuple[str, str], Pair] = {key: (math.inf, 1.0) for key in wanted if key[0] == key[1]}
    found |= {key: pair for key in wanted if key not in found and (pair := remembered.difference(*key))}
    for key, pair in _measured(pair for key, pair in wanted.items() if key not in found):
        found[key] = pair
        if math.isfinite(pair[0]):
            remembered.add_difference(*key, pair)
    remembered.forget_all_but({place.pixel_sha256 for place in places})
    remembered.save()
    pairs = [
        found.get((places[reference].pixel_sha256, place.pixel_sha256)) if reference >= 0 else None
        for place, reference in zip(places, of, strict=True)
    ]
    return Differences(
        reference=of,
        psnr=tuple(pair and pair[0] for pair in pairs),
        ssim=tuple(pair and pair[1] for pair in pairs),
        text=against.text if against else "",
    )


def difference(reference: Iterable[Pixels], picture: Iterable[Pixels]) -> Pair:
    """Return PSNR and SSIM of a picture, or of the frames of a clip; of those, of all pixels and as the mean.

    Args:
        reference: Height x width x 3 each.
        picture: As many, of the same size.

    Raises:
        ValueError: they are not, or there are none.
        StoreError: one of them cannot be decoded.
    """
    from skimage.metrics import mean_squared_error

    errors, likenesses = [], []
    for first, second in zip(reference, picture, strict=True):
        if first.shape != second.shape:
            raise ValueError(first.shape, second.shape)
        errors.append(float(mean_squared_error(first, second)))
        if min(first.shape[:2]) >= SMALLEST:
            likenesses.append(_likeness(first, second))
    error = fmean(errors)
    psnr = 10 * math.log10(255**2 / error) if error else math.inf
    return psnr, fmean(likenesses) if likenesses else None


def _likeness(one: Pixels, other: Pixels) -> float:
    from skimage.metrics import structural_similarity

    # The settings of Wang et al. 2004, equation 13, and of their own program.
    return float(
        structural_similarity(
            one @ _LUMA, other @ _LUMA, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def _comparable(place: Result, reference: Result) -> bool:
    def shape(each: Result) -> tuple[int, int, int]:
        return each.width, each.height, each.frames

    there = all(each.state == "made" and each.picture and each.pixel_sha256 for each in (place, reference))
    return there and shape(place) == shape(reference)


def _measured(pairs: Iterable[tuple[Result, Result]]) -> Iterator[tuple[tuple[str, str], Pair]]:
    """Yield what could be measured of pairs of reference and picture, by the hashes of both."""
    tasks = [*_tasks(pairs)]
    if not tasks:
        return
    # Before the threads: an import that several begin at once is where libraries break.
    import skimage.metrics

    del skimage
    with ThreadPoolExecutor(os.cpu_count(), "metrics") as pool:
        for task, numbers in zip(tasks, pool.map(_compare, tasks), strict=True):
            for picture, pair in zip(task.pictures, numbers, strict=True):
                if pair is not None:
                    yield (task.reference.pixel_sha256, picture.pixel_sha256), pair


def _tasks(pairs: Iterable[tuple[Result, Result]]) -> Iterator[_Task]:
    by_reference: dict[str, tuple[Result, list[Result]]] = {}
    for reference, picture in pairs:
        by_reference.setdefault(reference.pixel_sha256, (reference, []))[1].append(picture)
    for reference, pictures in by_reference.values():
        for start in range(0, len(pictures), _TOGETHER):
            yield _Task(reference=reference, pictures=tuple(pictures[start : start + _TOGETHER]))


def _compare(task: _Task) -> list[Pair | None]:
    """Compare pictures with their reference; clips frame by frame, so that no clip is in memory whole."""
    reference = _path(task.reference)
    if media.is_clip(reference):
        return [_unless_torn(reference, _path(picture)) for picture in task.pictures]
    try:
        (first,) = media.frames(reference)
    except (BatchgenError, OSError, ValueError):
        return [None] * len(task.pictures)
    return [_unless_torn(first, _path(picture)) for picture in task.pictures]


def _path(place: Result) -> Path:
    if place.picture is None:
        raise ValueError(place.id)
    return place.picture


def _unless_torn(reference: Path | Pixels, picture: Path) -> Pair | None:
    try:
        if not isinstance(reference, Path):
            return difference([reference], media.frames(picture))
        return difference(media.frames(reference), media.frames(picture))
    except (BatchgenError, OSError, ValueError):  # whatever is wrong with one file, the others have their numbers
        return None
