"""Says whether the figure of a picture is striped, outlined, both or neither, by measuring pixels.

Stripes lie in rows, so a rim shows *within* rows (their ends differ from their middle) and stripes
show *between* rows. No model takes part. The picture shows one figure on one flat background.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from batchgen.demo.drawings import COLOURS, RIM, RIMS, Scene, Style, stripe_colour
from batchgen.demo.judge import NOTHING, Floats, ground_colour, likenesses, most_alike, nearest_colour

Mask = NDArray[np.bool_]

_FINE: Final = 4
"""Pictures are measured this many times larger, so that edges lie between pixels."""

_CONTRAST: Final = 50.0
"""Smallest RGB distance of two parts of a figure that are said to differ."""

_VISIBLE: Final = 30.0
"""Smallest RGB distance between a figure and its background."""

_SMALLEST: Final = 12.0
"""Smallest area of a figure, or of its core, in pixels."""

_TOLERANCE: Final = 100.0
"""Largest RGB distance of a stripe, or of what is inside a rim, from its name: narrow parts are blurred."""

_MOST: Final = 0.75
"""Share of rows, or of the pixels of a row, that is enough to speak of all."""

_EDGE: Final = 0.7
"""Share of a figure's edge that has its rim."""

_ROWS: Final = 0.8
"""Share of rows whose ends have it: a striped figure in the colour of a rim has fewer."""

_RIM_TOLERANCE: Final = 80.0
"""Largest RGB distance of a rim from its name; blue and purple are 92 apart."""

_THINNEST: Final = 1.5
"""Smallest height of a stripe in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a picture shows, and how it is dressed."""

    background: str
    """A key of `COLOURS`, or `UNCLEAR`."""

    colours: frozenset[str]
    """The colours inside the figure: one, or the two of its stripes."""

    shape: str
    """A key of `CONTOURS`, or `UNCLEAR`, or `NOTHING`."""

    styles: frozenset[Style]
    """What was found of "striped" and "outlined"."""


def wanted_look(scene: Scene) -> Look:
    """Return what a picture of the scene, of one figure, should show."""
    figure = scene.figures[0]
    stripe = {stripe_colour(figure.colour, scene.background)} if "striped" in scene.styles else set()
    return Look(
        background=scene.background,
        colours=frozenset({figure.colour} | stripe),
        shape=figure.shape,
        styles=scene.styles,
    )


def look_at(image: Image.Image) -> Look:
    """Return what the picture shows."""
    large = image.convert("RGB").resize((image.width * _FINE, image.height * _FINE), Image.Resampling.BILINEAR)
    pixels = np.asarray(large, dtype=np.float64)
    ground = ground_colour(pixels)
    figure = _apart(pixels, ground)
    if figure.sum() < _SMALLEST * _FINE**2:
        return Look(background=nearest_colour(ground), colours=frozenset(), shape=NOTHING, styles=frozenset())
    depth = ndimage.distance_transform_edt(figure) / _FINE
    rim = _rim(pixels, depth, nearest_colour(ground))
    inside = figure if rim is None else _within(pixels, depth, rim)
    stripes = _stripes(pixels, inside, rim)
    found: dict[Style, bool] = {"striped": len(stripes) == 2, "outlined": rim is not None}
    return Look(
        background=nearest_colour(ground),
        colours=frozenset(stripes),
        shape=most_alike(likenesses(_reduced(inside))),
        styles=frozenset(style for style, seen in found.items() if seen),
    )


def _apart(pixels: Floats, colour: Floats) -> Mask:
    """Return what is not of this colour: at least half as far from it as what is next to it, or far."""
    distance = np.linalg.norm(pixels - colour, axis=-1)
    around = ndimage.maximum_filter(distance, size=5 * _FINE)
    return np.asarray((distance > _VISIBLE) & (distance > np.minimum(around / 2, _CONTRAST)))


