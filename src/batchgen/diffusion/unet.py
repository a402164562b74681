"""Stable Diffusion 1.5 and XL: a UNet that attends to the states of one or two CLIP text encoders."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection
from transformers.models.clip.tokenization_clip import CLIPTokenizer

from batchgen.diffusion.adapters import Adapters
from batchgen.diffusion.component import Part
from batchgen.diffusion.conditioning import Encoded, Wording, clip_frame, clip_run, encode, lay_out
from batchgen.diffusion.decoding import Decoder
from batchgen.diffusion.denoiser import Predict
from batchgen.diffusion.embeddings import Inversions
from batchgen.diffusion.loading import check_channels, load_parts, outline_parts
from batchgen.diffusion.residence import Memory, Residence
from batchgen.job import Job, Model
from batchgen.parts import Canvas

_SD15 = (
    Part(name="tokenizer", kind=CLIPTokenizer, weights=False),
    Part(name="text_encoder", kind=CLIPTextModel),
    Part(name="unet", kind=UNet2DConditionModel),
)
_SDXL = (
    *_SD15,
    Part(name="tokenizer_2", kind=CLIPTokenizer, weights=False),
    Part(name="text_encoder_2", kind=CLIPTextModelWithProjection),
)

_CALLED = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
"""Text encoders, and what their parts are called in files of embeddings."""


def _parts(model: Model, *, vae_dtype: torch.dtype | None = None) -> tuple[Part, ...]:
    read = _SDXL if model.family == "sdxl" else _SD15
    return (*read, Part(name="vae", kind=AutoencoderKL, dtype=vae_dtype))


class UNetDenoiser:
    """A loaded model of family `sd15` or `sdxl`."""

    def __init__(self, model: Model, dtype: torch.dtype, device: torch.device, memory: Memory) -> None:
        """Load the model.

        Raises:
            ModelError: a file is missing, damaged, or of another family.
        """
        self._sdxl = model.family == "sdxl"
        self._parts = load_parts(model, _parts(model, vae_dtype=self._vae_dtype(dtype)), dtype)
        if not self._parts["vae"].config.force_upcast:
            self._parts["vae"].to(dtype)
        self._device = device
        self._encoders = [name for name in self._parts if name.startswith("text_encoder")]
        modules = {name: part for name, part in self._parts.items() if not name.startswith("tokenizer")}
        self._residence = Residence(modules, device, memory)
        self._unet = self._parts["unet"]
        self._inversions = Inversions()
        self.dtype = dtype
        self.decoder = Decoder(self._parts["vae"])
        self.adapters = Adapters({name: module for name, module in modules.items() if name != "vae"}, model)

    @staticmethod
    def examine(model: Model) -> None:
        """See that `model` can be loaded, without its weights.

        Raises:
            ModelError: a file is missing, damaged, or of another family, or the model is made for something else.
        """
        parts = outline_parts(model, _parts(model))
        if "unet" in parts:
            check_channels(model, parts["unet"].config.in_channels, parts["vae"])

    @property
    def inpaints(self) -> bool:
        """Whether the model was made for inpainting: it takes mask and masked picture with the latents."""
        return int(self._unet.config.in_channels) != int(self._parts["vae"].config.latent_channels)

    def _vae_dtype(self, dtype: torch.dtype) -> torch.dtype:
        # SDXL's autoencoder overflows in fp16; those that were mended say so in `force_upcast`.
        return torch.float32 if self._sdxl and dtype is torch.float16 else dtype

    def encode(self, wording: Wording) -> Encoded:
        """Return the states of one text encoder, or of two beside each other with the second one's summary."""
        self._residence.bring(self._encoders)
        read = [self._read(wording, name) for name in self._encoders]
        first = read[0]
        states = torch.cat([each.states for each in read], dim=-1)
        return Encoded(
            states=states.to(self.dtype),
            pooled=read[1].pooled if self._sdxl else None,
            tokens=first.tokens,
            chunks=first.chunks,
        )

    def _read(self, wording: Wording, name: str) -> Encoded:
        tokenizer, encoder = self._parts[name.replace("text_encoder", "tokenizer")], self._parts[name]
        frame = clip_frame(tokenizer, encoder)
        vectors = self._inversions.vectors(
            wording.embeddings, wording.emphasis, key=_CALLED[name], width=encoder.config.hidden_size
        )
        chunks = lay_out(wording, tokenizer, frame, vectors)
        # SDXL was trained on the states before the last layer, so that skipping one changes nothing.
        layer = -max(2, wording.clip_skip) if self._sdxl else -wording.clip_skip
        run = clip_run(encoder, self._device, layer=layer, normed=not self._sdxl)
        run = vectors.behind(encoder.get_input_embeddings(), run)
        states, pooled = encode(chunks, frame, run, wording.emphasis)
        tokens = sum(len(chunk) for chunk in chunks)
        return Encoded(states=states, pooled=pooled, tokens=tokens, chunks=len(chunks))

    def latent_shape(self, job: Job) -> tuple[int, int, int]:
        """Return channels, height and width of one latent image."""
        scale = 2 ** (len(self._parts["vae"].config.block_out_channels) - 1)
        return (self._parts["vae"].config.latent_channels, job.canvas.height // scale, job.canvas.width // scale)

    def predictor(self, texts: Sequence[Encoded], job: Job, beside: Tensor | None = None) -> Predict:
        """Return how to predict for as many rows as there are texts, all of one length; `beside` is for inpainting."""
        self._residence.bring(["unet"])
        states = torch.cat([text.states for text in texts]).to(self._device, self.dtype)
        added = self._added(texts, job.canvas) if self._sdxl else None

        def predict(latents: Tensor, timestep: float) -> Tensor:
            output: Tensor = self._unet(
                self._with_beside(latents, beside).to(self.dtype),
                torch.tensor(timestep, device=self._device),
                encoder_hidden_states=states,
                added_cond_kwargs=added,
                return_dict=False,
            )[0]
            return output.float()

        return predict

    def _with_beside(self, latents: Tensor, beside: Tensor | None) -> Tensor:
        """Add what an inpainting model takes: mask and masked picture; nothing is known of either in a rehearsal."""
        lacking = int(self._unet.config.in_channels) - latents.shape[1]
        if not lacking:
            return latents
        if beside is None:
            beside = latents.new_zeros((len(latents), lacking, *latents.shape[2:]))
        return torch.cat((latents, beside.to(latents)), dim=1)

    def _added(self, texts: Sequence[Encoded], canvas: Canvas) -> dict[str, Any]:
        """Return SDXL's micro-conditioning: made at this size, nothing cropped, shown at this size."""
        size = (canvas.height, canvas.width)
        times = torch.tensor([(*size, 0, 0, *size)] * len(texts), device=self._device, dtype=self.dtype)
        pooled = torch.cat([text.pooled for text in texts if text.pooled is not None])
        return {"text_embeds": pooled.to(self._device, self.dtype), "time_ids": times}

    def to_decoding(self) -> None:
        """Have the autoencoder on the device."""
        self._residence.bring(["vae"])
