"""By how much an upscaler enlarges, which only its library can tell: asked once in a process of its own, then kept."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from batchgen.errors import ModelError
from batchgen.job import Model

EXAMINE = (sys.executable, "-P", "-m", "batchgen.diffusion.upscaling")
_LONGEST = 180.0
"""Seconds. Libraries may come in from a slow disk."""


def enlargement(model: Model, cache: Path, words: Sequence[str] = EXAMINE) -> float:
    """Return the scale of an upscaling model.

    Args:
        model: Of the family `upscaler`.
        cache: The folder in which answers are kept, by digest.
        words: The command that answers with the scale, given the file.

    Raises:
        ModelError: the file is no upscaler, or spandrel is not installed.
    """
    kept = cache / "upscalers.json"
    known = _known(kept)
    if model.digest not in known:
        known[model.digest] = _asked([*words, model.path], model)
        _keep(kept, known)
    return known[model.digest]


def _asked(words: Sequence[str], model: Model) -> float:
    done = subprocess.run(words, capture_output=True, text=True, timeout=_LONGEST, check=False)
    try:
        return float(json.loads(done.stdout.strip().rpartition("\n")[2])["scale"])
    except (ValueError, LookupError, TypeError) as error:
        said = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "no answer")
        raise ModelError(f"cannot be read as an upscaler: {said[:300]}", where=model.path) from error


def _known(kept: Path) -> dict[str, float]:
    try:
        found = json.loads(kept.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {key: float(scale) for key, scale in entries if isinstance(scale, int | float) and 0 < scale <= 64}


def _keep(kept: Path, known: dict[str, float]) -> None:
    temporary = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(known, sort_keys=True))
        temporary.replace(kept)
    except OSError:
        return  # It only saves time.
