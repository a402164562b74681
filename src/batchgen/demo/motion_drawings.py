"""The drawings demo_motion learns: one flat shape that moves, grows or shrinks on a flat background.

A `Move` holds every number of a clip, so drawing the same move twice gives the same frames. All
lengths are pixels of the 48 x 48 frame, x to the right and y downwards. What is random is sampled
from the `random.Random` the caller brings.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from batchgen.demo.drawings import CONTOURS, OVERSAMPLING, REACH, RGB, jittered

Frames = NDArray[np.uint8]
Split = Literal["seen", "held-out", "any"]

CANVAS: Final = 48
"""Width and height of a frame in pixels."""

FRAMES: Final = 9
"""Frames of a clip: one, and eight for two more latent frames."""

SHAPES: Final = ("circle", "square", "triangle", "ring")
"""Shapes of `CONTOURS` that are easy to tell apart when they are 20 pixels wide."""

COLOURS: Final = ("red", "green", "blue", "yellow", "white", "black")
"""Colours of figures and backgrounds; each is far from the others."""

DIRECTIONS: Final = MappingProxyType({"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)})
"""Word of a direction to where it leads."""

MOTIONS: Final = (*DIRECTIONS, "growing", "shrinking", "still")
"""All that a shape can do."""

_WANDER: Final = 2.0
"""A path lies up to this many pixels from the middle, and ends up to as many from the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a shape is in one frame."""

    x: float
    """Centre, pixels from the left edge."""

    y: float
    """Centre, pixels from the upper edge."""

    radius: float
    """Scale of the unit contour, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Everything a clip shows and a caption may say."""

    shape: str
    """One of `SHAPES`."""

    colour: str
    """One of `COLOURS`."""

    rgb: RGB
    """The exact colour drawn, 0 to 255."""

    background: str
    """One of `COLOURS`."""

    background_rgb: RGB
    """The exact colour behind the shape, 0 to 255."""

    motion: str
    """One of `MOTIONS`."""

    first: Place
    """Where the first frame has the shape."""

    last: Place
    """Where the last frame has it; the way between is even."""

    def at(self, share: float) -> Place:
        """Return the place after this share of the clip, 0..1."""
        pairs = zip(_numbers(self.first), _numbers(self.last), strict=True)
        x, y, radius = (a + share * (b - a) for a, b in pairs)
        return Place(x=x, y=y, radius=radius)


def _numbers(place: Place) -> tuple[float, float, float]:
    return place.x, place.y, place.radius


def held_out(colour: str, shape: str, background: str) -> bool:
    """Say whether this combination is kept from training, to measure what was not memorised."""
    return zlib.crc32(f"{colour}|{shape}|{background}".encode()) % 10 == 0


@cache
def combinations(split: Split) -> tuple[tuple[str, str, str], ...]:
    """Return every (colour, shape, background) of `split`, in a fixed order."""
    every = ((c, s, b) for c in COLOURS for s in SHAPES for b in COLOURS if c != b)
    return tuple(triple for triple in every if split == "any" or held_out(*triple) == (split == "held-out"))


def draw(move: Move) -> Frames:
    """Return the clip as frames x height x width x 3 bytes."""
    return np.stack([_frame(move, move.at(k / (FRAMES - 1))) for k in range(FRAMES)])


def _frame(move: Move, place: Place) -> Frames:
    scale = OVERSAMPLING
    picture = Image.new("RGB", (CANVAS * scale, CANVAS * scale), move.background_rgb)
    pen = ImageDraw.Draw(picture)
    for depth, contour in enumerate(CONTOURS[move.shape]):
        points = [(scale * (place.x + place.radius * x), scale * (place.y + place.radius * y)) for x, y in contour]
        pen.polygon(points, fill=move.background_rgb if depth else move.rgb)
    return np.asarray(picture.reduce(scale))


def sample(rng: Random, split: Split = "seen") -> Move:
    """Return a random move whose combination is of `split`."""
    return move_of(rng, rng.choice(combinations(split)), rng.choice(MOTIONS))


def move_of(rng: Random, combination: tuple[str, str, str], motion: str) -> Move:
    """Return a clip of (colour, shape, background) and motion as given, the rest sampled."""
    colour, shape, background = combination
    first, last = _path(rng, motion)
    return Move(
        shape=shape,
        colour=colour,
        rgb=jittered(rng, colour),
        background=background,
        background_rgb=jittered(rng, background),
        motion=motion,
        first=first,
        last=last,
    )


def _path(rng: Random, motion: str) -> tuple[Place, Place]:
    """Return first and last place of a shape that does not leave the frame."""
    middle = CANVAS / 2
    x, y = (middle + rng.uniform(-_WANDER, _WANDER) for _ in range(2))
    if motion in DIRECTIONS:
        radius = rng.uniform(9.5, 11.5)
        (across, down), reach = DIRECTIONS[motion], middle - REACH * radius - 1
        back, forth = (reach - rng.uniform(0, _WANDER) for _ in range(2))
        first = Place(x=middle - across * back if across else x, y=middle - down * back if down else y, radius=radius)
        last = Place(x=middle + across * forth if across else x, y=middle + down * forth if down else y, radius=radius)
        return first, last
    small, large = rng.uniform(6.0, 7.0), rng.uniform(15.0, 17.0)
    if motion == "still":
        small = large = rng.uniform(10.0, 15.0)
    places = Place(x=x, y=y, radius=small), Place(x=x, y=y, radius=large)
    return (places[1], places[0]) if motion == "shrinking" else places


def stream(seed: str, split: Split = "seen") -> Iterator[Move]:
    """Yield random moves without end; equal seeds give equal moves."""
    rng = Random(seed)
    while True:
        yield sample(rng, split)
