"""The x2 upscaler of the demo: SRVGGNetCompact, the small network of Real-ESRGAN (arXiv:2107.10833).

    python -m batchgen.demo.upscaler
    python -m batchgen.demo.upscaler --measure

It learns from drawings and what five common filters make of them at half the size. The file has the
layout and the names of the published "Compact" upscalers, so other programs read it too.
"""

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, cast

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from batchgen.demo.drawings import Scene, Style, draw, dressed
from batchgen.demo.evaluate import MODEL
from batchgen.demo.fitting import Fit, Plan, adamw, generator_of
from batchgen.demo.vae import scenes_for_vae

UPSCALER: Final = MODEL.parent / "upscale_models" / "demo_x2.safetensors"

FILTERS: Final = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""How pictures are made smaller, in training and measuring."""

SCALE: Final = 2
_WIDTH: Final = 32
_DEPTH: Final = 10
_PICTURES: Final = 3000
_CROP: Final = 32
_BATCH: Final = 16

_DRESSES: Final[tuple[frozenset[Style], ...]] = (
    frozenset(),
    frozenset(),
    frozenset({"striped"}),
    frozenset({"outlined"}),
    frozenset({"striped", "outlined"}),
)


class Compact(nn.Module):
    """SRVGGNetCompact: convolutions and PReLUs, then pixel shuffle; what it finds is added to the enlarged picture."""

    def __init__(self) -> None:
        """Make the layers under the published names, `body.0` to `body.N`."""
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, _WIDTH, 3, padding=1), nn.PReLU(_WIDTH)]
        for _ in range(_DEPTH):
            layers += [nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.PReLU(_WIDTH)]
        layers.append(nn.Conv2d(_WIDTH, 3 * SCALE**2, 3, padding=1))
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return pictures 0..1 of shape (count, 3, 2h, 2w); values may lie a little outside."""
        found = nn.functional.pixel_shuffle(self.body(x), SCALE)
        return found + nn.functional.interpolate(x, scale_factor=SCALE, mode="nearest")


def new_upscaler(seed: int = 0) -> Compact:
    """Return an untrained upscaler of 0.1 million parameters."""
    # torch's layers are initialised from its global generator, and offer no other way.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Compact()


def scenes(seed: str, count: int) -> Iterator[Scene]:
    """Yield scenes: flat, striped, outlined, drawn in lines only, some in random colours."""
    rng = Random(seed)
    for scene in scenes_for_vae(seed, count):
        dress = rng.choice(_DRESSES)
        yield dressed(scene, dress) if dress and scene.layout != "three" and not scene.outline else scene


def pairs(seed: str, count: int) -> Iterator[tuple[Image.Image, Image.Image]]:
    """Yield drawings of 128 x 128 pixels and the same at half the size, by a filter chosen at random."""
    rng = Random(f"{seed}-filters")
    for scene in scenes(seed, count):
        large = draw(scene, SCALE)
        yield large, halved(large, rng.choice(list(FILTERS)))


