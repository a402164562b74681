"""Upscalers at work: a finished picture in, a larger one out. ESRGAN and its many successors, as spandrel reads them.

    python -m batchgen.diffusion.upscaling 4x-UltraSharp.pth

says by how much a model enlarges, as JSON in the last line.
"""

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from batchgen.diffusion.beginning import read_pixels
from batchgen.diffusion.machine import failures_in_words, give_back_memory, name_of, resolve_precision
from batchgen.diffusion.spandrel_import import import_spandrel
from batchgen.diffusion.tiles import Values, laid_together
from batchgen.engine import FORGETFUL, NO_BOOKMARKS, Bookmarks, Latents, OnStep, Pixels, Rendered, Runtime
from batchgen.errors import EngineError, ModelError, NotFinite, OutOfMemory
from batchgen.job import Job, Model, Stage
from batchgen.parts import Canvas

TILES: Final = (512, 256, 128)
"""Longest sides of tiles in pixels; a shorter one is tried where memory does not hold the one before."""

MAX_SIDE: Final = 16384
"""Pixels; no picture is larger."""

_ROUNDED: Final = 1.05
"""A side of the canvas may be so much longer than what a pass gives: sides are rounded to what a denoiser takes."""

_SHOWN: Final = 160
"""Characters of what a library says."""


def load_upscaler(path: Path) -> Any:
    """Return spandrel's descriptor of a model that makes RGB pictures larger, or only better; on the CPU, in fp32.

    Nothing in the file is run: pickles are read with torch's `weights_only`.

    Raises:
        ModelError: it is damaged, of an architecture that spandrel does not know, or for something else.
    """
    spandrel = import_spandrel()
    try:
        found = spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(_weights(path)))
    except spandrel.UnsupportedModelError as error:
        raise ModelError("is of no architecture that spandrel knows", where=str(path)) from error
    except Exception as error:  # a file may hold anything, and each architecture fails in its own way
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:_SHOWN]
        raise ModelError(f"is damaged, or no upscaler: {said}", where=str(path)) from error
    takes, gives = found.input_channels, found.output_channels
    if not isinstance(found, spandrel.ImageModelDescriptor) or (takes, gives) != (3, 3):
        what = f"is for {found.purpose} with {takes} channels in and {gives} out"
        raise ModelError(f"{what}; upscalers of RGB pictures are used here", where=str(path))
    found.eval().model.requires_grad_(False)
    return found


def _weights(path: Path) -> Any:
    if path.suffix.lower() == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


class UpscaleSession:
    """One upscaler, ready to work."""

    def __init__(self, model: Model, runtime: Runtime, device: torch.device) -> None:
        """Load `model`.

        Raises:
            ModelError: as `load_upscaler`.
        """
        self._model = model
        self._runtime = runtime
        self._device = device
        self._network: _Network | None = self._loaded("auto")

    def render(
        self,
        jobs: Sequence[Job],
        on_step: OnStep,
        latents: Latents = FORGETFUL,
        bookmarks: Bookmarks = NO_BOOKMARKS,
    ) -> Sequence[Rendered]:
        """Return one picture per job, or clip, in order, one made after the other; `on_step` is told of every tile.

        Raises:
            EngineError: the picture to begin with cannot be read.
            OutOfMemory: not even the smallest tile fits.
            NotFinite: a picture has NaN or infinity even in fp32.
            DeviceLost: the device fails from here on.
        """
        del latents, bookmarks  # nothing is denoised
        made: dict[str, Rendered] = {}  # a batch may be filled up with copies
        for job in jobs:
            if job.id not in made:
                made[job.id] = self._clip(job, on_step) if job.clip else self._upscaled(job, _source(job), on_step)
        return [made[job.id] for job in jobs]

    def rehearse(self, jobs: Sequence[Job], on_step: OnStep) -> None:
        """Enlarge a grey picture as large as the one that the first job begins with; raises what `render` would."""
        job = jobs[0]
        if isinstance(job.init_image, Stage):
            canvas = job.init_image.job.canvas
            grey = np.full((canvas.height, canvas.width, 3), 127, np.uint8)
        else:
            grey = np.full_like(_source(job), 127)
        self._upscaled(job, grey, on_step)

    def close(self) -> None:
        """Let the model go and give its memory back."""
        self._network = None
        give_back_memory(self._device)

    def _clip(self, job: Job, on_step: OnStep) -> Rendered:
        """Return a clip whose frames were made larger one by one: beside what is made, memory holds no two of them."""
        made: Pixels = np.empty((job.motion.frames, job.canvas.height, job.canvas.width, 3), np.uint8)
        facts: dict[str, Any] = {}
        tiles = 0

        def step(_: int) -> None:
            nonlocal tiles
            tiles += 1
            on_step(tiles)

        for number in range(len(made)):
            frame = self._upscaled(job, _source(job, number + 1), step)
            made[number] = frame.pixels
            facts |= frame.facts
        return Rendered(pixels=made, facts=facts | {"tiles": tiles})

    def _upscaled(self, job: Job, pixels: Pixels, on_step: OnStep) -> Rendered:
        network, canvas, done = self._in_precision(job.numerics.precision), job.canvas, _Done()
        while not done.passes or (done.passes == 1 and _falls_short(pixels, canvas, network.scale)):
            with torch.inference_mode(), failures_in_words():
                pixels = network.enlarged(pixels, done, on_step)
        exact = pixels.shape[:2] == (canvas.height, canvas.width)
        facts = {
            "upscaler": self._model.name,
            "architecture": network.architecture,
            "scale": network.scale,
            "passes": done.passes,
            "tiles": done.tiles,
            "resized": None if exact else "lanczos",
            "device": self._device.type,
            "dtype": name_of(network.dtype),
            "spandrel": version("spandrel"),
        }
        return Rendered(pixels=pixels if exact else _resized(pixels, canvas), facts=facts | done.said)

    def _in_precision(self, precision: str) -> "_Network":
        """Return the network in the format asked for. It is read again for another: a round trip would lose bits."""
        if self._network is None:
            raise EngineError("the session is closed")
        if self._network.asked != self._format(precision):
            self._network = self._loaded(precision)
        return self._network

    def _loaded(self, precision: str) -> "_Network":
        return _Network(load_upscaler(Path(self._model.path)), self._device, self._format(precision))

    def _format(self, precision: str) -> torch.dtype:
        return resolve_precision(precision, self._runtime, self._model.family, self._device)


