"""FLUX.1: a transformer over patches of the latent image and T5's states, with CLIP's summary of the prompt."""

from collections.abc import Sequence

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPTextModel
from transformers.models.clip.tokenization_clip import CLIPTokenizer
from transformers.models.t5.modeling_t5 import T5EncoderModel
from transformers.models.t5.tokenization_t5 import T5Tokenizer

from batchgen.diffusion.adapters import Adapters
from batchgen.diffusion.component import Part
from batchgen.diffusion.conditioning import Encoded, Wording, clip_frame, clip_run, encode, lay_out
from batchgen.diffusion.decoding import Decoder
from batchgen.diffusion.denoiser import Predict
from batchgen.diffusion.embeddings import Inversions
from batchgen.diffusion.loading import check_channels, load_parts, outline_parts
from batchgen.diffusion.residence import Memory, Residence
from batchgen.diffusion.t5 import T5
from batchgen.job import Job, Model
from batchgen.parts import Sampling

_PARTS = (
    Part(name="tokenizer", kind=CLIPTokenizer, weights=False),
    Part(name="text_encoder", kind=CLIPTextModel),
    Part(name="tokenizer_2", kind=T5Tokenizer, weights=False),
    Part(name="text_encoder_2", kind=T5EncoderModel),
    Part(name="transformer", kind=FluxTransformer2DModel),
    Part(name="vae", kind=AutoencoderKL),
)

DEV_TOKENS = 512
SCHNELL_TOKENS = 256
"""T5 tokens that FLUX.1-dev and -schnell were made for; a shorter prompt is padded, a longer one is not cut."""

DEFAULT_GUIDANCE = 3.5
"""What FLUX.1-dev is told when a job does not say `distilled_guidance`."""


class FluxDenoiser:
    """A loaded model of family `flux`."""

    def __init__(self, model: Model, dtype: torch.dtype, device: torch.device, memory: Memory) -> None:
        """Load the model.

        Raises:
            ModelError: a file is missing, damaged, or of another family.
        """
        self._parts = load_parts(model, _PARTS, dtype)
        self._device = device
        modules = {name: part for name, part in self._parts.items() if not name.startswith("tokenizer")}
        self._residence = Residence(modules, device, memory)
        self._transformer = self._parts["transformer"]
        self._inversions = Inversions()
        self._t5 = T5(self._parts["tokenizer_2"], self._parts["text_encoder_2"], device)
        self.dtype = dtype
        self.decoder = Decoder(self._parts["vae"])
        self.inpaints = False
        self.adapters = Adapters({name: module for name, module in modules.items() if name != "vae"}, model)

    @staticmethod
    def examine(model: Model) -> None:
        """See that `model` can be loaded, without its weights.

        Raises:
            ModelError: a file is missing, damaged, or of another family, or the model is made for something else.
        """
        parts = outline_parts(model, _PARTS)
        if "transformer" in parts:
            # It takes patches of 2 x 2.
            check_channels(model, parts["transformer"].config.in_channels // 4, parts["vae"])

    def encode(self, wording: Wording) -> Encoded:
        """Return T5's states of a text and CLIP's summary of its first 75 tokens.

        CLIP is asked for one vector, so only T5 sees all of a long prompt, and `clip_skip` has nothing to act on.
        """
        self._residence.bring(["text_encoder", "text_encoder_2"])
        tokenizer, encoder = self._parts["tokenizer"], self._parts["text_encoder"]
        frame = clip_frame(tokenizer, encoder)
        vectors = self._inversions.vectors(
            wording.embeddings, wording.emphasis, key="clip_l", width=encoder.config.hidden_size
        )
        run = vectors.behind(encoder.get_input_embeddings(), clip_run(encoder, self._device, layer=-1, normed=True))
        first = lay_out(wording, tokenizer, frame, vectors)[:1]
        _, pooled = encode(first, frame, run, "none")
        length = DEV_TOKENS if self._transformer.config.guidance_embeds else SCHNELL_TOKENS
        states, tokens = self._t5.read(wording, length)
        return Encoded(states=states.to(self.dtype), pooled=pooled, tokens=tokens, chunks=0)

    def latent_shape(self, job: Job) -> tuple[int, int, int]:
        """Return channels, height and width of one latent image."""
        scale = 2 ** (len(self._parts["vae"].config.block_out_channels) - 1)
        return (self._parts["vae"].config.latent_channels, job.canvas.height // scale, job.canvas.width // scale)

    def predictor(self, texts: Sequence[Encoded], job: Job, beside: Tensor | None = None) -> Predict:
        """Return how to predict for as many rows as there are texts, all of one length."""
        del beside
        self._residence.bring(["transformer"])
        states = torch.cat([text.states for text in texts]).to(self._device, self.dtype)
        pooled = torch.cat([text.pooled for text in texts if text.pooled is not None]).to(self._device, self.dtype)
        guidance = self._guidance(job.sampling, len(texts))
        text_places = torch.zeros(states.shape[1], 3, device=self._device, dtype=self.dtype)
        _, height, width = self.latent_shape(job)
        image_places = places(height // 2, width // 2).to(self._device, self.dtype)

        def predict(latents: Tensor, timestep: float) -> Tensor:
            patches = pack(latents).to(self.dtype)
            output = self._transformer(
                hidden_states=patches,
                timestep=torch.full((len(texts),), timestep, device=self._device, dtype=self.dtype) / 1000,
                guidance=guidance,
                pooled_projections=pooled,
                encoder_hidden_states=states,
                txt_ids=text_places,
                img_ids=image_places,
                return_dict=False,
            )[0]
            return unpack(output.float(), height, width)

        return predict

    def _guidance(self, sampling: Sampling, rows: int) -> Tensor | None:
        if not self._transformer.config.guidance_embeds:
            return None
        told = DEFAULT_GUIDANCE if sampling.distilled_guidance is None else sampling.distilled_guidance
        return torch.full((rows,), told, device=self._device, dtype=torch.float32)

    def to_decoding(self) -> None:
        """Have the autoencoder on the device."""
        self._residence.bring(["vae"])


def pack(latents: Tensor) -> Tensor:
    """Turn (rows, channels, height, width) into patches of 2 x 2: (rows, height * width / 4, channels * 4)."""
    rows, channels, height, width = latents.shape
    patches = latents.reshape(rows, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(rows, (height // 2) * (width // 2), channels * 4)


def unpack(patches: Tensor, height: int, width: int) -> Tensor:
    """Undo `pack` for a latent image of this height and width."""
    rows, _, features = patches.shape
    latents = patches.reshape(rows, height // 2, width // 2, features // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return latents.reshape(rows, features // 4, height, width)


def places(height: int, width: int) -> Tensor:
    """Return where each patch stands, (height * width, 3): 0, row, column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((torch.zeros_like(rows), rows, columns), dim=-1).reshape(-1, 3).float()
