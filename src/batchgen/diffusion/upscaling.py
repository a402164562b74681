"""Upscalers at work: a finished picture in, a larger one out. ESRGAN and its many successors, as spandrel reads them.

    python -m batchgen.diffusion.upscaling 4x-UltraSharp.pth

says by how much a model enlarges, as JSON in the last line.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Sequence
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
from batchgen.diffusion.tiles import Values, enlarged
from batchgen.engine import FORGETFUL, Latents, OnStep, Pixels, Rendered, Runtime
from batchgen.errors import EngineError, ModelError, NotFinite, OutOfMemory
from batchgen.job import Canvas, Job, Model, Stage

TILES: Final = (512, 256, 128)
"""Longest sides of tiles in pixels; a shorter one is tried where memory does not hold the one before."""

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
    except Exception as error:  # noqa: BLE001 - a file may hold anything, and each architecture fails in its own way
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
        self._network: _Network | None = _Network(load_upscaler(Path(model.path)), device)

    def render(self, jobs: Sequence[Job], on_step: OnStep, latents: Latents = FORGETFUL) -> Sequence[Rendered]:
        """Return one picture per job, in order, one made after the other; `on_step` is told of every tile.

        Raises:
            EngineError: the picture to begin with cannot be read.
            OutOfMemory: not even the smallest tile fits.
            NotFinite: a picture has NaN or infinity even in fp32.
            DeviceLost: the device fails from here on.
        """
        del latents  # nothing is denoised
        made: dict[str, Rendered] = {}  # a batch may be filled up with copies
        for job in jobs:
            if job.id not in made:
                made[job.id] = self._upscaled(job, _source(job), self._counting(on_step))
        return [made[job.id] for job in jobs]

    def rehearse(self, jobs: Sequence[Job], on_step: OnStep) -> None:
        """Enlarge a grey picture of the size that the first job begins with, or will; raises what `render` would."""
        for job in jobs[:1]:
            source = job.init_image
            if isinstance(source, Stage):
                grey = np.full((source.job.canvas.height, source.job.canvas.width, 3), 127, np.uint8)
            else:
                grey = np.full_like(_source(job), 127)
            self._upscaled(job, grey, self._counting(on_step))

    def close(self) -> None:
        """Let the model go and give its memory back."""
        self._network = None
        give_back_memory(self._device)

    def _counting(self, on_step: OnStep) -> Callable[[], None]:
        count = 0

        def on_tile() -> None:
            nonlocal count
            count += 1
            on_step(count)

        return on_tile

    def _upscaled(self, job: Job, pixels: Pixels, on_tile: Callable[[], None]) -> Rendered:
        if self._network is None:
            raise EngineError("the session is closed")
        network, tiles, tile, passes = self._network, 0, 0, 0
        with torch.inference_mode():
            asked = resolve_precision(job.numerics.precision, self._runtime, self._model.family, self._device)
            network.hold_in(asked)
            retried = False
            while not passes or (passes == 1 and _falls_short(pixels, job.canvas, network.scale)):
                pixels, count, tile, again = network.enlarged(pixels, on_tile)
                tiles, passes, retried = tiles + count, passes + 1, retried or again
        exact = pixels.shape[:2] == (job.canvas.height, job.canvas.width)
        facts = {
            "upscaler": self._model.name,
            "architecture": network.architecture,
            "scale": network.scale,
            "passes": passes,
            "tiles": tiles,
            "tile": tile if tiles > passes else None,
            "resized": None if exact else "lanczos",
            "device": self._device.type,
            "dtype": name_of(network.dtype),
            "spandrel": version("spandrel"),
        }
        said = {"out_of_memory": f"tiles of {tile} pixels instead of {TILES[0]}" if 0 < tile < TILES[0] else None}
        said["fp32_retry"] = True if retried else None
        facts |= {name: value for name, value in said.items() if value is not None}
        return Rendered(pixels=pixels if exact else _resized(pixels, job.canvas), facts=facts)


class _Network:
    """spandrel's descriptor on a device."""

    def __init__(self, descriptor: Any, device: torch.device) -> None:
        self._descriptor = descriptor
        self._device = device
        self._finite = True
        self._tiled = descriptor.tiling.name == "SUPPORTED"
        self.scale = int(descriptor.scale)
        self.architecture = str(descriptor.architecture.name)
        # spandrel cuts what comes out to 0..1, where infinity would look like white.
        descriptor.model.register_forward_hook(self._look)
        self._wide = {name: tensor.clone() for name, tensor in descriptor.model.state_dict().items()}

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights."""
        found: torch.dtype = self._descriptor.dtype
        return found
