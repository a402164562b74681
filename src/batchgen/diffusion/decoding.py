"""From latents to bytes. What is not finite is seen here, before it turns into a picture that looks like one."""

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from batchgen.diffusion.machine import failures_in_words, give_back_memory
from batchgen.engine import Pixels
from batchgen.errors import NotFinite, OutOfMemory
from batchgen.parts import Numerics

TOGETHER = 256 * 256
"""Pixels of a picture up to which a batch is decoded at once.

Small pictures cost mostly the launching of their many operations, so together is faster. Large ones fill the machine
one by one, and what their decoding needs in between (about a gigabyte at 512 x 512) should not grow with the batch.
"""

_TRIES: Mapping[str, tuple[bool, ...]] = {"off": (False, False), "on_oom": (False, False, True), "on": (True, True)}
"""By `vae_tiling`, what is tried until memory suffices: whole or, True, in tiles. A second try like the first has the
memory that the first left lying about, and gives the same bits."""

Decoded = tuple[Pixels, dict[str, Any]]
"""A picture, and what is to be said of its decoding: `decode_fp32_retry`, `vae_tiled`."""


class Decoder:
    """The autoencoder's second half."""

    def __init__(self, vae: Any) -> None:
        """Decode with a diffusers AutoencoderKL."""
        self._vae = vae

    @property
    def dtype(self) -> torch.dtype:
        """The number format it decodes in."""
        found: torch.dtype = self._vae.dtype
        return found

    def decode(self, latents: Tensor, numerics: Numerics) -> list[Decoded]:
        """Return each picture, and what is to be said of its decoding.

        Args:
            latents: shape (pictures, channels, height, width), in the denoiser's scale.
            numerics: how bytes are rounded, and whether tiles may be used.

        Raises:
            NotFinite: a picture has NaN or infinity even in fp32.
            OutOfMemory: it does not fit in any way that `numerics` allows.
        """
        latents = self._unscaled(latents)
        size = self._together(latents)
        pictures: list[Decoded] = []
        for some in torch.split(latents, size):
            images, tiled = self._run(some, numerics.vae_tiling)
            rows = zip(some, images, strict=True)
            pictures += [self._finished(row, image, numerics, tiled=tiled) for row, image in rows]
        return pictures

    def _together(self, latents: Tensor) -> int:
        """Return how many of these are decoded at once."""
        scale = 2 ** (len(self._vae.config.block_out_channels) - 1)
        pixels = latents.shape[-1] * latents.shape[-2] * scale * scale
        return latents.shape[0] if pixels <= TOGETHER else 1

    def encode(self, images: Tensor) -> Tensor:
        """Return the latents of pictures, in the denoiser's scale: the mode of what the encoder gives, no draw.

        Args:
            images: shape (pictures, 3, height, width), -1 to 1.

        Raises:
            NotFinite: the encoder overflowed.
        """
        rows = [self._vae.encode(image[None].to(self.dtype)).latent_dist.mode().float() for image in images]
        latents = torch.cat(rows)
        if not _finite(latents):
            raise NotFinite("the autoencoder overflowed on the picture to begin with (another precision may help)")
        return self._scaled(latents)

    def _scaled(self, latents: Tensor) -> Tensor:
        """Undo `_unscaled`."""
        config = self._vae.config
        mean, deviation = config.get("latents_mean"), config.get("latents_std")
        if mean is not None and deviation is not None:
            shape = (1, -1, 1, 1)
            latents = (latents - latents.new_tensor(mean).view(shape)) / latents.new_tensor(deviation).view(shape)
            return latents * float(config.scaling_factor)
        return (latents - float(config.get("shift_factor") or 0.0)) * float(config.scaling_factor)

    def _unscaled(self, latents: Tensor) -> Tensor:
        """Undo the scale in which the denoiser was trained; some models have a mean and a deviation per channel."""
        config = self._vae.config
        latents = latents.float() / config.scaling_factor
        mean, deviation = config.get("latents_mean"), config.get("latents_std")
        if mean is not None and deviation is not None:
            shape = (1, -1, 1, 1)
            return latents * latents.new_tensor(deviation).view(shape) + latents.new_tensor(mean).view(shape)
        return latents + (config.get("shift_factor") or 0.0)

    def _run(self, latents: Tensor, tiling: str) -> tuple[Tensor, bool]:
        """Return images, and whether they were decoded in tiles: what is no larger than a tile never is."""
        *tries, last = _TRIES[tiling if self._larger(latents) else "off"]
        for in_tiles in tries:
            with contextlib.suppress(OutOfMemory):
                return self._once(latents, in_tiles=in_tiles), in_tiles
            give_back_memory(latents.device)
        return self._once(latents, in_tiles=last), last

    def _larger(self, latents: Tensor) -> bool:
        """Return whether a picture is larger than a tile."""
        return bool(max(latents.shape[-2:]) > self._vae.tile_latent_min_size)

    def _once(self, latents: Tensor, *, in_tiles: bool) -> Tensor:
        try:
            if in_tiles:
                self._vae.enable_tiling()
            with failures_in_words():
                decoded: Tensor = self._vae.decode(latents.to(self.dtype), return_dict=False)[0]
                return decoded.float()
        finally:
            self._vae.disable_tiling()

    def _finished(self, latents: Tensor, image: Tensor, numerics: Numerics, *, tiled: bool) -> Decoded:
        again = self.dtype is not torch.float32 and not _finite(image) and _finite(latents)
        if again:
            image, tiled = self._run_in_fp32(latents, numerics.vae_tiling)
        if not _finite(image):
            raise NotFinite(f"the picture is not finite after decoding in fp32: {_what_is_wrong(latents)}")
        said = {"decode_fp32_retry": again, "vae_tiled": tiled}
        return to_pixels(image, numerics.rounding), {name: True for name, happened in said.items() if happened}

    def _run_in_fp32(self, latents: Tensor, tiling: str) -> tuple[Tensor, bool]:
        """Decode one picture in fp32; afterwards the weights are as they were, so that later pictures are too."""
        dtype = self.dtype
        try:
            self._vae.to(torch.float32)
            images, tiled = self._run(latents[None], tiling)
            return images[0], tiled
        finally:
            self._vae.to(dtype)


def _finite(values: Tensor) -> bool:
    return bool(values.isfinite().all())


def _what_is_wrong(latents: Tensor) -> str:
    return (
        "the decoder overflowed"
        if _finite(latents)
        else "the latents were not finite before (another precision may help)"
    )


def to_pixels(image: Tensor, rounding: str) -> Pixels:
    """Return a picture or clip of -1..1, shape (3, [frames,] height, width), as bytes with the colours last."""
    values = ((image + 1) / 2).clamp(0, 1) * 255
    if rounding == "round":
        values = values.round()
    pixels: Pixels = values.to(torch.uint8).movedim(0, -1).contiguous().cpu().numpy()
    return pixels
