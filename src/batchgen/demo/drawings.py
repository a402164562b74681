"""The drawings the demo models learn: flat shapes on a flat background, and their captions.

A `Scene` holds every number of a drawing, so drawing the same scene twice gives the same pixels.
All lengths are pixels of the 64 x 64 picture, x to the right and y downwards. What is random is
sampled from the `random.Random` the caller brings.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from types import MappingProxyType
from typing import Final, Literal

from PIL import Image, ImageDraw

RGB = tuple[int, int, int]
Point = tuple[float, float]
Contour = tuple[Point, ...]
Layout = Literal["one", "two", "three", "pair"]
Split = Literal["seen", "held-out", "any"]
Style = Literal["striped", "outlined"]

CANVAS: Final = 64
"""Width and height of a drawing in pixels."""

OVERSAMPLING: Final = 4
"""Drawings are made this many times larger and averaged down, which smooths their edges."""

COLOURS: Final = MappingProxyType(
    {
        "red": (220, 40, 40),
        "orange": (245, 140, 30),
        "yellow": (250, 220, 50),
        "green": (50, 165, 70),
        "cyan": (70, 205, 220),
        "blue": (45, 80, 210),
        "purple": (130, 60, 180),
        "pink": (250, 150, 190),
        "white": (245, 245, 245),
        "black": (22, 22, 22),
    }
)
"""Name to sRGB; a drawing varies each channel by up to `JITTER`."""

JITTER: Final = 8
"""Largest change of a colour channel, of 255."""

RADII: Final = MappingProxyType({"small": (10.0, 11.0), "normal": (14.0, 17.0), "large": (21.0, 25.0)})
"""Size word to the smallest and largest radius in pixels; `normal` is never said."""

POSITIONS: Final = MappingProxyType(
    {
        "on the left": (16, 32),
        "on the right": (48, 32),
        "at the top": (32, 16),
        "at the bottom": (32, 48),
    }
)
"""Position phrase to the centre it means, in pixels; without a phrase the centre is (32, 32)."""

WANDER: Final = 3.0
"""A centre lies up to this many pixels from where its position phrase says."""

STRIPE: Final = 8
"""Height of a stripe in pixels; the rows of stripes are the same in every picture, seen where a shape is."""

RIM: Final = 4
"""Thickness of an outlined shape's rim in pixels; it lies outside the shape."""

STRIPES: Final = ("white", "yellow", "cyan")
"""Every second stripe has the first of these colours that is neither figure nor background."""

RIMS: Final = ("black", "blue", "red")
"""The same of rims."""

REACH: Final = 1.15
"""No contour of radius 1 reaches further than this to any of the four sides."""


def _polygon(corners: int, radius: float, turn: float = -90.0) -> Contour:
    """Return a regular polygon; `turn` is the angle of the first corner in degrees."""
    angles = (math.radians(turn + 360.0 * k / corners) for k in range(corners))
    return tuple((radius * math.cos(a), radius * math.sin(a)) for a in angles)


def _star(outer: float, inner: float) -> Contour:
    """Return a five-pointed star that stands on two points."""
    angles = (math.radians(-90.0 + 36.0 * k) for k in range(10))
    radii = (outer, inner) * 5
    return tuple((r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True))


def _heart() -> Contour:
    """Return the heart x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, centred."""

    def at(t: float) -> Point:
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        return math.sin(t) ** 3 * 1.05, -(y + 2.5) / 15.2

    return tuple(at(math.tau * k / 48) for k in range(48))


def _cross(arm: float, width: float) -> Contour:
    """Return an upright cross: `arm` from its centre to an end, `width` half of a bar's width."""
    quarter = ((width, -arm), (width, -width), (arm, -width))
    turns = ((1, 0), (0, 1), (-1, 0), (0, -1))
    return tuple((x * c - y * s, x * s + y * c) for c, s in turns for x, y in quarter)


CONTOURS: Final = MappingProxyType(
    {
        "circle": (_polygon(48, 1.0),),
        "square": (_polygon(4, 0.9 * math.sqrt(2), turn=45.0),),
        "triangle": (tuple((x, y + 0.2) for x, y in _polygon(3, 1.25)),),
        "star": (_star(1.15, 0.48),),
        "heart": (_heart(),),
        "diamond": (((0.0, -1.15), (0.78, 0.0), (0.0, 1.15), (-0.78, 0.0)),),
        "ring": (_polygon(48, 1.05), _polygon(40, 0.55)),
        "cross": (_cross(1.05, 0.36),),
    }
)
"""Shape to its contours for radius 1 around (0, 0): the first is filled, a second is a hole."""

