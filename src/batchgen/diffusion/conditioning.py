"""From words to what a denoiser is conditioned on: weights in the prompt, long prompts, CLIP's layers.

A text is encoded alone, so that its bits do not depend on what else is asked for, and only once while it is remembered.
Nothing is cut off: a long prompt becomes several chunks, each encoded with its own first and last token, and joined.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from batchgen.diffusion.chunks import Chunk, Frame, a1111_chunks, comfy_chunks, one_chunk
from batchgen.diffusion.embeddings import Run, Vectors
from batchgen.diffusion.emphasis import Emphasis, read_emphasis
from batchgen.errors import ModelError
from batchgen.job import File

NO_VECTORS = Vectors()

REMEMBERED = 512 * 1024 * 1024
"""Bytes of encoded texts a session keeps in memory: some 800 prompts of SDXL, 120 of FLUX."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """A prompt or a negative prompt, and how it is to be read: all that its encoding depends on."""

    text: str
    emphasis: Emphasis = "comfy"
    clip_skip: int = 1
    adapters: tuple[tuple[str, float], ...] = ()
    """Digests and scales of those at work in the text encoders."""
    embeddings: tuple[File, ...] = ()
    """Those that it may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """What the denoiser sees of one text."""

    states: Tensor
    """One state a token, shape (1, tokens, width), on the CPU."""

    pooled: Tensor | None = None
    """The text as one vector, shape (1, width), on the CPU; SD 1.5 takes none."""

    tokens: int
    """Tokens of the text itself, without those added at the ends of chunks."""

    chunks: int
    """Pieces it was encoded in; 0 for encoders that take any length."""

    @property
    def length(self) -> int:
        """Tokens that the denoiser attends to, padding among them."""
        return int(self.states.shape[1])

    @property
    def nbytes(self) -> int:
        """Memory this takes."""
        return self.states.nbytes + (0 if self.pooled is None else self.pooled.nbytes)


def clip_frame(tokenizer: Any, encoder: Any) -> Frame:
    """Return what CLIP wants around the tokens of a chunk.

    A tokenizer whose configuration does not say how long a text may be claims 10^30 tokens; the encoder knows.

    What it pads with differs by model: with its end token in SD 1.5, with token 0 in SDXL's second encoder.
    """
    return Frame(
        length=min(tokenizer.model_max_length, encoder.config.max_position_embeddings),
        begin=tokenizer.bos_token_id,
        end=tokenizer.eos_token_id,
        pad=tokenizer.pad_token_id,
    )


def lay_out(wording: Wording, tokenizer: Any, frame: Frame, vectors: Vectors = NO_VECTORS) -> tuple[Chunk, ...]:
    """Return the tokens of a text in chunks, weighted as it says; at least one chunk, which may be empty."""

    def tokenize(text: str) -> Sequence[int]:
        placed = vectors.ids(text)
        if placed is not None:
            return placed
        # Quiet about lengths: what is longer than the encoder takes goes into the next chunk.
        ids: Sequence[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    segments = vectors.apart(read_emphasis(wording.text, wording.emphasis))
    if frame.grows:
        return one_chunk(segments, tokenize)
    fill = a1111_chunks if wording.emphasis == "a1111" else comfy_chunks
    return fill(segments, tokenize, frame.room)


def encode(chunks: Sequence[Chunk], frame: Frame, run: Run, emphasis: Emphasis) -> tuple[Tensor, Tensor | None]:
    """Return the joined states of the chunks, shape (1, tokens, width), and the first chunk's summary, in fp32."""
    framed = [frame.around(chunk) for chunk in chunks]
    weights = torch.tensor([[token.weight for token in row] for row in framed])
    weighted = bool((weights != 1).any())
    if weighted and emphasis == "comfy":
        framed.append(_empty_like(framed[0], frame))
    states, pooled = run(torch.tensor([[token.id for token in row] for row in framed]))
    states = states.float().cpu()
    if weighted:
        states = _weigh_from_empty(states, weights) if emphasis == "comfy" else _weigh_by_mean(states, weights)
    return states.reshape(1, -1, states.shape[-1]), None if pooled is None else pooled[:1].float().cpu()


def _empty_like(row: Chunk, frame: Frame) -> Chunk:
    """Return the empty prompt, as long as `row`."""
    empty = frame.around(())
    return empty + empty[-1:] * (len(row) - len(empty))


def _weigh_from_empty(states: Tensor, weights: Tensor) -> Tensor:
    """Move each token's state along the line from the empty prompt's state at its place, as ComfyUI does.

    The last row of `states` is the empty prompt. States of weight 1 stay what they are, to the bit.
    """
    empty = states[-1:]
    moved = (states[:-1] - empty) * weights[..., None] + empty
    return torch.where(weights[..., None] == 1, states[:-1], moved)


def _weigh_by_mean(states: Tensor, weights: Tensor) -> Tensor:
    """Multiply each token's state by its weight, then each chunk so that its mean is what it was, as A1111 does."""
    before = states.mean(dim=(1, 2), keepdim=True)
    states = states * weights[..., None]
    return states * (before / states.mean(dim=(1, 2), keepdim=True))


def clip_run(encoder: Any, device: torch.device, *, layer: int, normed: bool) -> Run:
    """Return how to run a CLIP text model for the states after layer `layer` (-1 is the last one).

    Args:
        encoder: a transformers CLIPTextModel or CLIPTextModelWithProjection.
        device: where it is when it runs.
        layer: counted from the end.
        normed: the states go through the model's final normalisation, as SD 1.5 wants and SDXL does not.

    Raises:
        ModelError: the model has fewer layers.
    """
    layers = encoder.config.num_hidden_layers
    if -layer > layers:
        raise ModelError(f"clip_skip: this text encoder has {layers} layers, layer {layer} was asked for")
    # Versions of transformers differ in whether the text model is wrapped.
    final_norm = getattr(encoder, "text_model", encoder).final_layer_norm

    def run(ids: Tensor) -> tuple[Tensor, Tensor | None]:
        output = encoder(ids.to(device), output_hidden_states=True)
        states = output.hidden_states[layer]
        summary = output.text_embeds if "text_embeds" in output else output.pooler_output
        return (final_norm(states) if normed else states), summary

    return run


class Remembered:
    """Encoded texts, the least recently used of which go when they take too much memory."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Keep at most `limit` bytes, but always the newest text."""
        self._limit = limit
        self._held = 0
        self._encoded: OrderedDict[Wording, Encoded] = OrderedDict()

    def get(self, wording: Wording) -> Encoded | None:
        """Return the encoding of a text, if it is remembered."""
        if wording in self._encoded:
            self._encoded.move_to_end(wording)
        return self._encoded.get(wording)

    def put(self, wording: Wording, encoded: Encoded) -> None:
        """Remember an encoding."""
        self._encoded[wording] = encoded
        self._held += encoded.nbytes
        while self._held > self._limit and len(self._encoded) > 1:
            _, forgotten = self._encoded.popitem(last=False)
            self._held -= forgotten.nbytes
