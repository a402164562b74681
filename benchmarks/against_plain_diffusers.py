"""The same 64 pictures by a plain diffusers loop and by `batchgen run`, alternating; prints seconds and their ratio.

    .venv/bin/python benchmarks/against_plain_diffusers.py [--rounds 3]

The loop is what a careful user writes: one pipeline for all pictures, no safety checker, no progress bar, a generator
on the CPU for each picture, `save()`. Both are whole processes, imports and loading included, and both write PNG.
Neither may use the network.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "src/batchgen/demo/models/demo_shapes"
COLOURS, SHAPES = ("red", "green", "blue", "yellow"), ("circle", "square", "star", "heart")
PROMPTS = [f"a {colour} {shape} on a white background" for colour, shape in product(COLOURS, SHAPES)]
SEEDS = range(4)

PLAIN = """
import sys, torch
from diffusers import StableDiffusionPipeline
model, target, *prompts = sys.argv[1:]
pipe = StableDiffusionPipeline.from_pretrained(model, local_files_only=True, dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)
for prompt in prompts:
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        picture = pipe(prompt, num_inference_steps=20, guidance_scale=4.0, height=64, width=64, generator=generator)
        picture.images[0].save(f"{target}/{prompt.replace(' ', '-')}-{seed}.png")
"""


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run `command`; return wall and CPU seconds, children included."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


def plain(folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    return timed([sys.executable, "-c", PLAIN, str(MODEL), str(folder), *PROMPTS], environment)


def batchgen(folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    prompts = [word for prompt in PROMPTS for word in ("--prompt", prompt)]
    words = [
        "--seeds",
        "0..3",
        "--into",
        str(folder),
        "steps=20",
        "guidance_scale=4",
        "sampler=euler",
        "schedule=simple",
    ]
    return timed([sys.executable, "-m", "batchgen", "run", *prompts, *words, "model=demo_shapes"], environment)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    rounds = arguments.parse_args().rounds
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT / "src")}
    rivals = {"plain diffusers": plain, "batchgen run": batchgen}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
    for number in range(rounds):
        for name, rival in rivals.items():
            with tempfile.TemporaryDirectory() as folder:
                seconds[name].append(rival(Path(folder), environment))
                made = len(list(Path(folder).rglob("*.png")))
            wall, cpu = seconds[name][-1]
            print(f"round {number + 1}: {name:16} {wall:6.1f} s wall {cpu:6.1f} s CPU   ({made} PNG files)", flush=True)
    wall = {name: statistics.median(each[0] for each in values) for name, values in seconds.items()}
    cpu = {name: statistics.median(each[1] for each in values) for name, values in seconds.items()}
    loop, ours = rivals
    print(f"median: {wall[loop]:.1f} s -> {wall[ours]:.1f} s wall, ratio {wall[ours] / wall[loop]:.2f}")
    print(f"        {cpu[loop]:.1f} s -> {cpu[ours]:.1f} s CPU, ratio {cpu[ours] / cpu[loop]:.2f}")


if __name__ == "__main__":
    main()
