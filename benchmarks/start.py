"""How long until `batchgen --help` appears, and until a finished run says so; beside `python -c pass` and a bare
`import torch`.

    .venv/bin/python benchmarks/start.py [--rounds 7]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BATCHGEN = [sys.executable, "-m", "batchgen"]


def seconds(command: list[str], folder: str) -> float:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=7)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        run = [*BATCHGEN, "run", "--prompt", "a red circle", "--seeds", "0..3", "runtime.engine=fake"]
        seconds(run, folder)
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import torch": [sys.executable, "-c", "import torch"],
            "batchgen --help": [*BATCHGEN, "--help"],
            "batchgen plan demo": [*BATCHGEN, "plan", "demo"],
            "batchgen run (nothing to do)": run,
        }
        found: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                found[name].append(seconds(command, folder))
    for name, each in found.items():
        print(f"{name:30} {statistics.median(each):5.2f} s (least {min(each):.2f})")


if __name__ == "__main__":
    main()
