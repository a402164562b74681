"""How long a worker may be silent before it counts as hung. Pure: no process, no clock of its own.

Steps follow one another evenly, so ten times the usual one is a sure sign; before the first and after the last there
is work without steps, whose length nobody knows beforehand:

* a model is opened, libraries come in from a slow disk: half an hour;
* before the first step of a kind of batch (prompts are encoded, kernels compiled, weights read in another precision):
  half an hour, since nothing is known yet; before the first step of a kind that was seen before: `quiet`;
* between steps: `step`, or ten times the median step of this kind of batch if that is more;
* after the last step (decoding, on a CPU picture by picture) and while pictures are written: `quiet`, or the same ten
  steps;
* in a batch that is tried again: `quiet` throughout. If the first verdict was wrong, the second is not.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from statistics import median

NAP = 1.0
"""Seconds of listening at a time. Only time spent listening counts as silence, so that a machine that was suspended, or
a run that was busy or stopped itself, blames nobody."""

_STEPS = 10
_REMEMBERED = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Limits in seconds."""

    opening: float = 1800.0
    quiet: float = 600.0
    step: float = 60.0
    grace: float = 10.0
    """Between the request to end and the end by force."""


PATIENCE = Patience()
"""The limits of a run."""


class Watch:
    """Knows what one worker is at, and how long it has said nothing."""

    def __init__(self, patience: Patience) -> None:
        """Nothing is known of any batch."""
        self._patience = patience
        self._steps: deque[float] = deque(maxlen=_REMEMBERED)
        """Seconds of the last steps of batches of `_kind`."""
        self._kind: Hashable = None
        self._last, self._again = 0, False
        self._begun: float | None = None
        self.opens()

    def opens(self) -> None:
        """The worker was started, or told to open a model."""
        self._at("the model was not open", self._patience.opening)

    def rests(self) -> None:
        """What it does next has no steps: it writes pictures, or waits for the next batch."""
        self._at("no sign of life", self._beside_steps())

    def begins(self, kind: Hashable, steps: int, *, again: bool) -> None:
        """It has begun a batch.

        Args:
            kind: Batches of equal kinds take equally long steps.
            steps: How many were asked for.
            again: It was tried before.
        """
        if kind != self._kind:
            self._steps.clear()
        self._kind, self._last, self._again, self._begun = kind, steps, again, None
        known = bool(self._steps) or again
        self._at("no step", self._beside_steps() if known else self._patience.opening)

    def steps(self, number: int, now: float) -> None:
        """It has taken step `number` of its batch; `now` is a monotonic time in seconds."""
        if self._begun is not None and number > 1:
            self._steps.append(now - self._begun)
        self._begun = now
        unsteady = self._again or number >= self._last or not self._steps
        self._at("no step", self._beside_steps() if unsteady else self._between_steps())

    def lives(self) -> None:
        """It has said something."""
        self._silent = 0.0

    def passed(self, seconds: float) -> None:
        """It was listened to for so long and said nothing."""
        self._silent += min(seconds, NAP)

    @property
    def verdict(self) -> str | None:
        """Why it counts as hung, or None."""
        return f"hung: {self._missed} for {self._silent:.0f} s" if self._silent > self._limit else None

    def _at(self, missed: str, limit: float) -> None:
        self._missed, self._limit, self._silent = missed, limit, 0.0

    def _between_steps(self) -> float:
        return max(self._patience.step, _STEPS * median(self._steps))

    def _beside_steps(self) -> float:
        return max(self._patience.quiet, _STEPS * median(self._steps) if self._steps else 0.0)
