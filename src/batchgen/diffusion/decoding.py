"""From latents to bytes. What is not finite is seen here, before it turns into a picture that looks like one."""

from typing import Any

import torch
from torch import Tensor

from batchgen.engine import Pixels
from batchgen.errors import NotFinite

TOGETHER = 256 * 256
"""Pixels of a picture up to which a batch is decoded at once.

Small pictures cost mostly the launching of their many operations, so together is faster. Large ones fill the machine
one by one, and what their decoding needs in between (about a gigabyte at 512 x 512) should not grow with the batch.
"""


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

    def decode(self, latents: Tensor, rounding: str) -> list[tuple[Pixels, bool]]:
        """Return each picture, and whether it had to be decoded again in fp32.

        Args:
            latents: shape (pictures, channels, height, width), in the denoiser's scale.
            rounding: `round` to the nearest of 256 values, or `truncate`.

        Raises:
            NotFinite: a picture has NaN or infinity even in fp32.
        """
        latents = self._unscaled(latents)
        scale = 2 ** (len(self._vae.config.block_out_channels) - 1)
        pixels = latents.shape[-1] * latents.shape[-2] * scale * scale
        size = latents.shape[0] if pixels <= TOGETHER else 1
        pictures: list[tuple[Pixels, bool]] = []
        for some in torch.split(latents, size):
            images = self._run(some)
            pictures += [self._finished(row, image, rounding) for row, image in zip(some, images, strict=True)]
        return pictures

    def _unscaled(self, latents: Tensor) -> Tensor:
        """Undo the scale in which the denoiser was trained; some models have a mean and a deviation per channel."""
        config = self._vae.config
        latents = latents.float() / config.scaling_factor
        mean, deviation = config.get("latents_mean"), config.get("latents_std")
        if mean is not None and deviation is not None:
            shape = (1, -1, 1, 1)
            return latents * latents.new_tensor(deviation).view(shape) + latents.new_tensor(mean).view(shape)
        return latents + (config.get("shift_factor") or 0.0)

    def _run(self, latents: Tensor) -> Tensor:
        decoded: Tensor = self._vae.decode(latents.to(self.dtype), return_dict=False)[0]
        return decoded.float()

    def _finished(self, latents: Tensor, image: Tensor, rounding: str) -> tuple[Pixels, bool]:
        if bool(image.isfinite().all()):
            return to_pixels(image, rounding), False
        if self.dtype is not torch.float32 and bool(latents.isfinite().all()):
            image = self._run_in_fp32(latents)
            if bool(image.isfinite().all()):
                return to_pixels(image, rounding), True
        raise NotFinite(f"the picture is not finite after decoding in fp32: {_what_is_wrong(latents)}")

    def _run_in_fp32(self, latents: Tensor) -> Tensor:
        """Decode one picture in fp32; afterwards the weights are as they were, so that later pictures are too."""
        dtype = self.dtype
        try:
            self._vae.to(torch.float32)
            return self._run(latents[None])[0]
        finally:
            self._vae.to(dtype)


def _what_is_wrong(latents: Tensor) -> str:
    finite = bool(latents.isfinite().all())
    return "the decoder overflowed" if finite else "the latents were not finite before (another precision may help)"


def to_pixels(image: Tensor, rounding: str) -> Pixels:
    """Return a picture of -1..1, shape (3, height, width), as bytes of shape (height, width, 3)."""
    values = ((image + 1) / 2).clamp(0, 1) * 255
    if rounding == "round":
        values = values.round()
    pixels: Pixels = values.to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
    return pixels
