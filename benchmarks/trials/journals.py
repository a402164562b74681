"""A journal cut at every byte, and flipped at every bit: what is before the damage must be read, and nothing else.

Where pictures lie beside it, a start after the damage must take them all on again, so that none is rendered twice.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from batchgen.plan.plan import make_plan
from batchgen.store.held import hold
from batchgen.store.journal import Journal, parse, read
from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, jobs, untouched

Entries = Sequence[Any]

_STARTS = 60
"""Damages after which a whole run directory is recovered, of either kind."""


def _parsed(data: bytes) -> Entries:
    return parse(data).entries


def damage(
    count: int,
    folder: Path,
    seed: int,
    *,
    meddle: Meddle = untouched,
    reader: Callable[[bytes], Entries] = _parsed,
) -> Row:
    """Damage the journal of a run of `count` pictures; `reader` reads what was flipped."""
    directory, cells = RunDirectory(folder / "run"), [jobs.cell(seed) for seed in range(count)]
    jobs.render(directory, cells, batch=4, listen=lambda _: None)
    data = directory.journal.read_bytes()
    found = Counter({"cut at": len(data), "flipped bits": 8 * len(data)})
    found["wrong after a cut"] = sum(not _cut_well(folder / "cut.jsonl", data, at) for at in range(len(data)))
    found["wrong after a flip"] = sum(not _flipped_well(data, bit, reader) for bit in range(8 * len(data)))
    meddle(directory)
    draw = random.Random(seed)
    for _ in range(min(_STARTS, count)):
        at = draw.randrange(len(data))
        for damaged in (data[:at], _flipped(data, 8 * at + draw.randrange(8))):
            found["recoveries"] += 1
            found["to be made again"] += _left_after(directory, damaged, folder / "copy")
    wrong = ("wrong after a cut", "wrong after a flip", "to be made again")
    ok = found["recoveries"] > 0 and not any(found[name] for name in wrong)
    note = f"{count} lines, {len(data):,} bytes"
    names = ("cut at", "wrong after a cut", "flipped bits", "wrong after a flip", "recoveries", "to be made again")
    counts = {name: found[name] for name in names}
    return Row(name="journal", tried=9 * len(data), counts=counts, ok=ok, note=note)


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _flipped_well(data: bytes, bit: int, reader: Callable[[bytes], Entries]) -> bool:
    whole = sum(end <= bit // 8 for end in accumulate(map(len, _lines(data))))
    return list(reader(_flipped(data, bit))) == list(parse(data).entries[:whole])


def _cut_well(path: Path, data: bytes, at: int) -> bool:
    """Open a journal of which only `at` bytes are left, write a line, and read it: the whole lines and the new one."""
    whole = [end for end in accumulate(map(len, _lines(data))) if end <= at]
    path.write_bytes(data[:at])
    opened = Journal(path)
    kept = path.read_bytes() == data[: whole[-1] if whole else 0]
    opened.append("failed", id="0", reason="a line after the cut")
    opened.close()
    entries = read(path).entries
    return kept and entries[:-1] == opened.entries == parse(data).entries[: len(whole)] and entries[-1]["id"] == "0"


def _left_after(directory: RunDirectory, damaged: bytes, copy: Path) -> int:
    """Recover a copy of the run directory with a damaged journal; return how many of its pictures are not there."""
    shutil.copytree(directory.root, copy)
    there = RunDirectory(copy)
    there.journal.write_bytes(damaged)
    ids = {entry["id"]: entry for entry in read(directory.journal).entries}
    with hold(there) as held:
        same = [id_ for id_, done in held.done.items() if done.file_sha256 == ids[id_]["file_sha256"]]
        cells = [jobs.cell(seed) for seed in range(len(ids))]
        left = make_plan(cells, held.known, batch=1).to_make
        left += len(ids) - len(same) + len(held.quarantined)
    shutil.rmtree(copy)
    return left
