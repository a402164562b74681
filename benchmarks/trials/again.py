"""A whole run made again from its pictures: by fresh processes in any order, with other threads, with other weights."""

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, untouched, weights
from trials.command import Shell
from trials.watching import pictures


def reproduced(
    count: int, folder: Path, seed: int, *, meddle: Meddle = untouched, engine: tuple[str, ...] = (), rounds: int = 3
) -> Row:
    """Make the first `count` pictures of the demo manifest, and make them again.

    Args:
        count: The manifest has 72.
        folder: An empty one.
        seed: Of the orders, and of the bits that are flipped.
        meddle: What is done to the pictures before they are made again.
        engine: Words that choose another engine than the embedded model's.
        rounds: How often they are made again before anything is changed.
    """
    draw, begun, shell = random.Random(seed), time.monotonic(), Shell(folder=folder)
    model, directory = weights.copy(folder, "mine"), RunDirectory(folder / "run")
    weights.flip(model, draw.randrange(8 << 20))  # else it is the embedded model, which stays as it is
    words = ("run", "demo", "model=mine", "runtime.threads=1", "--limit", str(count), "--into", str(directory.root))
    shell.types(*words, *engine, "output.sheets=false")
    meddle(directory)
    found = Counter({"pictures": len(pictures(directory))})
    for _ in range(rounds):
        answers = _again(shell, directory, draw, "runtime.threads=1", *engine)
        found["asked again"] += count
        found["EXACT"] += sum(each["verdict"] == "EXACT" for each in answers)
    threads = _again(shell, directory, draw, "runtime.threads=2", *engine)
    found["EXACT with 2 threads"] = sum(each["verdict"] == "EXACT" for each in threads)
    found["DIFFERENT with 2 threads"] = sum(each["verdict"] == "DIFFERENT" for each in threads)
    found["DIFFERENT and no word why"] = sum(
        each["verdict"] == "DIFFERENT" and not each["differences"] for each in threads
    )
    weights.flip(model, draw.randrange(8 << 20))
    other = _again(shell, directory, draw, "runtime.threads=1", *engine)
    found["IMPOSSIBLE with a bit flipped"] = sum(each["verdict"] == "IMPOSSIBLE" for each in other)
    two = found["EXACT with 2 threads"] + found["DIFFERENT with 2 threads"]
    ok = found["pictures"] == two == found["IMPOSSIBLE with a bit flipped"] == count
    ok = ok and found["EXACT"] == rounds * count and not found["DIFFERENT and no word why"]
    note = f"{time.monotonic() - begun:.0f} s"
    return Row(name="reproduce", tried=(rounds + 2) * count, counts=dict(found), ok=ok, note=note)


def _again(shell: Shell, directory: RunDirectory, draw: random.Random, *words: str) -> list[dict[str, Any]]:
    """Make all pictures again in a fresh process, named in any order."""
    asked = [str(path) for path in pictures(directory)]
    draw.shuffle(asked)
    said = shell.types("reproduce", *asked, *words, "--json")
    answers: list[dict[str, Any]] = json.loads(said.out)["pictures"] if said.out else []
    return answers