@dataclass(slots=True)
class _Done:
    """How far a picture is."""

    passes: int = 0
    tiles: int = 0
    said: dict[str, Any] = field(default_factory=dict)
    """What happened that is not usual."""


class _Network:
    """What spandrel has read, on the device."""

    def __init__(self, descriptor: Any, device: torch.device, dtype: torch.dtype) -> None:
        """Hold the weights in `dtype`; in fp32 if the architecture cannot be trusted with less."""
        self.asked = dtype
        self.scale = int(descriptor.scale)
        self.architecture = str(descriptor.architecture.name)
        halves = {torch.float16: descriptor.supports_half, torch.bfloat16: descriptor.supports_bfloat16}
        self.dtype = dtype if halves.get(dtype, True) else torch.float32
        self._descriptor = descriptor
        self._device = device
        # Others take the whole picture into account, or cut it into tiles of their own.
        self._sides = TILES if descriptor.tiling.name == "SUPPORTED" else (MAX_SIDE,)
        self._finite = True
        # spandrel cuts what comes out to 0..1, where infinity would look like white.
        descriptor.model.register_forward_hook(self._look)
        descriptor.model.to(device, self.dtype)

    def enlarged(self, pixels: Pixels, done: _Done, on_step: OnStep) -> Pixels:
        """Return a picture after one pass, and add to `done` what it took.

        Raises:
            OutOfMemory: not even the smallest tile fits.
            NotFinite: the network overflows.
        """

        def tile(part: Pixels) -> Values:
            values = self._run(part, done)
            done.tiles += 1
            on_step(done.tiles)
            return values

        done.passes += 1
        before = done.tiles
        for side in self._sides[:-1]:
            with contextlib.suppress(OutOfMemory), failures_in_words():
                return _bytes(laid_together(pixels, side, self.scale, tile))
            done.tiles = before
            done.said["out_of_memory"] = f"tiles of less than {side} pixels"
            give_back_memory(self._device)
        return _bytes(laid_together(pixels, self._sides[-1], self.scale, tile))

    def _run(self, pixels: Pixels, done: _Done) -> Values:
        """Return a tile enlarged; what overflows in half precision is done again in fp32."""
        values = self._once(pixels, self.dtype)
        if not self._finite and self.dtype is not torch.float32:
            done.said["fp32_retry"] = True
            try:
                values = self._once(pixels, torch.float32)
            finally:
                self._descriptor.model.to(self.dtype)
        if not self._finite:
            raise NotFinite("the enlarged picture is not finite: the upscaler overflowed")
        return values

    def _once(self, pixels: Pixels, dtype: torch.dtype) -> Values:
        self._finite = True
        self._descriptor.model.to(dtype)
        picture = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
        enlarged: Tensor = self._descriptor(picture.to(self._device, dtype))[0].permute(1, 2, 0)
        values: Values = enlarged.float().cpu().numpy()
        wanted = (pixels.shape[0] * self.scale, pixels.shape[1] * self.scale, 3)
        if values.shape != wanted:
            raise EngineError(f"the upscaler gave {values.shape} instead of {wanted}")
        return values

    def _look(self, _module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and not bool(output.isfinite().all()):
            self._finite = False


def _source(job: Job, frame: int | None = None) -> Pixels:
    if job.init_image is None:
        raise EngineError("there is no picture to enlarge")
    return read_pixels(job.init_image, frame)


def _falls_short(pixels: Pixels, canvas: Canvas, scale: int) -> bool:
    """Say whether a picture is to be larger yet, and another pass makes it so."""
    height, width = pixels.shape[:2]
    return scale > 1 and max(canvas.height / height, canvas.width / width) > _ROUNDED


def _bytes(values: Values) -> Pixels:
    pixels: Pixels = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return pixels


def _resized(pixels: Pixels, canvas: Canvas) -> Pixels:
    picture = Image.fromarray(pixels).resize((canvas.width, canvas.height), Image.Resampling.LANCZOS)
    resized: Pixels = np.asarray(picture)
    return resized


def main(arguments: Sequence[str]) -> int:
    """Print by how much the model in a file enlarges; return 2 and say why if it is none."""
    try:
        found = load_upscaler(Path(arguments[0]))
    except ModelError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    sys.stdout.write(json.dumps({"architecture": found.architecture.name, "scale": found.scale}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
