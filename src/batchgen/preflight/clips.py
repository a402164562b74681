"""Whether clips can be kept as the settings want it, before one is rendered for half an hour."""

from collections.abc import Iterable

from batchgen.errors import ConfError, StoreError
from batchgen.job import Job
from batchgen.settings import Output
from batchgen.store import ffmpeg
from batchgen.store.clips import unfit


def check_clips(jobs: Iterable[Job], output: Output) -> None:
    """See that every clip among `jobs` has a size and a speed that its container can hold.

    Raises:
        ConfError: one has not.
    """
    kinds = {(job.canvas.width, job.canvas.height, job.motion.fps) for job in jobs if job.clip}
    for width, height, fps in sorted(kinds):
        if reason := unfit(output.clips, width=width, height=height, fps=fps):
            raise ConfError(reason, where=f"output.clips={output.clips}")


def check_encoder(jobs: Iterable[Job], output: Output) -> None:
    """See that there is an ffmpeg, if `jobs` have clips that need one.

    Raises:
        ConfError: there is none, or it does not start.
    """
    if output.clips in ("mp4", "webm") and any(job.clip for job in jobs):
        try:
            ffmpeg.version()
        except StoreError as error:
            reason = f"{error}; reinstall imageio-ffmpeg, or take output.clips=webp"
            raise ConfError(reason, where=f"output.clips={output.clips}") from error