def _rim(pixels: Floats, depth: Floats, background: str) -> Floats | None:
    """Return the colour of the rim: all along the edge one of it is near, and inside is another."""
    edge_from = 1.0
    edge = (depth > edge_from) & (depth < RIM - 1.5)
    for name in RIMS:
        colour = np.asarray(COLOURS[name], dtype=np.float64)
        distance = np.linalg.norm(pixels - colour, axis=-1)
        # Where two colours meet, their mixture may look like a third: what is not within the figure does not count.
        shown = np.where(depth > edge_from, distance, np.inf)
        near = ndimage.minimum_filter(shown, size=2 * _FINE + 1) < _RIM_TOLERANCE
        inside = (depth > RIM / 2) & (distance > _RIM_TOLERANCE)
        if name != background and _all_along(edge, near) and inside.sum() > _SMALLEST * _FINE**2:
            return colour
    return None


def _all_along(edge: Mask, near: Mask) -> bool:
    """Say whether the rim is along most of the edge, and in most rows: in those of a stripe it would not be."""
    if not edge.any():
        return False
    rows = edge.any(axis=1)
    shares = (edge & near)[rows].sum(axis=1) / edge[rows].sum(axis=1)
    return bool(near[edge].mean() > _EDGE and (shares > 0.5).mean() > _ROWS)


def _within(pixels: Floats, depth: Floats, rim: Floats) -> Mask:
    """Return the figure without its rim."""
    return np.asarray((depth > RIM / 2) & _apart(pixels, rim))


def _stripes(pixels: Floats, inside: Mask, rim: Floats | None) -> tuple[str, ...]:
    """Return the names of the stripes' colours, or of the one colour of a figure without.

    Where a rim runs along a row, it darkens the row: such rows are no stripes.
    """
    deep = ndimage.distance_transform_edt(inside) / _FINE > 1.25
    deep = deep if deep.any() else inside
    whole = (nearest_colour(_median(pixels[deep]), _TOLERANCE),)
    rows = np.flatnonzero(deep.sum(axis=1) >= 2 * _FINE)
    if not len(rows):
        return whole
    colours = np.stack([_median(pixels[y][deep[y]]) for y in rows])
    if rim is not None:
        clear = np.linalg.norm(colours - rim, axis=-1) > _RIM_TOLERANCE
        rows, colours = rows[clear], colours[clear]
    if len(rows) < 3 * _THINNEST * _FINE:
        return whole
    first, second = _two(colours)
    nearer = np.linalg.norm(colours - first, axis=-1) < np.linalg.norm(colours - second, axis=-1)
    far = [np.linalg.norm(pixels[y][deep[y]] - row, axis=-1) for y, row in zip(rows, colours, strict=True)]
    even = np.mean([(distances < _CONTRAST).mean() for distances in far])
    names = (nearest_colour(first, _TOLERANCE), nearest_colour(second, _TOLERANCE))
    striped = names[0] != names[1] and np.linalg.norm(first - second) > _CONTRAST and even > _MOST
    return names if striped and _runs(nearer) >= 3 else whole


def _two(colours: Floats) -> tuple[Floats, Floats]:
    """Return the two colours that a list of colours, from the first to the last row, gathers around."""
    middle = colours - colours.mean(axis=0)
    axis = np.linalg.svd(middle, full_matrices=False)[2][0]
    place = middle @ axis
    split = (place.max() + place.min()) / 2
    if place.max() - place.min() < 1:
        return colours[0], colours[0]
    return _median(colours[place > split]), _median(colours[place <= split])


def _runs(labels: Mask) -> int:
    """Count runs of equal labels that are as high as a stripe."""
    edges = np.flatnonzero(np.diff(labels.astype(np.int8))) + 1
    lengths = np.diff([0, *edges, len(labels)])
    kept = labels[np.array([0, *edges])][lengths >= _THINNEST * _FINE]
    return 1 + int((np.diff(kept.astype(np.int8)) != 0).sum()) if len(kept) else 0


def _reduced(mask: Mask) -> Floats:
    """Return the share of each pixel of the picture that the mask covers, 0..1."""
    height, width = (side // _FINE for side in mask.shape)
    covered: Floats = mask.reshape(height, _FINE, width, _FINE).mean(axis=(1, 3))
    return covered


def _median(colours: Floats) -> Floats:
    median: Floats = np.median(colours, axis=0)
    return median
