"""Measures demo_shapes: renders prompts it never saw and lets the judge say what they show.

    python -m batchgen.demo.evaluate [--model DIR] [--prompts 200] [--steps 20] [--guidance 4]
    python -m batchgen.demo.evaluate --table

Most prompts name one shape; "held out" are combinations of shape and colours that no training
drawing had. Rows and pairs are judged in as many upright strips as they have figures.
"""

import argparse
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import diffusers
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from tqdm import tqdm

from batchgen.demo.captions import plain_caption
from batchgen.demo.drawings import CANVAS, Layout, Scene, Split, draw, sample_one, stream
from batchgen.demo.judge import judge

MODEL: Final = Path(__file__).parent / "models" / "demo_shapes"

SAMPLERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "dpmpp_2m karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "ddim": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
    "heun": ("HeunDiscreteScheduler", {}),
}
"""Name to diffusers class and what it needs beyond the model's own configuration."""

_TABLE_STEPS: Final = (4, 8, 20)
_BATCH: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How often pictures show what was asked, each 0..1."""

    background: float
    foreground: float
    shape: float
    all: float

    def row(self, name: str) -> str:
        """Return a row of a Markdown table."""
        figures = (self.background, self.foreground, self.shape, self.all)
        return f"| {name} | {' | '.join(f'{100 * figure:.1f}' for figure in figures)} |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """How prompts become pictures."""

    sampler: str = "euler"
    """A key of `SAMPLERS`."""

    steps: int = 20
    """Denoising steps."""

    guidance: float = 4.0
    """Guidance scale."""


def wanted(count: int, split: Split, seed: str = "evaluate") -> list[Scene]:
    """Return scenes to ask for; their random stream is not that of training."""
    rng = Random(f"{seed}-{split}")
    return [sample_one(rng, split) for _ in range(count)]


def several(count: int, layouts: Sequence[Layout], seed: str = "evaluate") -> list[Scene]:
    """Return scenes of more than one figure."""
    scenes = (scene for scene in stream(f"{seed}-several") if scene.layout in layouts)
    return list(islice(scenes, count))


def load(folder: Path) -> StableDiffusionPipeline:
    """Return the model in full precision."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def render(pipeline: StableDiffusionPipeline, prompts: Sequence[str], how: Rendering) -> list[Image.Image]:
    """Return one picture per prompt; picture k is of seed k, whatever the batch."""
    kind, options = SAMPLERS[how.sampler]
    kept = pipeline.scheduler
    pipeline.scheduler = getattr(diffusers, kind).from_config(kept.config, **options)
    pictures: list[Image.Image] = []
    for start in tqdm(range(0, len(prompts), _BATCH), desc=how.sampler, leave=False):
        part = list(prompts[start : start + _BATCH])
        pictures += pipeline(
            part,
            num_inference_steps=how.steps,
            guidance_scale=how.guidance,
            generator=[torch.Generator().manual_seed(start + k) for k in range(len(part))],
            height=CANVAS,
            width=CANVAS,
        ).images
    pipeline.scheduler = kept
    return pictures


def shares(scenes: Sequence[Scene], pictures: Iterable[Image.Image]) -> Shares:
    """Judge each picture against its scene."""
    right = [0, 0, 0, 0]
    for scene, picture in zip(scenes, pictures, strict=True):
        judged = [judge(strip) for strip in strips(picture, len(scene.figures))]
        pairs = list(zip(judged, scene.figures, strict=True))
        hits = (
            all(verdict.background == scene.background for verdict in judged),
            all(verdict.foreground == figure.colour for verdict, figure in pairs),
            all(verdict.shape == figure.shape for verdict, figure in pairs),
        )
        right = [total + hit for total, hit in zip(right, (*hits, all(hits)), strict=True)]
    background, foreground, shape, every = (total / len(scenes) for total in right)
    return Shares(background=background, foreground=foreground, shape=shape, all=every)


def strips(picture: Image.Image, count: int) -> list[Image.Image]:
    """Cut a picture into upright strips of equal width, from left to right."""
    edges = [round(picture.width * k / count) for k in range(count + 1)]
    return [picture.crop((left, 0, right, picture.height)) for left, right in pairwise(edges)]


def report(pipeline: StableDiffusionPipeline, count: int, how: Rendering) -> list[str]:
    """Return the figures for each kind of prompt, and for drawings instead of pictures."""
    fewer = max(1, count // 4)
    questions = {
        "one shape, seen": wanted(count, "seen"),
        "one shape, held out": wanted(count, "held-out"),
        "two or three": several(fewer, ("two", "three")),
        "pair": several(fewer, ("pair",)),
    }
    lines = ["| prompts | background | foreground | shape | all | all, of drawings |", "|---|---|---|---|---|---|"]
    for name, scenes in questions.items():
        pictures = render(pipeline, [plain_caption(scene) for scene in scenes], how)
        ceiling = 100 * shares(scenes, map(draw, scenes)).all
        lines.append(f"{shares(scenes, pictures).row(f'{name} ({len(scenes)})')} {ceiling:.1f} |")
    return lines


def table(pipeline: StableDiffusionPipeline, count: int, guidance: float) -> list[str]:
    """Return the share of pictures right in everything, for each sampler and number of steps."""
    scenes = wanted(count, "seen")
    prompts = [plain_caption(scene) for scene in scenes]
    heads = " | ".join(f"{steps} steps" for steps in _TABLE_STEPS)
    lines = [f"| sampler | {heads} |", "|---" * (1 + len(_TABLE_STEPS)) + "|"]
    for sampler in SAMPLERS:
        figures = []
        for steps in _TABLE_STEPS:
            how = Rendering(sampler=sampler, steps=steps, guidance=guidance)
            figures.append(f"{100 * shares(scenes, render(pipeline, prompts, how)).all:.1f}")
        lines.append(f"| {sampler} | {' | '.join(figures)} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables asked for, in Markdown, in per cent."""
    parser = argparse.ArgumentParser(prog="python -m batchgen.demo.evaluate", description="Measure demo_shapes.")
    parser.add_argument("--model", type=Path, default=MODEL, help="a model folder")
    parser.add_argument("--prompts", type=int, default=200, help="pictures per figure")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--sampler", choices=SAMPLERS, default="euler")
    parser.add_argument("--table", action="store_true", help="compare samplers and steps instead")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    pipeline = load(options.model)
    how = Rendering(sampler=options.sampler, steps=options.steps, guidance=options.guidance)
    lines = (
        table(pipeline, options.prompts, options.guidance) if options.table else report(pipeline, options.prompts, how)
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
