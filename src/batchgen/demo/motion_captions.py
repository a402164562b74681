"""What the clips are called: the caption grammar of demo_motion.

caption    := [("clip" | "video") "of"] "a" [colour] shape [motion] [background]
motion     := ("moving" | "going") direction | "growing" | "getting larger" | "shrinking"
              | "getting smaller" | "standing still"
direction  := ["to the"] ("right" | "left") | "up" | "upwards" | "down" | "downwards"
background := "on a" colour "background" | "on" colour | "," colour "background"
"""

from random import Random
from types import MappingProxyType
from typing import Final

from batchgen.demo.captions import article
from batchgen.demo.motion_drawings import COLOURS, SHAPES, Move

_VERBS: Final = ("moving", "going")

_PHRASES: Final = MappingProxyType(
    {
        "right": ("right", "to the right"),
        "left": ("left", "to the left"),
        "down": ("down", "downwards"),
        "up": ("up", "upwards"),
        "growing": ("growing", "getting larger"),
        "shrinking": ("shrinking", "getting smaller"),
        "still": ("standing still",),
    }
)
"""Motion to what it may be called; directions follow a verb."""

_MEDIA: Final = ("clip", "video")

WORDS: Final = tuple(
    dict.fromkeys(
        [
            *("a", "an", "the", "of", "on", ",", "background", "and"),
            *_VERBS,
            *(word for phrases in _PHRASES.values() for phrase in phrases for word in phrase.split()),
            *COLOURS,
            *SHAPES,
            *_MEDIA,
        ]
    )
)
"""Every word of the grammar, each one token of the tokenizer."""


def plain_caption(move: Move) -> str:
    """Return the caption that says everything in the plainest words."""
    return f"a {move.colour} {move.shape} {_motion(move.motion, 'moving')} on {_behind(move)}"


def caption(move: Move, rng: Random) -> str:
    """Return one of the many captions of a move; it may leave something unsaid."""
    motion = "" if rng.random() < 0.04 else " " + _motion(move.motion, rng.choice(_VERBS), rng)
    colour = "" if rng.random() < 0.03 else f"{move.colour} "
    subject = f"a {colour}{move.shape}{motion}"
    form = rng.choices(("full", "short", "medium", "comma", "none"), (60, 18, 10, 8, 4))[0]
    text = {
        "full": f"{subject} on {_behind(move)}",
        "short": f"{subject} on {move.background}",
        "medium": f"a {rng.choice(_MEDIA)} of {subject} on {_behind(move)}",
        "comma": f"{subject}, {move.background} background",
        "none": subject,
    }[form]
    return text.capitalize() if rng.random() < 0.15 else text


def _motion(motion: str, verb: str, rng: Random | None = None) -> str:
    """Return what the motion is called: the first phrase, or any."""
    phrase = rng.choice(_PHRASES[motion]) if rng else _PHRASES[motion][0]
    return f"{verb} {phrase}" if motion in ("right", "left", "down", "up") else phrase


def _behind(move: Move) -> str:
    return article(f"{move.background} background")
