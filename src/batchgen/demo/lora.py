"""Trains the two LoRAs of demo_shapes.

    python -m batchgen.demo.lora striped
    python -m batchgen.demo.lora outlined

Each takes a few minutes on a free CPU thread. The second learns alone for a while, and then in every
other step with the first attached, on drawings of both styles, so that the two get on together.
Checkpoints are kept in `--work`: run the same command again to go on where it stopped.
"""

import argparse
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final, cast

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from batchgen.demo.adapters import RANK, Adapter, attached, load_adapter, new_adapter, save_diffusers, save_kohya
from batchgen.demo.captions import caption
from batchgen.demo.drawings import Scene, Style, dressed, stream
from batchgen.demo.evaluate import MODEL, load
from batchgen.demo.evaluate_loras import LORAS
from batchgen.demo.fitting import Fit, Plan, adamw, generator_of
from batchgen.demo.text_encoder import token_ids
from batchgen.demo.unet import noise_levels, signal_shares
from batchgen.demo.vae import drawn, encoded

_PICTURES: Final = 4000
_BATCH: Final = 32
_TOKENS: Final = 32
"""Tokens of a caption, enough for every one; demo_shapes itself learnt that padding tells it nothing new."""

_UNPROMPTED: Final = 0.1
_ALONE: Final = 0.5
"""Share of the steps in which a LoRA is trained on its own."""

_TRIGGERED: Final = 0.5
"""Share of captions that name the style."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How one of the LoRAs is trained and kept."""

    style: Style
    """What it shows, and the word that triggers it."""

    parts: tuple[str, ...]
    """Which models it changes."""

    save: Callable[[Path, Adapter, Mapping[str, str]], None]
    """Writes the file in one of the usual layouts."""

    steps: int
    """Optimiser steps."""

    beside: Style | None = None
    """The LoRA it learns to work with, which must be there already."""


