"""Every error a person can meet, and the exit code it becomes.

* BatchgenError
  + UsageError        exit 2: the words were wrong (command, conf, manifest, model name); nothing was rendered
    - ManifestError   the manifest or a prompt file
    - ConfError       conf/ or an override
    - ModelError      a model that is not here, is damaged, or cannot do what a job asks
  + RunError          exit 1: some of what was asked for is missing; run again to resume
    - EngineError     a model loaded, but a batch gave no pictures
      . OutOfMemory   half of it may fit
      . NotFinite     what came out is no picture
      . DeviceLost    only a new process can use the device again
    - StoreError      pictures were rendered, but could not be kept
  + TryLater          exit 75: the run directory is held by another run, or the disk is full
  + Interrupted       exit 130: the person stopped the run

Every message is one line: where, what was wrong, what is right. Programming mistakes stay ordinary exceptions: they
show a traceback, never a friendly line.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class BatchgenError(Exception):
    """Anything batchgen says to a person instead of a picture.

    `where` is a place a terminal can click: `manifests/herons.yaml:14`, a file, or a command-line word.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None) -> None:
        """Say `message` about the place `where`."""
        super().__init__(message)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        """One line: the place, then what is wrong."""
        return f"{self.where}: {self.message}" if self.where else self.message


class UsageError(BatchgenError):
    """The words were wrong: fix the command, conf or manifest. Nothing was rendered."""

    exit_code = 2


class ManifestError(UsageError):
    """A manifest or a prompt file cannot be read as what it should say."""


class ConfError(UsageError):
    """An option, override or file of conf/ is wrong."""


class ModelError(UsageError):
    """A model is not on this machine, is damaged, or cannot do what is asked of it."""


class RunError(BatchgenError):
    """Some of what was asked for is missing. The same command resumes."""


class EngineError(RunError):
    """A batch gave no pictures: out of memory, not finite, or not what was asked for."""


class OutOfMemory(EngineError):
    """A batch did not fit into memory; half of it may."""


class NotFinite(EngineError):
    """What the model made holds NaN or infinity: no picture, however it may look as bytes."""


class DeviceLost(EngineError):
    """The device answers every call with an error from here on; only a new process can use it again."""


class StoreError(RunError):
    """Pictures were rendered but could not be written, verified or published."""


class TryLater(BatchgenError):
    """Nothing is wrong with the words; the machine cannot do it now."""

    exit_code = 75


class Interrupted(BatchgenError):
    """The person stopped the run; what was finished is kept."""

    exit_code = 130


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that `name` is not a `kind`, what is, and what was probably meant.

    >>> unknown_name("sampler", "dpmp_2m", ["ddim", "dpmpp_2m", "euler"])
    "unknown sampler 'dpmp_2m'; did you mean 'dpmpp_2m'? (known: ddim, dpmpp_2m, euler)"
    """
    options = sorted(known)
    close = get_close_matches(name, options, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(options)})"