PLURALS: Final = MappingProxyType({shape: shape + "s" for shape in CONTOURS} | {"cross": "crosses"})
"""Shape to the word for several of them."""

COUNTS: Final = MappingProxyType({"two": 2, "three": 3})
"""Number word to how many equal shapes stand in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One shape of a scene."""

    shape: str
    """A key of `CONTOURS`."""

    colour: str
    """A key of `COLOURS`: what a caption calls it."""

    rgb: RGB
    """The exact colour drawn, 0 to 255."""

    x: float
    """Centre, pixels from the left edge."""

    y: float
    """Centre, pixels from the upper edge."""

    radius: float
    """Scale of the unit contour, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything a drawing shows and a caption may say."""

    figures: tuple[Figure, ...]
    """One to three shapes, from left to right."""

    background: str
    """A key of `COLOURS`."""

    background_rgb: RGB
    """The exact colour behind the figures, 0 to 255."""

    layout: Layout = "one"
    """How many figures there are; a `pair` differs in shape and colour, a row does not."""

    size: str = "normal"
    """A key of `RADII`."""

    position: str = ""
    """A key of `POSITIONS`, or empty for the centre."""

    outline: bool = False
    """Whether only the contours are drawn."""

    styles: frozenset[Style] = frozenset()
    """How the shapes are dressed; nothing is flat colour."""


def held_out(colour: str, shape: str, background: str) -> bool:
    """Say whether this combination is kept from training, to measure what was not memorised."""
    return zlib.crc32(f"{colour}|{shape}|{background}".encode()) % 10 == 0


@cache
def combinations(split: Split) -> tuple[tuple[str, str, str], ...]:
    """Return every (colour, shape, background) of `split`, in a fixed order."""
    every = ((c, s, b) for c in COLOURS for s in CONTOURS for b in COLOURS if c != b)
    return tuple(triple for triple in every if split == "any" or held_out(*triple) == (split == "held-out"))


def draw(scene: Scene, enlarged: int = 1) -> Image.Image:
    """Return the scene as an RGB picture of `CANVAS * enlarged` pixels each way."""
    scale = OVERSAMPLING * enlarged
    picture = Image.new("RGB", (CANVAS * scale, CANVAS * scale), scene.background_rgb)
    for figure in scene.figures:
        contours = [[(scale * x, scale * y) for x, y in _placed(c, figure)] for c in CONTOURS[figure.shape]]
        if scene.styles:
            _draw_dressed(picture, contours, figure, scene)
        else:
            _draw_flat(picture, contours, figure, scene)
    return picture.reduce(OVERSAMPLING)


def _placed(contour: Contour, figure: Figure) -> Contour:
    """Move a unit contour to where the figure is."""
    return tuple((figure.x + figure.radius * x, figure.y + figure.radius * y) for x, y in contour)


def _draw_flat(picture: Image.Image, contours: Sequence[Sequence[Point]], figure: Figure, scene: Scene) -> None:
    """Fill the figure with its colour, or draw its contours in it."""
    pen = ImageDraw.Draw(picture)
    scale = picture.width / CANVAS
    for depth, points in enumerate(contours):
        if scene.outline:
            width = round(scale * max(1.6, 0.13 * figure.radius))
            pen.line([*points, *points[:2]], fill=figure.rgb, width=width, joint="curve")
        else:
            pen.polygon(points, fill=scene.background_rgb if depth else figure.rgb)


