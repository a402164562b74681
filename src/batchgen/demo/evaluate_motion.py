"""Measures demo_motion: renders prompts it never saw and lets the judge say what the clips show.

    python -m batchgen.demo.evaluate_motion [--model DIR] [--prompts 100] [--sheet FILE.png]

Half of the prompts are "held out": combinations of shape and colours that no training clip had.
"""

import argparse
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import diffusers
import numpy as np
import torch
from diffusers import CogVideoXPipeline
from PIL import Image, ImageDraw
from tqdm import tqdm

from batchgen.demo.motion_captions import plain_caption
from batchgen.demo.motion_drawings import FRAMES, Frames, Move, Split, draw, sample
from batchgen.demo.motion_judge import judge_clip

MODEL: Final = Path(__file__).parent / "models" / "demo_motion"

SAMPLERS: Final = {"cogvideox_ddim": "CogVideoXDDIMScheduler", "cogvideox_dpm": "CogVideoXDPMScheduler"}
"""Name to diffusers class."""

_ATTRIBUTES: Final = ("background", "foreground", "shape", "motion")
_BATCH: Final = 10
_SHEET_ROWS: Final = 12
_LABEL: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """How prompts become clips."""

    sampler: str = "cogvideox_ddim"
    """A key of `SAMPLERS`."""

    steps: int = 20
    """Denoising steps."""

    guidance: float = 2.0
    """Guidance scale."""


def wanted(count: int, split: Split, seed: str = "evaluate-motion") -> list[Move]:
    """Return moves to ask for; their random stream is not that of training."""
    rng = Random(f"{seed}-{split}")
    return [sample(rng, split) for _ in range(count)]


def load(folder: Path) -> CogVideoXPipeline:
    """Return the model in full precision."""
    pipeline = CogVideoXPipeline.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def render(pipeline: CogVideoXPipeline, prompts: Sequence[str], how: Rendering) -> list[Frames]:
    """Return one clip per prompt, frames x height x width x 3; clip k is of seed k, whatever the batch."""
    kept = pipeline.scheduler
    pipeline.scheduler = getattr(diffusers, SAMPLERS[how.sampler]).from_config(kept.config)
    clips: list[Frames] = []
    for start in tqdm(range(0, len(prompts), _BATCH), desc=how.sampler, leave=False):
        part = list(prompts[start : start + _BATCH])
        frames = pipeline(
            part,
            num_frames=FRAMES,
            num_inference_steps=how.steps,
            guidance_scale=how.guidance,
            generator=[torch.Generator().manual_seed(start + k) for k in range(len(part))],
            max_sequence_length=pipeline.transformer.config.max_text_seq_length,
            output_type="np",
        ).frames
        clips += list((255 * frames).round().astype(np.uint8))
    pipeline.scheduler = kept
    return clips


def shares(moves: Sequence[Move], clips: Iterable[Frames]) -> dict[str, float]:
    """Judge each clip against its move; return how often each attribute is right, and all, 0..1."""
    right = np.array([judge_clip(clip).right(move) for move, clip in zip(moves, clips, strict=True)])
    every = {"all": float(right.all(axis=1).mean())}
    return dict(zip(_ATTRIBUTES, right.mean(axis=0).tolist(), strict=True)) | every


def sheet(prompts: Sequence[str], clips: Sequence[Frames]) -> Image.Image:
    """Return the frames of each clip in a row, its prompt above."""
    rows = [np.concatenate(list(clip), axis=1) for clip in clips]
    height, width = rows[0].shape[:2]
    pictures = [Image.fromarray(row).resize((2 * width, 2 * height), Image.Resampling.NEAREST) for row in rows]
    whole = Image.new("RGB", (2 * width, len(rows) * (2 * height + _LABEL)), "white")
    pen = ImageDraw.Draw(whole)
    for number, (prompt, picture) in enumerate(zip(prompts, pictures, strict=True)):
        top = number * (2 * height + _LABEL)
        pen.text((2, top + 1), prompt, fill="black")
        whole.paste(picture, (0, top + _LABEL))
    return whole


def _row(name: str, figures: dict[str, float]) -> str:
    """Return a row of a Markdown table, in per cent."""
    return f"| {name} | {' | '.join(f'{100 * figure:.1f}' for figure in figures.values())} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, in Markdown, in per cent, and draw the sheet asked for."""
    parser = argparse.ArgumentParser(prog="python -m batchgen.demo.evaluate_motion", description="Measure demo_motion.")
    parser.add_argument("--model", type=Path, default=MODEL, help="a model folder")
    parser.add_argument("--prompts", type=int, default=100, help="clips in all; half of them held out")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--sampler", choices=SAMPLERS, default="cogvideox_ddim")
    parser.add_argument("--sheet", type=Path, help="a PNG of the first clips of each half, a row of frames each")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    pipeline = load(options.model)
    how = Rendering(sampler=options.sampler, steps=options.steps, guidance=options.guidance)
    print(f"| prompts | {' | '.join(_ATTRIBUTES)} | all |\n|---|---|---|---|---|---|")
    shown: list[tuple[str, Frames]] = []
    splits: dict[Split, int] = {"seen": options.prompts - options.prompts // 2, "held-out": options.prompts // 2}
    for split, count in splits.items():
        moves = wanted(count, split)
        prompts = [plain_caption(move) for move in moves]
        clips = render(pipeline, prompts, how)
        print(_row(f"{split} ({count})", shares(moves, clips)))
        print(_row(f"drawings of {split} ({count})", shares(moves, map(draw, moves))))
        shown += list(zip(prompts, clips, strict=True))[: _SHEET_ROWS // 2]
    if options.sheet:
        sheet([prompt for prompt, _ in shown], [clip for _, clip in shown]).save(options.sheet)


if __name__ == "__main__":
    main()
