"""What T5 and its relatives make of a text: one state a token, padded to the length that a denoiser wants."""

from typing import Any

import torch
from torch import Tensor

from batchgen.diffusion.chunks import Frame
from batchgen.diffusion.conditioning import Wording, encode, lay_out
from batchgen.diffusion.embeddings import Inversions
from batchgen.errors import EngineError


class T5:
    """A T5 encoder with its tokenizer."""

    def __init__(self, tokenizer: Any, encoder: Any, device: torch.device, *, masked: bool = False) -> None:
        """Read with `encoder`, which is on `device` when it reads; `masked`: it does not look at padding."""
        self._tokenizer = tokenizer
        self._encoder = encoder
        self._device = device
        self._masked = masked
        self._inversions = Inversions()

    def read(self, wording: Wording, length: int) -> tuple[Tensor, int]:
        """Return states, fp32 on the CPU, shape (1, at least `length`, width), and the tokens of the text itself."""
        tokenizer, encoder = self._tokenizer, self._encoder
        end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
        frame = Frame(length=length, begin=None, end=end, pad=pad, grows=True)
        vectors = self._inversions.vectors(
            wording.embeddings, wording.emphasis, key="t5xxl", width=encoder.config.d_model
        )
        chunks = lay_out(wording, tokenizer, frame, vectors)

        def run(ids: Tensor) -> tuple[Tensor, None]:
            ids = ids.to(self._device)
            mask = (ids != pad).long() if self._masked else None
            return encoder(ids, attention_mask=mask).last_hidden_state, None

        table = encoder.encoder.get_input_embeddings()
        states, _ = encode(chunks, frame, vectors.behind(table, run), wording.emphasis)
        return states, sum(len(chunk) for chunk in chunks)

    def read_within(self, wording: Wording, length: int) -> tuple[Tensor, int]:
        """As `read`, for a denoiser that takes no more.

        Raises:
            EngineError: the text is longer; nothing is cut off.
        """
        states, tokens = self.read(wording, length)
        if states.shape[1] > length:
            raise EngineError(
                f"the prompt has {tokens} tokens, and this model takes {length - 1}: {wording.text[:40]!r} ..."
            )
        return states, tokens