def _draw_dressed(picture: Image.Image, contours: Sequence[Sequence[Point]], figure: Figure, scene: Scene) -> None:
    """Draw the rim, then the figure over the inner half of it, striped or flat."""
    scale = picture.width // CANVAS
    mask = Image.new("L", picture.size, 0)
    for depth, points in enumerate(contours):
        if "outlined" in scene.styles:
            rim = COLOURS[rim_colour(figure.colour, scene.background)]
            ImageDraw.Draw(picture).line([*points, *points[:2]], fill=rim, width=2 * RIM * scale, joint="curve")
        ImageDraw.Draw(mask).polygon(points, fill=0 if depth else 255)
    inside = Image.new("RGB", picture.size, figure.rgb)
    if "striped" in scene.styles:
        pen = ImageDraw.Draw(inside)
        other = COLOURS[stripe_colour(figure.colour, scene.background)]
        for middle in range(0, CANVAS, 2 * STRIPE):  # so a shape at any named position has one in its middle
            top, bottom = (scale * (middle + side * STRIPE // 2) for side in (-1, 1))
            pen.rectangle((0, top, picture.width, bottom - 1), fill=other)
    picture.paste(inside, mask=mask)


def stripe_colour(colour: str, background: str) -> str:
    """Return the colour of every second stripe: the first that is neither figure nor background."""
    return next(name for name in STRIPES if name not in (colour, background))


def rim_colour(colour: str, background: str) -> str:
    """Return the colour of an outlined shape's rim: the first that is neither figure nor background."""
    return next(name for name in RIMS if name not in (colour, background))


def dressed(scene: Scene, styles: frozenset[Style]) -> Scene:
    """Return the scene in these styles; figures with a rim are a little smaller, or moved, so that it fits."""
    figures = tuple(map(_rimmed, scene.figures)) if "outlined" in styles else scene.figures
    return replace(scene, figures=figures, styles=styles)


def _rimmed(figure: Figure) -> Figure:
    """Make room for a rim."""
    radius = max(RADII["small"][0], figure.radius - RIM / 2)
    margin = REACH * radius + RIM
    x, y = (min(max(c, margin), CANVAS - margin) for c in (figure.x, figure.y))
    return replace(figure, x=x, y=y, radius=radius)


def one_shape(rng: Random, combination: tuple[str, str, str], *, size: str = "normal", position: str = "") -> Scene:
    """Return a scene of one figure: (colour, shape, background) as given, the rest sampled."""
    colour, shape, background = combination
    radius = rng.uniform(*RADII[size])
    centre = POSITIONS.get(position, (CANVAS // 2, CANVAS // 2))
    margin = REACH * radius + 2
    x, y = (min(max(c + rng.uniform(-WANDER, WANDER), margin), CANVAS - margin) for c in centre)
    figure = Figure(shape=shape, colour=colour, rgb=jittered(rng, colour), x=x, y=y, radius=radius)
    return Scene(
        figures=(figure,),
        background=background,
        background_rgb=jittered(rng, background),
        size=size,
        position=position,
    )


def jittered(rng: Random, colour: str) -> RGB:
    """Return a shade that still goes by the name `colour`."""
    r, g, b = (min(255, max(0, c + rng.randint(-JITTER, JITTER))) for c in COLOURS[colour])
    return r, g, b


def _row(rng: Random, layout: Layout, combination: tuple[str, str, str]) -> Scene:
    """Return two or three equal figures side by side."""
    scene = one_shape(rng, combination)
    count = COUNTS[layout]
    radius = rng.uniform(11.0, 12.5) if count == 2 else rng.uniform(8.0, 8.8)
    y = CANVAS / 2 + rng.uniform(-WANDER, WANDER)
    xs = [CANVAS * (k + 0.5) / count + rng.uniform(-0.7, 0.7) for k in range(count)]
    figures = tuple(replace(scene.figures[0], x=x, y=y, radius=radius) for x in xs)
    return replace(scene, figures=figures, layout=layout)


def _pair(rng: Random, combinations_: tuple[tuple[str, str, str], ...]) -> Scene:
    """Return two figures that differ in shape and colour on one background."""
    first = rng.choice(combinations_)
    others = [c for c in combinations_ if c[2] == first[2] and c[0] != first[0] and c[1] != first[1]]
    scene, other = one_shape(rng, first), one_shape(rng, rng.choice(others))
    left = replace(scene.figures[0], x=16.5, radius=rng.uniform(11.0, 12.5))
    right = replace(other.figures[0], x=47.5, radius=rng.uniform(11.0, 12.5))
    return replace(scene, figures=(left, right), layout="pair")


def sample(rng: Random, split: Split = "seen") -> Scene:
    """Return a random scene whose every figure is a combination of `split`.

    Four in five show one figure; the rest are rows of two or three, and pairs.
    """
    layout: Layout = rng.choices(("one", "two", "three", "pair"), (80, 6, 4, 10))[0]
    triples = combinations(split)
    if layout == "one":
        return sample_one(rng, split)
    if layout == "pair":
        return _pair(rng, triples)
    return _row(rng, layout, rng.choice(triples))


def sample_one(rng: Random, split: Split = "seen") -> Scene:
    """Return a random scene of one figure whose combination is of `split`."""
    size = rng.choices(("small", "normal", "large"), (15, 60, 25))[0]
    placed = size != "large" and rng.random() < 0.4
    position = rng.choice(tuple(POSITIONS)) if placed else ""
    return one_shape(rng, rng.choice(combinations(split)), size=size, position=position)


def stream(seed: str, split: Split = "seen") -> Iterator[Scene]:
    """Yield random scenes without end; equal seeds give equal scenes."""
    rng = Random(seed)
    while True:
        yield sample(rng, split)
