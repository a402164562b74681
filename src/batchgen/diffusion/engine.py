"""The engine that renders with diffusers' models: on this machine, from files that are on it."""

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

# Set before the libraries are imported: nothing is fetched, and no one is told what is rendered.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", DO_NOT_TRACK="1")

import torch

from batchgen.diffusion.denoiser import Denoiser
from batchgen.diffusion.loading import scheduler_config
from batchgen.diffusion.machine import describe, set_up
from batchgen.diffusion.session import DiffusionSession
from batchgen.engine import Runtime, Session
from batchgen.errors import ModelError, unknown_name
from batchgen.job import UPSCALER, Model

_DENOISERS: Mapping[str, tuple[str, str]] = {
    "sd15": ("batchgen.diffusion.unet", "UNetDenoiser"),
    "sdxl": ("batchgen.diffusion.unet", "UNetDenoiser"),
    "flux": ("batchgen.diffusion.flux", "FluxDenoiser"),
    "cogvideox": ("batchgen.diffusion.cogvideox", "CogVideoXDenoiser"),
    "cogvideox_i2v": ("batchgen.diffusion.cogvideox", "CogVideoXDenoiser"),
    "wan": ("batchgen.diffusion.wan", "WanDenoiser"),
    "ltx": ("batchgen.diffusion.ltx", "LTXDenoiser"),
}
"""Which class renders which family. Imported when a model of it is opened: each brings its own large libraries."""


class DiffusionEngine:
    """Loads models and renders with them."""

    def __init__(self, runtime: Runtime) -> None:
        """Prepare the machine as `runtime` says.

        Raises:
            EngineError: the device asked for is not on this machine.
        """
        self._runtime = runtime
        self._device = set_up(runtime)

    def open(self, model: Model) -> Session:
        """See that `model` can be loaded; its weights are read for the first batch, in the precision that one asks for.

        Raises:
            ModelError: a file is missing, damaged, or of another family.
        """
        if model.family == UPSCALER:
            kind = import_module("batchgen.diffusion.upscaling").UpscaleSession
            upscaler: Session = kind(model, self._runtime, self._device)
            return upscaler
        if model.family not in _DENOISERS:
            raise ModelError(unknown_name("family", model.family, _DENOISERS), where=model.path)
        schedule = dict(scheduler_config(model))
        _kind(model.family).examine(model)
        return DiffusionSession(model, self._runtime, self._device, self._load, schedule)

    def _load(self, model: Model, dtype: torch.dtype) -> Denoiser:
        loaded: Denoiser = _kind(model.family)(model, dtype, self._device, self._runtime.memory)
        return loaded

    def environment(self) -> Mapping[str, Any]:
        """Return what pixels may depend on beyond the recipe: versions, device, flags. JSON values."""
        return describe(self._device)


def _kind(family: str) -> Any:
    module, name = _DENOISERS[family]
    return getattr(import_module(module), name)
