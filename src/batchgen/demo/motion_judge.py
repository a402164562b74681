"""Says what a clip shows: background, colour, shape and motion of one figure, by measuring pixels.

Motion is the path of the figure's centre of mass and of its area, as straight lines fitted to all
frames. No model of the demo's own training takes part, so the judge cannot share its mistakes.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from batchgen.demo.judge import (
    NOTHING,
    UNCLEAR,
    Floats,
    coverage,
    foreground_colour,
    ground_colour,
    likenesses,
    most_alike,
    nearest_colour,
)
from batchgen.demo.motion_drawings import DIRECTIONS, Frames, Move

_GROWTH: Final = 1.8
"""A figure grows if its area is multiplied by this or more from the first frame to the last. Drawings have 4.5."""

_TRAVEL: Final = 0.12
"""A figure moves if its centre goes this share of the frame's width or more. Drawings have 0.3."""

_STRAIGHT: Final = 2.0
"""It moves along one axis if it goes this many times further than along the other."""

_SMALLEST: Final = 0.005
"""Least area of a figure in a frame, as a share of the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipVerdict:
    """What a clip shows, in the words of the drawings; `UNCLEAR` or `NOTHING` where it shows none."""

    background: str
    foreground: str
    shape: str
    motion: str

    def right(self, move: Move) -> tuple[bool, bool, bool, bool]:
        """Say whether background, colour, shape and motion are those of the move."""
        return (
            self.background == move.background,
            self.foreground == move.colour,
            self.shape == move.shape,
            self.motion == move.motion,
        )


def judge_clip(frames: Frames) -> ClipVerdict:
    """Return what the clip shows; frames x height x width x 3 bytes."""
    pixels = frames.astype(np.float64)
    ground = np.median([ground_colour(frame) for frame in pixels], axis=0)
    colour = foreground_colour(pixels, ground)
    if colour is None:
        return ClipVerdict(background=nearest_colour(ground), foreground=NOTHING, shape=NOTHING, motion=NOTHING)
    masks = coverage(pixels, ground, colour)
    return ClipVerdict(
        background=nearest_colour(ground), foreground=nearest_colour(colour), shape=_shape(masks), motion=motion(masks)
    )


def _shape(masks: Floats) -> str:
    """Return the shape that overlaps the masks best, over all frames."""
    scores = [likenesses(mask) for mask in masks]
    if not all(scores):
        return UNCLEAR
    return most_alike({shape: float(np.mean([score[shape] for score in scores])) for shape in scores[0]})


def motion(masks: Floats) -> str:
    """Return how the figure moves; masks are its coverage, 0..1, of shape (frames, height, width)."""
    areas = masks.sum(axis=(1, 2))
    if areas.min() < _SMALLEST * masks[0].size:
        return UNCLEAR
    growth = _change(np.log(areas))
    if abs(growth) >= math.log(_GROWTH):
        return "growing" if growth > 0 else "shrinking"
    rows, columns = np.indices(masks.shape[1:])
    right = _change((masks * columns).sum(axis=(1, 2)) / areas)
    down = _change((masks * rows).sum(axis=(1, 2)) / areas)
    return _direction(right / masks.shape[2], down / masks.shape[1])


def _change(values: Floats) -> float:
    """Return how far the straight line through the values goes from the first to the last."""
    slope = np.polyfit(np.arange(len(values)), values, 1)[0]
    return float(slope) * (len(values) - 1)


def _direction(right: float, down: float) -> str:
    """Name the direction of a path, whose lengths are shares of the frame."""
    most, least = max(abs(right), abs(down)), min(abs(right), abs(down))
    if most < _TRAVEL:
        return "still"
    if most < _STRAIGHT * least:
        return UNCLEAR
    return max(DIRECTIONS, key=lambda name: right * DIRECTIONS[name][0] + down * DIRECTIONS[name][1])
