"""What the drawings are called: the caption grammar of the demo models.

caption    := [("picture" | "drawing" | "photo") "of"] subject [background]
subject    := one | ("two" | "three") colour shapes | one "and" one
one        := "a" ["small" | "large"] [colour] shape [position]
position   := "on the left" | "on the right" | "at the top" | "at the bottom"
background := "on a" colour "background" | "on" colour | "," colour "background"
"""

from random import Random
from typing import Final

from batchgen.demo.drawings import COLOURS, CONTOURS, COUNTS, PLURALS, POSITIONS, Figure, Scene

MEDIA: Final = ("picture", "drawing", "photo")
"""What a caption may call the whole: "a picture of ..."."""

WORDS: Final = tuple(
    dict.fromkeys(
        [
            *("a", "an", "the", "of", "on", "at", "and", ",", "background", "outline", "small", "large"),
            *(word for phrase in POSITIONS for word in phrase.split()),
            *COLOURS,
            *CONTOURS,
            *PLURALS.values(),
            *COUNTS,
            *MEDIA,
        ]
    )
)
"""Every word of the grammar, each one token of the tokenizer."""


def article(words: str) -> str:
    """Put "a" or "an" before the words.

    >>> article("orange star"), article("small star")
    ('an orange star', 'a small star')
    """
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def plain_caption(scene: Scene) -> str:
    """Return the caption that says everything: size, colour, shape, position and background."""
    return f"{_subject(scene, size=scene.size, position=scene.position, coloured=True)} on {_behind(scene)}"


def caption(scene: Scene, rng: Random) -> str:
    """Return one of the many captions of a scene; it may leave something unsaid."""
    size = "normal" if rng.random() < 0.12 else scene.size
    position = "" if rng.random() < 0.12 else scene.position
    subject = _subject(scene, size=size, position=position, coloured=rng.random() >= 0.04)
    form = rng.choices(("full", "short", "medium", "comma", "none"), (58, 20, 10, 8, 4))[0]
    return {
        "full": f"{subject} on {_behind(scene)}",
        "short": f"{subject} on {scene.background}",
        "medium": f"a {rng.choice(MEDIA)} of {subject} on {_behind(scene)}",
        "comma": f"{subject}, {scene.background} background",
        "none": subject,
    }[form]


def _behind(scene: Scene) -> str:
    return article(f"{scene.background} background")


def _subject(scene: Scene, *, size: str, position: str, coloured: bool) -> str:
    """Name the figures of a scene."""
    if scene.layout == "pair":
        return " and ".join(_single(figure, size="normal", coloured=True) for figure in scene.figures)
    figure = scene.figures[0]
    if scene.layout in COUNTS:
        return f"{scene.layout} {figure.colour} {PLURALS[figure.shape]}"
    return f"{_single(figure, size=size, coloured=coloured)} {position}".rstrip()


def _single(figure: Figure, *, size: str, coloured: bool) -> str:
    words = (size if size != "normal" else "", figure.colour if coloured else "", figure.shape)
    return article(" ".join(word for word in words if word))
