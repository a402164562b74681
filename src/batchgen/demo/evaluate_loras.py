"""Measures the LoRAs: renders prompts they never saw, plain and dressed, and lets the judge say what it sees.

python -m batchgen.demo.evaluate_loras [--loras DIR] [--prompts 100] [--scale 1] [--sheet FILE.png]
"""

import argparse
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Final

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from batchgen.demo.adapters import attached, load_adapter
from batchgen.demo.captions import plain_caption
from batchgen.demo.drawings import CANVAS, Scene, Style, draw, dressed, sample_one
from batchgen.demo.evaluate import MODEL, Rendering, load, render
from batchgen.demo.style_judge import Look, look_at, wanted_look

LORAS: Final = MODEL.parent / "loras"

SETS: Final[tuple[tuple[Style, ...], ...]] = ((), ("striped",), ("outlined",), ("striped", "outlined"))
"""Which LoRAs are attached at once."""

_SHOWN: Final = 16
"""Pictures of a row of the sheet."""


def scenes(count: int) -> list[Scene]:
    """Return scenes of one figure to ask for, of every combination; the stream is not that of training."""
    rng = Random("evaluate-loras")
    return [sample_one(rng, "any") for _ in range(count)]


def pictures(
    pipeline: StableDiffusionPipeline, folder: Path, styles: Sequence[Style], prompts: Sequence[str], scale: float
) -> list[Image.Image]:
    """Return one picture per prompt, with these LoRAs attached; picture k is of seed k."""
    models = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    adapters = [(load_adapter(folder / f"{style}.safetensors", models), scale) for style in styles]
    with attached(models, adapters):
        return render(pipeline, prompts, Rendering())


def row(name: str, wanted: Iterable[Look], found: Iterable[Look]) -> str:
    """Return a row of a Markdown table, in per cent."""
    hits = [
        (
            ours.styles == theirs.styles,
            ours.background == theirs.background,
            ours.colours == theirs.colours,
            ours.shape == theirs.shape,
            ours == theirs,
        )
        for ours, theirs in zip(wanted, found, strict=True)
    ]
    shares = (f"{100 * sum(column) / len(hits):.1f}" for column in zip(*hits, strict=True))
    return f"| {name} | {' | '.join(shares)} |"


def report(pipeline: StableDiffusionPipeline, folder: Path, count: int, scale: float) -> tuple[list[str], Image.Image]:
    """Return the table, and a sheet with one row of pictures for each row of it."""
    asked = scenes(count)
    plain = [plain_caption(scene) for scene in asked]
    lines = ["| LoRAs | style | background | colours | shape | all |", "|---|---|---|---|---|---|"]
    sheet: list[list[Image.Image]] = []
    for styles in SETS:
        goal = [dressed(scene, frozenset(styles)) for scene in asked]
        wanted = [wanted_look(scene) for scene in goal]
        name = " + ".join(styles) or "none"
        lines.append(row(f"{name}: drawings", wanted, map(look_at, map(draw, goal))))
        triggered = [", ".join([*styles, prompt]) for prompt in plain]
        for words, prompts in (("", plain), (" with trigger", triggered))[: 1 + bool(styles)]:
            made = pictures(pipeline, folder, styles, prompts, scale)
            lines.append(row(name + words, wanted, map(look_at, made)))
            sheet.append(made[:_SHOWN])
    return lines, _sheet(sheet)


def _sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Return rows of pictures as one picture."""
    sheet = Image.new("RGB", (CANVAS * max(map(len, rows)), CANVAS * len(rows)))
    for y, pictures_ in enumerate(rows):
        for x, picture in enumerate(pictures_):
            sheet.paste(picture, (CANVAS * x, CANVAS * y))
    return sheet


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, in Markdown, in per cent."""
    parser = argparse.ArgumentParser(prog="python -m batchgen.demo.evaluate_loras", description="Measure the LoRAs.")
    parser.add_argument("--loras", type=Path, default=LORAS, help="the folder of their files")
    parser.add_argument("--prompts", type=int, default=100, help="pictures per row")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--sheet", type=Path, help="write some of the pictures here")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    lines, sheet = report(load(MODEL), options.loras, options.prompts, options.scale)
    print("\n".join(lines))
    if options.sheet:
        sheet.save(options.sheet)


if __name__ == "__main__":
    main()
