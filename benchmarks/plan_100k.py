"""What 100,000 pictures cost to plan: `batchgen plan` as a whole process, CPU seconds and peak memory.

    .venv/bin/python benchmarks/plan_100k.py

Two manifests of the same size: one where everything is an axis (1,000 prompts, 5 samplers, 4 step counts, 5 seeds), and
one where every picture has a line of its own in a table, with fields of its own. The aim is under 5 s and 500 MB each.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURES = 100_000


def axes(folder: Path) -> Path:
    lines = "".join(f"a picture number {i} of a red circle on a blue background\n" for i in range(1000))
    (folder / "prompts.txt").write_text(lines)
    path = folder / "axes.yaml"
    path.write_text(
        "prompts: [{file: prompts.txt}]\nseeds: 0..4\n"
        "sweep: {sampler: [euler, ddim, dpmpp_2m, heun, lms], steps: [4, 8, 12, 20]}\n"
    )
    return path


def table(folder: Path) -> Path:
    rows = "".join(
        f'"a picture, number {i}",{i},"blurry, number {i}",{4 + i % 17},{"euler" if i % 2 else "ddim"}\n'
        for i in range(PICTURES)
    )
    (folder / "prompts.csv").write_text("prompt,seed,negative_prompt,steps,sampler\n" + rows)
    path = folder / "table.yaml"
    path.write_text("prompts: [{file: prompts.csv}]\n")
    return path


def measure(manifest: Path) -> None:
    words = [sys.executable, "-m", "batchgen", "plan", str(manifest)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(words, cwd=manifest.parent, env=environment, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read().splitlines()[0]
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    assert f"{PICTURES:,} to make" in said
    seconds = used.ru_utime + used.ru_stime
    print(f"{manifest.stem:6} {seconds:5.2f} s of CPU, {used.ru_maxrss / 1024:4.0f} MB   ({said})", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for kind in (axes, table):
            measure(kind(Path(name)))
