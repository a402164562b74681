"""Pictures that are none: not finite, of a wrong size, of one single colour. None may count as good unseen.

By the fake engine among healthy neighbours, and by the real decoder: with weights that make NaN of everything, of some
prompts only, and one colour of everything.
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any
from unittest import mock

from batchgen.fake import read_id
from batchgen.store.images import open_picture, record_in
from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, jobs, untouched, weights
from trials.command import Shell, faults
from trials.watching import pictures, whole

_KINDS = ("not_finite", "wrong_size", "single_colour")


def injected(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Let the fake engine make `count` bad pictures of each kind."""
    draw, begun = random.Random(seed), time.monotonic()
    cells = [jobs.cell(number) for number in range(5 * count)]
    guilty = draw.sample(cells, 3 * count)
    bad = {kind: {each.job.id for each in guilty[at::3]} for at, kind in enumerate(_KINDS)}
    asked = [{"do": kind, "seed": each.job.seed} for at, kind in enumerate(_KINDS) for each in guilty[at::3]]
    directory = RunDirectory(folder / "run")
    with mock.patch.dict(os.environ, faults(*asked)):
        jobs.render(directory, cells, batch=2, listen=lambda _: None)
    meddle(directory)
    outputs = _outputs(directory)
    flagged = {id_ for id_, output in outputs.items() if output["single_colour"]}
    healthy = {each.job.id for each in cells}.difference(*bad.values())
    counts = {f"{kind} published": len(bad[kind] & outputs.keys()) for kind in _KINDS[:2]}
    counts |= {"single_colour not flagged": len(bad["single_colour"] - flagged)}
    counts |= {
        "good ones flagged": len(flagged - bad["single_colour"]),
        "good ones lost": len(healthy - outputs.keys()),
    }
    counts |= {"of another job": sum(_is_anothers(path) for path in pictures(directory))}
    note = f"{len(cells)} pictures in pairs; {time.monotonic() - begun:.0f} s"
    return Row(name="bad pictures, injected", tried=len(asked), counts=counts, ok=not any(counts.values()), note=note)


def decoded(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Let the embedded model's own decoder make bad pictures of all kinds that it can."""
    begun, shell, first = time.monotonic(), Shell(folder=folder), random.Random(seed).randrange(1 << 32)
    weights.blind(weights.copy(folder, "blank"), float("nan"))
    weights.blind(weights.copy(folder, "flat"), 0.25)
    weights.forget(weights.copy(folder, "forgets"), "star")
    share = max(1, count // 3)
    asked = ("--seeds", f"{first}..{first + share - 1}", "steps=1", "output.sheets=false")
    found: dict[str, tuple[int, list[dict[str, Any]], list[str]]] = {}
    for name in ("blank", "flat", "forgets"):
        directory = RunDirectory(folder / name)
        prompts = ("--prompt", "a red circle", *(("--prompt", "a red star") if name == "forgets" else ()))
        code = shell.types("run", *prompts, *asked, f"model={name}", "--into", str(directory.root)).code
        meddle(directory)
        records = [dict(record_in(path)) for path in pictures(directory) if whole(path)]
        found[name] = code, records, _reasons(directory)
    stars = [each for each in found["forgets"][1] if "star" in each["recipe"]["prompt"]]
    reasons = [*found["blank"][2], *found["forgets"][2]]
    counts = {
        "NaN published": len(found["blank"][1]) + len(stars),
        "NaN not named": 2 * share - sum("not finite" in reason for reason in reasons),
        "neighbours lost": share - (len(found["forgets"][1]) - len(stars)),
        "one colour lost": share - len(found["flat"][1]),
        "one colour not flagged": sum(not each["output"]["single_colour"] for each in found["flat"][1]),
        "wrong exit codes": int([code for code, *_ in found.values()] != [1, 0, 1]),
    }
    note = f"weights poisoned in three ways; {time.monotonic() - begun:.0f} s"
    return Row(name="bad pictures, decoded", tried=3 * share, counts=counts, ok=not any(counts.values()), note=note)


def _outputs(directory: RunDirectory) -> dict[str, dict[str, Any]]:
    records = [record_in(path) for path in pictures(directory) if whole(path)]
    return {record["id"]: record["output"] for record in records}


def _is_anothers(path: Path) -> bool:
    """Say whether the pixels carry another id than the record; a picture of one colour carries none."""
    record = record_in(path)
    return not record["output"]["single_colour"] and read_id(open_picture(path).pixels) != record["id"]


def _reasons(directory: RunDirectory) -> list[str]:
    return [each["reason"] for each in json.loads(directory.summary.read_bytes())["failed"]]
