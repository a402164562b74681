"""The seam between planning and pixels: an engine loads models, a session turns jobs into pixels.

Nothing here knows torch. `fake.py` beside it is an engine without a model, for tests and rehearsals.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from batchgen.job import Job, Model

Pixels = NDArray[np.uint8]
"""An RGB picture in memory: height x width x 3, 0 to 255. A clip is frames x height x width x 3."""

Container = Literal["mp4", "webm", "gif", "webp", "frames"]
"""How a clip lies on the disk: `frames` are PNG files in a ZIP."""

SheetFormat = Literal["png", "jpeg", "webp"]
"""How a contact sheet lies on the disk."""


def frame_name(number: int) -> str:
    """Return what the PNG file of a frame, counted from 1, is called in such a ZIP."""
    return f"{number:04}.png"


@contextmanager
def opened_frame(path: str, number: int) -> Iterator[IO[bytes]]:
    """Open the PNG file of a frame, counted from 1, in such a ZIP; errors as `zipfile` has them."""
    with zipfile.ZipFile(path) as archive, archive.open(frame_name(number)) as file:
        yield file


OnStep = Callable[[int], None]
"""Called after every denoising step with the number of steps taken so far: the sign of life of a long batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How this machine does the work. None of it is in a recipe; all of it is in the record."""

    engine: Literal["diffusers", "fake"] = "diffusers"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """What jobs ask for that say nothing themselves."""
    threads: int = 0
    """CPU threads of one operation; 0 leaves it to torch."""
    memory: Literal["full", "encode_first", "offload", "sequential"] = "full"
    batch: int = 0
    """Pictures in one forward pass at most; 0 chooses once for a run, by device and picture size."""
    stop_at: str | None = None
    """A time of day on this machine's clock, `07:30`: a run finishes the batch in hand then, and begins no other.
    It changes no picture, and is in no record."""
    max_gpu_temperature: int | None = None
    """Degrees Celsius. While the hottest GPU is hotter no batch is begun, until it is five degrees below. As above."""
    checkpoint_every: float = 30.0
    """Seconds of denoising after which the state of a batch is kept, so that it can go on from there; 0 keeps none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """A place among jobs that went through the denoiser together."""

    ids: tuple[str, ...]
    """Of all of them, copies included."""
    index: int
    """The place, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A picture in memory, with what the record has to say about how it came to be."""

    pixels: Pixels
    facts: Mapping[str, Any]
    """JSON values: `denoiser_evaluations`, `steps_taken`, `device`, `dtype`, `prompt_tokens`, `sigmas`, ..."""
    together: Together | None = None
    """With whom it was denoised, and maybe in an earlier try; None: with those that it was rendered with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """What the denoiser made of a job: nearly all of the work, and not yet a picture."""

    values: NDArray[np.float32]
    """Shape (channels, height, width), or as the family of the model has it for clips."""
    facts: Mapping[str, Any]
    """JSON values: what the record of the picture has to say about the denoising."""
    together: Together


class Latents(Protocol):
    """Where latents are kept until their pictures are safe: what failed after the denoiser runs no denoiser again."""

    def find(self, job: Job, shape: Sequence[int]) -> Latent | None:
        """Return the latent of `job`, if a whole one of this shape is kept."""
        ...

    def keep(self, job: Job, latent: Latent) -> None:
        """Keep the latent of `job` if that is worth it and can be done; it never fails."""
        ...


class Forgetful:
    """Keeps no latents."""

    def find(self, job: Job, shape: Sequence[int]) -> None:
        """Find nothing."""

    def keep(self, job: Job, latent: Latent) -> None:
        """Keep nothing."""


FORGETFUL = Forgetful()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """Where the denoising of a batch was, between two steps: all that there is to go on from."""

    arrays: Sequence[NDArray[Any]]
    """The latents above all, and what the sampler carries."""
    said: Any
    """JSON values: where each of the arrays belongs, and what else there is to know."""


class Bookmarks(Protocol):
    """Where the last bookmark of each batch is kept, so that a batch need not begin anew in another process."""

    def find(self, jobs: Sequence[Job]) -> Bookmark | None:
        """Return the last one of the batch of exactly these jobs in this order, if it was made under the same roof."""
        ...

    def keep(self, jobs: Sequence[Job], bookmark: Bookmark) -> None:
        """Keep it in place of the one before if that can be done; it never fails."""
        ...

    def forget(self, jobs: Sequence[Job]) -> None:
        """Let these jobs begin anew; it never fails."""
        ...


class NoBookmarks:
    """Keeps none."""

    def find(self, jobs: Sequence[Job]) -> None:
        """Find none."""

    def keep(self, jobs: Sequence[Job], bookmark: Bookmark) -> None:
        """Keep none."""

    def forget(self, jobs: Sequence[Job]) -> None:
        """There is none."""


NO_BOOKMARKS = NoBookmarks()


class Session(Protocol):
    """A loaded model."""

    def render(
        self,
        jobs: Sequence[Job],
        on_step: OnStep,
        latents: Latents = FORGETFUL,
        bookmarks: Bookmarks = NO_BOOKMARKS,
    ) -> Sequence[Rendered]:
        """Return one picture per job, in order; the jobs share `batch_key`.

        The pixels of a job do not depend on which jobs are its neighbours, only (in the last bits) on their number.
        Jobs whose latents are kept are only decoded, and the others go through the denoiser among themselves: from
        their bookmark, if there is one, and with no other pixels than from the beginning.

        Raises:
            EngineError: out of memory, or the decoded picture is not finite.
        """
        ...

    def rehearse(self, jobs: Sequence[Job], on_step: OnStep) -> None:
        """Take one step with `jobs`, decode at full size, and throw it away; raises what `render` would."""
        ...

    def close(self) -> None:
        """Let the model go and give its memory back."""
        ...


class Engine(Protocol):
    """A way to load models."""

    def open(self, model: Model) -> Session:
        """Load `model`.

        Raises:
            ModelError: a file of it is missing, damaged or of another kind than its family says.
        """
        ...

    def environment(self) -> Mapping[str, Any]:
        """What pixels may depend on beyond the recipe: versions, device, threads, determinism flags. JSON values."""
        ...
