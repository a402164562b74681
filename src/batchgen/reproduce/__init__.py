"""Pictures made again from their records, and how near they come: pixel for pixel, or by how much not."""

from batchgen.reproduce.again import Again, Answer, Rendered, answer, asked_again, plan_of, render
from batchgen.reproduce.comparing import Difference, Figures
from batchgen.reproduce.originals import Original, Unreadable, originals

__all__ = [
    "Again",
    "Answer",
    "Difference",
    "Figures",
    "Original",
    "Rendered",
    "Unreadable",
    "answer",
    "asked_again",
    "originals",
    "plan_of",
    "render",
]
