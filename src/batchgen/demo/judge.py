"""Says what a picture shows: background, colour and shape of one figure, by measuring pixels.

No model of the demo's own training takes part, so the judge cannot share its mistakes. It works on
a picture of any size that shows one flat figure on one flat background without touching the edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from batchgen.demo.drawings import COLOURS, CONTOURS, OVERSAMPLING, Contour

Floats = NDArray[np.float64]

NOTHING: Final = "nothing"
"""The name of a figure, or its colour, where a picture shows none."""

UNCLEAR: Final = "unclear"
"""The name of a colour or a shape that is too far from every known one."""

_TOLERANCE: Final = 30.0
"""Largest RGB distance of a colour from its name: twice what `JITTER` makes of a drawing's colour."""

_LIKENESS: Final = 0.8
"""Smallest overlap with a shape that goes by its name. Drawings have 0.94 or more."""

_BORDER: Final = 2
"""Width in pixels of the frame that counts as background."""

_CONTRAST: Final = 24.0
"""Smallest RGB distance between a figure and its background."""

_SMALLEST: Final = 12.0
"""Smallest area of a figure in pixels."""

_STRETCHES: Final = (0.94, 1.0, 1.06)
"""Templates are tried at these multiples of the radius that gives the mask's area."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a picture shows, in the words of the drawings."""

    background: str
    """A key of `COLOURS`, or `UNCLEAR`."""

    foreground: str
    """A key of `COLOURS`, or `UNCLEAR`, or `NOTHING`."""

    shape: str
    """A key of `CONTOURS`, or `UNCLEAR`, or `NOTHING`."""


def judge(image: Image.Image) -> Verdict:
    """Return what the picture shows."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    ground = ground_colour(pixels)
    colour = foreground_colour(pixels, ground)
    if colour is None:
        return Verdict(background=nearest_colour(ground), foreground=NOTHING, shape=NOTHING)
    mask = coverage(pixels, ground, colour)
    scores = likenesses(mask)
    return Verdict(background=nearest_colour(ground), foreground=nearest_colour(colour), shape=most_alike(scores))


def agrees(
    verdict: Verdict, *, background: str | None = None, foreground: str | None = None, shape: str | None = None
) -> bool:
    """Say whether the verdict is what was asked for; `None` means it was not asked."""
    wanted = ((background, verdict.background), (foreground, verdict.foreground), (shape, verdict.shape))
    return all(asked in (None, seen) for asked, seen in wanted)


def nearest_colour(rgb: Floats, tolerance: float = _TOLERANCE) -> str:
    """Return the named colour at the smallest Euclidean distance in RGB, or `UNCLEAR` if that is large."""
    distances = {name: float(np.linalg.norm(rgb - np.asarray(known))) for name, known in COLOURS.items()}
    nearest = min(distances, key=lambda name: distances[name])
    return nearest if distances[nearest] <= tolerance else UNCLEAR


def most_alike(scores: Mapping[str, float]) -> str:
    """Return the shape that overlaps the mask best, or `UNCLEAR` if none does well."""
    if not scores:
        return NOTHING
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= _LIKENESS else UNCLEAR


def ground_colour(pixels: Floats) -> Floats:
    """Return the median colour of the frame."""
    frame = np.ones(pixels.shape[:2], dtype=bool)
    frame[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    median: Floats = np.median(pixels[frame], axis=0)
    return median


def foreground_colour(pixels: Floats, ground: Floats) -> Floats | None:
    """Return the median colour of what clearly is not background, or None; pixels of any shape (..., 3)."""
    distance = np.linalg.norm(pixels - ground, axis=-1)
    peak = float(np.quantile(distance, 1 - _SMALLEST / distance.size))
    if peak < _CONTRAST:
        return None
    median: Floats = np.median(pixels[distance > 0.6 * peak], axis=0)
    return median


def coverage(pixels: Floats, ground: Floats, colour: Floats) -> Floats:
    """Return how much of each pixel is figure, 0..1: its place on the line between both colours."""
    axis = colour - ground
    share: Floats = (pixels - ground) @ axis / (axis @ axis)
    return np.clip((share - 0.15) / 0.7, 0.0, 1.0)  # the ends are noise, not figure


def likenesses(mask: Floats) -> Mapping[str, float]:
    """Return for each shape how well it covers the mask: intersection over union, 0..1."""
    area = float(mask.sum())
    if area < _SMALLEST:
        return {}
    rows, columns = np.indices(mask.shape)
    centre = (float((columns * mask).sum()) / area + 0.5, float((rows * mask).sum()) / area + 0.5)
    return {shape: _likeness(mask, shape, area, centre) for shape in CONTOURS}


def _likeness(mask: Floats, shape: str, area: float, centre: tuple[float, float]) -> float:
    """Return the best overlap of the mask with one shape of about its area at its centre of mass."""
    unit_area, (shift_x, shift_y) = _moments(shape)
    best = 0.0
    for stretch in _STRETCHES:
        radius = stretch * (area / unit_area) ** 0.5
        x, y = centre[0] - radius * shift_x, centre[1] - radius * shift_y
        template = silhouette(shape, x, y, radius, (mask.shape[1], mask.shape[0]))
        both, either = np.minimum(mask, template).sum(), np.maximum(mask, template).sum()
        best = max(best, float(both / either))
    return best


def silhouette(shape: str, x: float, y: float, radius: float, size: tuple[int, int]) -> Floats:
    """Return the coverage of a filled shape, 0..1, of shape (height, width); `size` is (width, height)."""
    scale = OVERSAMPLING
    picture = Image.new("L", (size[0] * scale, size[1] * scale), 0)
    pen = ImageDraw.Draw(picture)
    for depth, contour in enumerate(CONTOURS[shape]):
        points = [(scale * (x + radius * px), scale * (y + radius * py)) for px, py in contour]
        pen.polygon(points, fill=0 if depth else 255)
    return np.asarray(picture.reduce(scale), dtype=np.float64) / 255.0


@cache
def _moments(shape: str) -> tuple[float, tuple[float, float]]:
    """Return area and centre of mass of a shape of radius 1."""
    solid, *holes = (_polygon_moments(contour) for contour in CONTOURS[shape])
    area = solid[0] - sum(hole[0] for hole in holes)
    x = (solid[1] - sum(hole[1] for hole in holes)) / area
    y = (solid[2] - sum(hole[2] for hole in holes)) / area
    return area, (x, y)


def _polygon_moments(contour: Contour) -> tuple[float, float, float]:
    """Return area and first moments of a polygon by the shoelace formula."""
    area = first_x = first_y = 0.0
    for (x0, y0), (x1, y1) in zip(contour, contour[1:] + contour[:1], strict=True):
        turn = x0 * y1 - x1 * y0
        area += turn / 2
        first_x += (x0 + x1) * turn / 6
        first_y += (y0 + y1) * turn / 6
    sign = 1.0 if area > 0 else -1.0
    return sign * area, sign * first_x, sign * first_y
