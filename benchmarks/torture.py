"""Everything terrible, many times, and a table of what became of it: nothing lost, nothing wrong that counts as done.

    .venv/bin/python benchmarks/torture.py [--only NAME ...] [--scale 0.05] [--seed 1] [--report FILE]

Each trial is a module of `trials/`. Power cuts and full disks mount file systems of their own and need root; where that
is not to be had the row says so.
"""

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import PIL

from batchgen import __version__
from trials import Row
from trials.register import TRIALS

_HEAD = "| trial | tried | found | |\n|---|---|---|---|"


def line(row: Row) -> str:
    """A row of the table."""
    found = ", ".join(f"{name} {value:,}" for name, value in row.counts.items())
    verdict = "well" if row.ok else "**NOT WELL**"
    return f"| {row.name} | {row.tried:,} | {found}{'; ' if found and row.note else ''}{row.note} | {verdict} |"


def machine() -> str:
    """What the figures depend on, in a sentence."""
    cpu = next((each.split(":")[1].strip() for each in Path("/proc/cpuinfo").read_text().splitlines()
                if each.startswith("model name")), platform.machine())  # fmt: skip
    system = f"Linux {platform.release()}, Python {platform.python_version()}, Pillow {PIL.__version__}"
    return f"{cpu}, {os.cpu_count()} cores; {system}; batchgen {__version__}"


def report(rows: Sequence[Row], seed: int, minutes: float) -> str:
    """The whole text."""
    date = time.strftime("%Y-%m-%d")
    facts = f"{date}; {machine()}; seed {seed}; {minutes:.0f} minutes."
    return "\n".join(["# Torture", "", facts, "", _HEAD, *map(line, rows), ""])


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", action="append", choices=TRIALS, metavar="NAME", help=", ".join(TRIALS))
    arguments.add_argument("--scale", type=float, default=1.0, help="of the full counts")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--report", type=Path, help="where the table is written, too")
    asked = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was mounted is unmounted
    rows: list[Row] = []
    begun = time.monotonic()
    print(_HEAD, flush=True)
    for name in asked.only or TRIALS:
        trial, full = TRIALS[name]
        with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as folder:
            rows.append(trial(max(1, round(full * asked.scale)), Path(folder), asked.seed))
        print(line(rows[-1]), flush=True)
        if asked.report:
            asked.report.write_text(report(rows, asked.seed, (time.monotonic() - begun) / 60), encoding="utf-8")
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