COURSES: Final[Mapping[str, Course]] = {
    "striped": Course(style="striped", parts=("unet", "text_encoder"), save=save_kohya, steps=2500),
    "outlined": Course(style="outlined", parts=("unet",), save=save_diffusers, steps=1500, beside="striped"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Album:
    """Dressed drawings to learn from."""

    latents: Tensor
    """Scaled latents of shape (count, 4, 16, 16)."""

    scenes: Sequence[Scene]
    """The scene of each latent."""

    words: tuple[Style, ...]
    """The styles, as captions may name them."""

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """Return latents and freshly worded captions."""
        rng = Random(f"{'+'.join(self.words)}-{step}")
        rows = rng.sample(range(len(self.scenes)), size)
        return self.latents[rows], [self._text(self.scenes[row], rng) for row in rows]

    def _text(self, scene: Scene, rng: Random) -> str:
        """Return a caption, perhaps with the words of the style before or after it, or an empty one."""
        if rng.random() < _UNPROMPTED:
            return ""
        text, words = caption(scene, rng), ", ".join(self.words)
        if rng.random() >= _TRIGGERED:
            return text
        return f"{words}, {text}" if rng.random() < 0.5 else f"{text}, {words}"


Lesson = tuple[Album, list[tuple[Adapter, float]]]
"""Drawings, and the LoRAs that are attached while they are learnt from, with their scales."""


def album(pipeline: StableDiffusionPipeline, styles: tuple[Style, ...], work: Path, count: int = _PICTURES) -> Album:
    """Draw scenes in these styles; three in a row would be too small to dress. Their latents are kept in `work`."""
    fitting = (scene for scene in stream("+".join(styles), "seen") if scene.layout != "three")
    scenes = [dressed(scene, frozenset(styles)) for scene in islice(fitting, count)]
    path = work / f"{'+'.join(styles)}.latents.pt"
    if not path.exists():
        vae = pipeline.vae.to(memory_format=torch.channels_last)
        torch.save(vae.config.scaling_factor * encoded(vae, drawn(iter(scenes))), path)
    return Album(latents=torch.load(path, weights_only=True), scenes=scenes, words=styles)


def train(pipeline: StableDiffusionPipeline, course: Course, folder: Path, work: Path, steps: int) -> Adapter:
    """Return the trained LoRA; the pipeline itself stays as it is.

    Args:
        pipeline: demo_shapes.
        course: which LoRA.
        folder: where the file of the LoRA beside it lies.
        work: where checkpoint and latents are kept.
        steps: optimiser steps.
    """
    models = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    for model in models.values():
        model.requires_grad_(False)
    adapter = new_adapter({name: models[name] for name in course.parts}, seed=zlib.crc32(course.style.encode()))
    plan = Plan(steps=steps, warmup=50, average=0.99)
    fit = Fit({"lora": adapter}, adamw([(adapter.parameters(), 2e-3)], decay=0.0), plan, work / f"{course.style}.pt")
    lessons: list[Lesson] = [(album(pipeline, (course.style,), work), [(adapter, 1.0)])]

    def loss_of(step: int) -> Tensor:
        if course.beside and step >= _ALONE * steps and len(lessons) == 1:
            other = load_adapter(folder / f"{course.beside}.safetensors", models).requires_grad_(False)
            lessons.append((album(pipeline, (course.beside, course.style), work), [(adapter, 1.0), (other, 1.0)]))
        return _loss(pipeline, lessons[step % len(lessons)], step)

    fit.run(loss_of)
    return cast("Adapter", fit.best("lora"))


def _loss(pipeline: StableDiffusionPipeline, lesson: Lesson, step: int) -> Tensor:
    """Return the squared error of v, as in `batchgen.demo.unet`, with the lesson's LoRAs attached."""
    pictures, loras = lesson
    clean, texts = pictures.batch(step, _BATCH)
    generator = generator_of(21, step)
    levels = noise_levels(len(clean), generator)
    noise = torch.randn(clean.shape, generator=generator)
    shares = signal_shares()[levels, None, None, None]
    signal, spread = shares.sqrt(), (1 - shares).sqrt()
    with attached({"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}, loras):
        states = pipeline.text_encoder(token_ids(pipeline.tokenizer, texts, _TOKENS)).last_hidden_state
        answer: Tensor = pipeline.unet(signal * clean + spread * noise, levels, states, return_dict=False)[0]
    return (answer - (signal * noise - spread * clean)).square().mean()


def metadata(course: Course, steps: int) -> dict[str, str]:
    """Return what the file says about itself."""
    together = f", some of them {course.beside} too, with that LoRA attached" if course.beside else ""
    return {
        "modelspec.title": course.style,
        "modelspec.trigger_phrase": course.style,
        "modelspec.architecture": "demo_shapes/lora",
        "modelspec.description": f"{course.style} shapes for demo_shapes",
        "modelspec.license": "Apache-2.0",
        "training": f"{steps} steps of {_BATCH} drawings that batchgen.demo.drawings makes{together}; rank {RANK}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the LoRA asked for and write its file."""
    parser = argparse.ArgumentParser(prog="python -m batchgen.demo.lora", description="Train a LoRA of demo_shapes.")
    parser.add_argument("name", choices=COURSES)
    parser.add_argument("--out", type=Path, default=LORAS, help="the folder for the file (beside demo_shapes)")
    parser.add_argument("--work", type=Path, default=Path("loras.training"), help="where checkpoints are kept")
    parser.add_argument("--steps", type=int, help="optimiser steps, instead of its own number")
    parser.add_argument("--threads", type=int, default=1, help="more than the free cores is far slower")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    course = COURSES[options.name]
    steps = options.steps or course.steps
    adapter = train(load(MODEL), course, options.out, options.work, steps)
    course.save(options.out / f"{course.style}.safetensors", adapter, metadata(course, steps))


if __name__ == "__main__":
    main()
