"""What the families of clips have in common: a T5 that reads, a transformer, and an autoencoder over space and time."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from batchgen.diffusion.adapters import Adapters
from batchgen.diffusion.component import Part
from batchgen.diffusion.conditioning import Encoded, Wording
from batchgen.diffusion.decoding import Decoded, Decoder
from batchgen.diffusion.loading import load_parts, outline_parts
from batchgen.diffusion.residence import Memory, Residence
from batchgen.diffusion.t5 import T5
from batchgen.errors import ModelError
from batchgen.job import Job, Model
from batchgen.models.families import FAMILIES
from batchgen.parts import Numerics


class ClipDecoder(Decoder):
    """The second half of an autoencoder over space and time. One clip is decoded at a time, however small."""

    def decode(self, latents: Tensor, numerics: Numerics) -> list[Decoded]:
        """Return each clip, frames x height x width x 3, or the picture where it has one frame; as `Decoder.decode`."""
        decoded = super().decode(latents, numerics)
        return [(pixels[0] if len(pixels) == 1 else pixels, said) for pixels, said in decoded]

    def _together(self, latents: Tensor) -> int:
        del latents
        return 1

    def _larger(self, latents: Tensor) -> bool:
        return any(side > most for side, most in zip(latents.shape[-2:], self._tile(), strict=True))

    def _tile(self) -> tuple[int, int]:
        """Return height and width of a tile, in latent pixels."""
        scale = self._vae.spatial_compression_ratio
        return self._vae.tile_sample_min_height // scale, self._vae.tile_sample_min_width // scale


class AnimatingDecoder(ClipDecoder, ABC):
    """The autoencoder of a model that animates pictures."""

    @abstractmethod
    def first_frame(self, image: Tensor, job: Job) -> Tensor:
        """Return what a denoiser that animates a picture takes with the latents of a clip.

        Args:
            image: shape (1, 3, height, width), -1 to 1.
            job: says how long the clip is.
        """


class ClipDenoiser(ABC):
    """A loaded model that makes clips: what its families do alike. The others say how they are read and asked."""

    parts: ClassVar[Sequence[Part]]
    """Its components: `tokenizer`, `text_encoder`, `transformer` and `vae`."""

    masked: ClassVar[bool] = False
    """The text encoder does not look at padding."""

    def __init__(self, model: Model, dtype: torch.dtype, device: torch.device, memory: Memory) -> None:
        """Load the model.

        Raises:
            ModelError: a file is missing, damaged, or of another family.
        """
        self._parts = load_parts(model, self.parts, dtype)
        self._device = device
        modules = {name: part for name, part in self._parts.items() if not name.startswith("tokenizer")}
        self._residence = Residence(modules, device, memory)
        self._transformer = self._parts["transformer"]
        self._t5 = T5(self._parts["tokenizer"], self._parts["text_encoder"], device, masked=self.masked)
        self.dtype = dtype
        self.decoder: Decoder = self._decoder(self._parts["vae"])
        self.inpaints = False
        self.adapters = Adapters({name: module for name, module in modules.items() if name != "vae"}, model)

    @classmethod
    def examine(cls, model: Model) -> None:
        """See that `model` can be loaded, without its weights.

        Raises:
            ModelError: a file is missing, damaged, or of another family, or the model is made for something else.
        """
        parts = outline_parts(model, cls.parts)
        takes = int(parts["transformer"].config.in_channels)
        wanted = cls.channels(parts["vae"], animates=FAMILIES[model.family].animates)
        if takes != wanted:
            raise ModelError(f"its denoiser takes {takes} channels, and {wanted} are needed", where=model.path)

    @classmethod
    def channels(cls, vae: Any, *, animates: bool) -> int:
        """Return the channels that a denoiser takes: those of a latent, and of a first frame beside it."""
        return (2 if animates else 1) * int(vae.config.latent_channels)

    @property
    @abstractmethod
    def text_length(self) -> int:
        """Tokens that the denoiser takes, padding and the end among them."""

    def encode(self, wording: Wording) -> Encoded:
        """Return T5's states of a text, padding among them.

        Raises:
            EngineError: it is longer than the denoiser takes.
        """
        self._residence.bring(["text_encoder"])
        states, tokens = self._t5.read_within(wording, self.text_length)
        return Encoded(states=states.to(self.dtype), tokens=tokens, chunks=0)

    def to_decoding(self) -> None:
        """Have the autoencoder on the device."""
        self._residence.bring(["vae"])

    @abstractmethod
    def _decoder(self, vae: Any) -> ClipDecoder: ...

    def _states(self, texts: Sequence[Encoded]) -> Tensor:
        """Return the states of texts on the device, where the denoiser is now, too."""
        self._residence.bring(["transformer"])
        return torch.cat([text.states for text in texts]).to(self._device, self.dtype)

    def _times(self, timestep: float, rows: int) -> Tensor:
        return torch.full((rows,), timestep, device=self._device, dtype=torch.float32)


def frames_of(job: Job, ratio: int) -> int:
    """Return latent frames: the first frame has one to itself, and so have each `ratio` others."""
    return (job.motion.frames - 1) // ratio + 1
