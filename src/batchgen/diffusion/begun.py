"""Pictures to begin with as latents, with the mask at the latents' size: what the steps need of them."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from batchgen.diffusion.beginning import Beginning, begin
from batchgen.diffusion.clips import AnimatingDecoder
from batchgen.diffusion.decoding import Decoder
from batchgen.job import Job

_REMEMBERED = 16
"""Pictures of which the latents are kept: the strengths of a sweep begin with the same ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What pictures begin with, one row each."""

    latents: Tensor | None = None
    """Shape (rows, channels, height, width), in the denoiser's scale; None: noise alone, with a frame beside it."""
    mask: Tensor | None = None
    """Shape (rows, 1, height, width): 1 where a picture is painted anew."""
    beside: Tensor | None = None
    """What a checkpoint takes beside the latents: for inpainting mask and masked picture, (rows, 1 + channels, ...); to
    animate a picture, as much as its denoiser's family says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One picture to begin with, and its latents."""

    beginning: Beginning
    begun: Begun


class Beginnings:
    """Pictures to begin with; each is read and encoded once while it is in use."""

    def __init__(self) -> None:
        """Nothing is remembered yet."""
        self._known: OrderedDict[Hashable, Entry] = OrderedDict()

    def of(self, job: Job, decoder: Decoder, device: torch.device) -> Entry | None:
        """Return what `job` begins with, encoded on `device`; None if it begins with noise.

        Raises:
            EngineError: a picture cannot be read.
        """
        strengthless = replace(job.start, strength=1.0)
        key = (job.init_image, job.mask_image, job.canvas, strengthless, job.vae, decoder.dtype)
        if key not in self._known:
            beginning = begin(job)
            if beginning is None:
                return None
            self._known[key] = _entry(job, beginning, decoder, device)
        self._known.move_to_end(key)
        return self._known[key]

    def forget(self) -> None:
        """Let go of all but the latest; between batches, so that one of any size reads each picture once."""
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def together(entries: Sequence[Entry | None]) -> Begun | None:
    """Return the rows of a batch; None if it begins with noise. All have a mask, or none."""
    begun = [entry.begun for entry in entries if entry is not None]
    if not begun:
        return None
    latents = [each.latents for each in begun if each.latents is not None]
    masks = [each.mask for each in begun if each.mask is not None]
    besides = [each.beside for each in begun if each.beside is not None]
    return Begun(
        latents=torch.cat(latents) if latents else None,
        mask=torch.cat(masks) if masks else None,
        beside=torch.cat(besides) if besides else None,
    )


def _entry(job: Job, beginning: Beginning, decoder: Decoder, device: torch.device) -> Entry:
    image = torch.from_numpy(beginning.pixels.copy()).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
    if isinstance(decoder, AnimatingDecoder):
        return Entry(beginning=beginning, begun=Begun(beside=decoder.first_frame(image, job)))
    if beginning.mask is None:
        return Entry(beginning=beginning, begun=Begun(latents=decoder.encode(image)))
    mask = torch.from_numpy(beginning.mask.copy()).to(device)[None, None]
    # ComfyUI's VAEEncodeForInpaint: grey, 0 between -1 and 1, wherever the mask rounds to 1.
    hidden = image * (1 - mask.round())
    masked = decoder.encode(hidden)
    latents = masked if job.start.mask_content == "neutral" else decoder.encode(image)
    small = interpolate(mask, size=latents.shape[-2:], mode="bilinear")
    return Entry(
        beginning=beginning,
        begun=Begun(latents=latents, mask=small, beside=torch.cat((small.round(), masked), dim=1)),
    )