def halved(picture: Image.Image, name: str) -> Image.Image:
    """Return the picture at half its size by one of `FILTERS`."""
    return picture.resize((picture.width // SCALE, picture.height // SCALE), FILTERS[name])


def _bytes(pictures: Sequence[Image.Image]) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2).contiguous()


def train(work: Path, steps: int, pictures: int = _PICTURES) -> Compact:
    """Return the upscaler, trained on the drawings and then on recoloured ones; checkpoints are kept in `work`."""
    large, small = (_bytes(part) for part in zip(*pairs("upscaler", pictures), strict=True))
    model = new_upscaler()
    for name, lesson in (("drawings", _drawings), ("recoloured", _recoloured)):
        plan = Plan(steps=steps, average=0.998)
        fit = Fit({"upscaler": model}, adamw([(model.parameters(), 1e-3)], decay=0.0), plan, work / f"{name}.pt")
        fit.run(partial(lesson, fit.modules["upscaler"], large, small))
        model = cast("Compact", fit.best("upscaler"))
    return model


def _drawings(model: nn.Module, large: Tensor, small: Tensor, step: int) -> Tensor:
    """Return the L1 error, smooth at 0, of a step's crops."""
    seen, wanted = _crops(large, small, generator_of(31, step))
    error: Tensor = model(seen) - wanted
    return (error.square() + 1e-6).sqrt().mean()


def _recoloured(model: nn.Module, large: Tensor, small: Tensor, step: int) -> Tensor:
    """Return the mean logarithm of the crops' squared errors, which is their PSNR, in any colours and turned about.

    What makes a picture smaller treats channels alike, so channels may be stretched and swapped afterwards.
    """
    chooser = generator_of(32, step)
    parts = _crops(large, small, chooser)
    low, high = torch.rand(2, _BATCH, 3, 1, 1, generator=chooser)
    order = torch.rand(_BATCH, 3, generator=chooser).argsort(dim=1)
    turn, mirrored = torch.randint(4, (2,), generator=chooser).tolist()
    seen, wanted = (_turned(low + (high - low) * _swapped(part, order), turn, mirrored % 2) for part in parts)
    error: Tensor = model(seen.contiguous(memory_format=torch.channels_last)) - wanted
    return (error.square().mean(dim=(1, 2, 3)) + 1e-6).log().mean()


def _crops(large: Tensor, small: Tensor, chooser: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a batch of small pictures' crops, 0..1, and what they should become."""
    rows = torch.randint(len(large), (_BATCH,), generator=chooser)
    top, left = torch.randint(small.shape[-1] - _CROP + 1, (2,), generator=chooser).tolist()
    seen = small[rows, :, top : top + _CROP, left : left + _CROP].float() / 255
    top, left, side = SCALE * top, SCALE * left, SCALE * _CROP
    wanted = large[rows, :, top : top + side, left : left + side].float() / 255
    return seen.contiguous(memory_format=torch.channels_last), wanted


def _swapped(pictures: Tensor, order: Tensor) -> Tensor:
    """Return the pictures with the channels of each in its own order."""
    return pictures[torch.arange(len(pictures))[:, None], order]


def _turned(pictures: Tensor, quarters: int, mirrored: int) -> Tensor:
    turned = pictures.rot90(quarters, (2, 3))
    return turned.flip(3) if mirrored else turned


def save(path: Path, model: Compact, steps: int) -> None:
    """Write the file in half precision."""
    about = {
        "format": "pt",
        "modelspec.title": path.stem,
        "modelspec.architecture": "compact",
        "modelspec.license": "Apache-2.0",
        "training": f"2 x {steps} steps of {_BATCH} crops of drawings that batchgen.demo.drawings makes",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.detach().to(torch.float16).contiguous() for name, tensor in model.state_dict().items()}
    save_file(halves, path, about)
    path.chmod(0o644)  # safetensors writes for its owner alone


def load_upscaler(path: Path = UPSCALER) -> Compact:
    """Return the shipped upscaler in full precision, without spandrel."""
    model = new_upscaler()
    model.load_state_dict(load_file(path))
    return model.eval().requires_grad_(False)


@torch.no_grad()
def upscaled(model: nn.Module, picture: Image.Image) -> Image.Image:
    """Return the picture at twice its size."""
    answer = model(_bytes([picture]).float() / 255)[0].clamp(0, 1)
    return Image.fromarray((answer * 255).round().byte().permute(1, 2, 0).numpy())


def psnr(ours: Image.Image, theirs: Image.Image) -> float:
    """Return the peak signal-to-noise ratio in decibel, at most 60, over all channels."""
    error = np.square(np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)).mean()
    return float(10 * np.log10(255**2 / max(error, 255**2 / 1e6)))


def measure(model: nn.Module, count: int) -> list[str]:
    """Return a table: mean PSNR of fresh drawings in decibel, for each filter that made them smaller."""
    drawings = [draw(scene, SCALE) for scene in scenes("fresh", count)]
    lines = ["| made smaller by | bicubic | upscaler | least gain |", "|---|---|---|---|"]
    for name in FILTERS:
        halves = [halved(drawing, name) for drawing in drawings]
        bicubic = [psnr(h.resize(d.size, Image.Resampling.BICUBIC), d) for h, d in zip(halves, drawings, strict=True)]
        ours = [psnr(upscaled(model, h), d) for h, d in zip(halves, drawings, strict=True)]
        worst = min(b - a for a, b in zip(bicubic, ours, strict=True))
        lines.append(f"| {name} | {np.mean(bicubic):.2f} | {np.mean(ours):.2f} | {worst:.2f} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the upscaler and write its file, or measure the file."""
    parser = argparse.ArgumentParser(prog="python -m batchgen.demo.upscaler", description="Train the x2 upscaler.")
    parser.add_argument("--out", type=Path, default=UPSCALER, help="the file")
    parser.add_argument("--work", type=Path, default=Path("upscaler.training"), help="where checkpoints are kept")
    parser.add_argument("--steps", type=int, default=3000, help="optimiser steps of each of two parts")
    parser.add_argument("--measure", action="store_true", help="compare the file with bicubic instead")
    parser.add_argument("--pictures", type=int, default=100, help="fresh drawings to measure with")
    parser.add_argument("--threads", type=int, default=1, help="more than the free cores is far slower")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if not options.measure:
        options.work.mkdir(parents=True, exist_ok=True)
        save(options.out, train(options.work, options.steps), options.steps)
    print("\n".join(measure(load_upscaler(options.out), options.pictures)))


if __name__ == "__main__":
    main()
