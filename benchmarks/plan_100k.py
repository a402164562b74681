"""How long a plan of 100,000 pictures takes, and how much memory: `python benchmarks/plan_100k.py`.

Two manifests of the same size: one where everything is an axis (1,000 prompts, 5 samplers, 4 step counts, 5 seeds) and
one where every picture has a line of its own with fields of its own. Models are stand-ins; nothing is rendered. The aim
is less than 5 s of CPU time and 500 MB each.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PICTURES = 100_000


@dataclass(frozen=True)
class Option:
    name: str = "stand_in"
    family: str = "sd15"
    recommended: Mapping[str, Any] = field(
        default_factory=lambda: {
            "width": 64, "height": 64, "steps": 20, "guidance_scale": 4.0, "sampler": "euler", "schedule": "normal",
        }
    )  # fmt: skip


class Confs:
    """Settings without files."""

    recipe: Mapping[str, Any] = {"precision": "auto"}
    default_model = "stand_in"

    def model_names(self) -> Sequence[str]:
        return ("stand_in",)

    def sampler_names(self) -> Sequence[str]:
        from batchgen.sampling.names import SAMPLERS

        return tuple(SAMPLERS)

    def model(self, name: str) -> Option:
        return Option(name=name)

    def sampler(self, name: str) -> Mapping[str, Any]:
        return {"sampler": name, "schedule": "normal"}

    def resolve(self, name: str) -> Any:
        from batchgen.job import Model

        return Model(digest="0" * 64, family="sd15", name=name, path="/nowhere")


def axes(folder: Path) -> Path:
    lines = "".join(f"a picture number {i} of a red circle on a blue background\n" for i in range(1000))
    (folder / "prompts.txt").write_text(lines)
    path = folder / "axes.yaml"
    path.write_text(
        "prompts: [{file: prompts.txt}]\nseeds: 0..4\n"
        "sweep: {sampler: [euler, ddim, dpmpp_2m, heun, lms], steps: [4, 8, 12, 20]}\n"
    )
    return path


def lines(folder: Path) -> Path:
    rows = "".join(
        f'"a picture, number {i}",{i},"blurry, number {i}",{4 + i % 17},{"euler" if i % 2 else "ddim"}\n'
        for i in range(PICTURES)
    )
    (folder / "prompts.csv").write_text("prompt,seed,negative_prompt,steps,sampler\n" + rows)
    path = folder / "lines.yaml"
    path.write_text("prompts: [{file: prompts.csv}]\n")
    return path


def measure(kind: str) -> None:
    from batchgen.manifest import read_manifest
    from batchgen.plan.expand import expand
    from batchgen.plan.plan import make_plan

    with tempfile.TemporaryDirectory() as name:
        path = {"axes": axes, "lines": lines}[kind](Path(name))
        start = time.process_time()
        sweep = expand(read_manifest(path), {}, Confs())
        expanded = time.process_time()
        plan = make_plan(sweep.cells, {}, batch=8)
        end = time.process_time()
    assert plan.to_make == PICTURES, plan.to_make
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{kind}: {end - start:.2f} s of CPU (expand {expanded - start:.2f}, plan {end - expanded:.2f}), {peak:.0f} MB"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        # A process each, so that each tells its own peak of memory.
        for kind in ("axes", "lines"):
            subprocess.run([sys.executable, __file__, kind], check=True)
