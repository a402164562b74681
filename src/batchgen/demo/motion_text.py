"""Tokenizer and text encoder of demo_motion: a small T5, taught to read before the transformer learns.

A throw-away classifier reads what a caption says from the hidden states of any positions, padding
among them. Each then carries the whole prompt, so attention finds it wherever it looks.
"""

from pathlib import Path
from random import Random
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from batchgen.demo.fitting import Fit, Plan, adamw, generator_of
from batchgen.demo.motion_captions import WORDS, caption
from batchgen.demo.motion_drawings import COLOURS, MOTIONS, SHAPES, Move, sample
from batchgen.demo.text_encoder import token_ids

LENGTH: Final = 24
"""Tokens of a padded prompt, the end among them: the transformer's `max_text_seq_length`."""

WIDTH: Final = 64
"""Numbers of a hidden state."""

_QUESTIONS: Final = (SHAPES, COLOURS, COLOURS, MOTIONS)
"""What the classifier answers: shape, colour, background, motion."""

_UNSAID: Final = -100
"""The label that `cross_entropy` ignores."""

_CHARACTERS: Final = tuple(chr(code) for code in range(33, 127))
"""Single characters that any other ASCII word falls back to."""


def new_tokenizer() -> T5Tokenizer:
    """Return T5's Unigram tokenizer over the words of the captions and single characters."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    spelled = [word for word in WORDS if word != ","]
    words = dict.fromkeys([*spelled, "A", "An"])
    pieces = [("\N{LOWER ONE EIGHTH BLOCK}" + word, -1.0) for word in words]
    single = [(character, -6.0) for character in ("\N{LOWER ONE EIGHTH BLOCK}", *_CHARACTERS)]
    return T5Tokenizer(vocab=[*special, *pieces, *single], extra_ids=0, model_max_length=LENGTH)


def new_text_encoder(tokenizer: T5Tokenizer, seed: int = 0) -> T5EncoderModel:
    """Return an untrained text model of 0.1 million parameters."""
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        d_kv=16,
        d_ff=160,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        is_encoder_decoder=False,
        use_cache=False,
        tie_word_embeddings=True,
    )
    # transformers initialises from torch's global generator, and offers no other way.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return T5EncoderModel(config)


def labels(move: Move, text: str) -> list[int]:
    """Return the answer to each question, `_UNSAID` where the caption is silent."""
    words = text.lower().replace(",", " ,").split()
    subject = words[: words.index(move.shape)]
    behind = words[words.index(move.shape) :]
    moving = any(word in behind for word in ("moving", "going", "getting", "growing", "shrinking", "still"))
    return [
        SHAPES.index(move.shape),
        COLOURS.index(move.colour) if move.colour in subject else _UNSAID,
        COLOURS.index(move.background) if move.background in behind else _UNSAID,
        MOTIONS.index(move.motion) if moving else _UNSAID,
    ]


def train_text_encoder(
    model: T5EncoderModel, tokenizer: T5Tokenizer, path: Path, steps: int = 800, batch: int = 64
) -> None:
    """Teach the model, in place, to say in every state what the whole caption says."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        classifier = nn.Linear(WIDTH, sum(map(len, _QUESTIONS)))
    parameters = [*model.parameters(), *classifier.parameters()]
    fit = Fit({"text_encoder": model, "classifier": classifier}, adamw([(parameters, 2e-3)]), Plan(steps=steps), path)

    def loss_of(step: int) -> Tensor:
        rng = Random(f"motion-text-{step}")
        moves = [sample(rng) for _ in range(batch)]
        texts = [caption(move, rng) for move in moves]
        truth = torch.tensor([labels(move, text) for move, text in zip(moves, texts, strict=True)])
        # As the pipeline does, without a mask: padding is read too.
        states = model(token_ids(tokenizer, texts, LENGTH)).last_hidden_state
        places = torch.randint(LENGTH, (batch, 3), generator=generator_of(23, step))
        picked = states[torch.arange(batch)[:, None], places]
        answers = classifier(picked).split(tuple(map(len, _QUESTIONS)), dim=-1)
        return torch.stack([_wrongness(logits, truth[:, k]) for k, logits in enumerate(answers)]).sum()

    fit.run(loss_of)


def _wrongness(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the cross-entropy of one question over all places, where the caption says it."""
    wanted = truth[:, None].expand(logits.shape[:2])
    return functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=_UNSAID)
