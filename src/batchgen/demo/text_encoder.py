"""The text encoder of demo_shapes: a small CLIP text model, taught to read before the UNet learns.

A throw-away classifier reads what a caption says from the hidden states of *padding* positions.
Each of them then carries the whole prompt, so cross-attention finds it wherever it looks. Without
this the UNet spends thousands of steps before it draws a shape.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Tokenizer

from batchgen.demo.captions import caption
from batchgen.demo.drawings import COLOURS, CONTOURS, PLURALS, POSITIONS, RADII, Scene, sample
from batchgen.demo.fitting import Fit, Plan, adamw, generator_of
from batchgen.demo.tokenizer import LENGTH

_SHAPES: Final = tuple(CONTOURS)
_COLOURS: Final = tuple(COLOURS)
_LAYOUTS: Final = ("one", "two", "three", "pair")
_SIZES: Final = tuple(RADII)
_POSITIONS: Final = ("", *POSITIONS)

_QUESTIONS: Final = (_SHAPES, _COLOURS, _COLOURS, _LAYOUTS, _SIZES, _POSITIONS, _SHAPES, _COLOURS)
"""What the classifier answers: shape, colour, background, layout, size, position, second shape and colour."""

_UNSAID: Final = -100
"""The label that `cross_entropy` ignores."""

_FIRST_PADDING: Final = 20
"""No caption is longer than this many tokens."""


def new_text_encoder(tokenizer: CLIPTokenizer, seed: int = 0) -> CLIPTextModel:
    """Return an untrained text model of 0.15 million parameters."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        hidden_act="gelu",
        projection_dim=64,
        # The defaults are CLIP's own ids, outside this vocabulary.
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    # transformers initialises from torch's global generator, and offers no other way.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return CLIPTextModel(config)


def token_ids(tokenizer: CLIPTokenizer | T5Tokenizer, captions: Sequence[str], length: int = LENGTH) -> Tensor:
    """Return the padded token ids of shape (captions, length)."""
    padded = tokenizer(list(captions), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    ids: Tensor = padded.input_ids
    return ids


def labels(scene: Scene, text: str) -> list[int]:
    """Return the answer to each question, `_UNSAID` where the caption is silent."""
    words = text.replace(",", " ,").split()
    first, second = scene.figures[0], scene.figures[-1]
    size = next((word for word in words if word in RADII), "normal")
    position = next((phrase for phrase in POSITIONS if phrase in text), "")
    paired = scene.layout == "pair"
    return [
        _said(_SHAPES, first.shape, first.shape in words or PLURALS[first.shape] in words),
        _said(_COLOURS, first.colour, first.colour in words),
        _said(_COLOURS, scene.background, scene.background in words),
        _LAYOUTS.index(scene.layout),
        _SIZES.index(size),
        _POSITIONS.index(position),
        _said(_SHAPES, second.shape, paired),
        _said(_COLOURS, second.colour, paired),
    ]


def _said(answers: Sequence[str], answer: str, said: bool) -> int:
    return answers.index(answer) if said else _UNSAID


def train_text_encoder(
    model: CLIPTextModel, tokenizer: CLIPTokenizer, path: Path, steps: int = 600, batch: int = 64
) -> None:
    """Teach the model, in place, to say in every padding state what the whole caption says."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        classifier = nn.Linear(model.config.hidden_size, sum(map(len, _QUESTIONS)))
    parameters = [*model.parameters(), *classifier.parameters()]
    modules = {"text_encoder": model, "classifier": classifier}
    fit = Fit(modules, adamw([(parameters, 2e-3)]), Plan(steps=steps, warmup=20), path)

    def loss_of(step: int) -> Tensor:
        rng = Random(f"text-{step}")
        scenes = [sample(rng) for _ in range(batch)]
        texts = [caption(scene, rng) for scene in scenes]
        truth = torch.tensor([labels(scene, text) for scene, text in zip(scenes, texts, strict=True)])
        states = model(token_ids(tokenizer, texts)).last_hidden_state
        places = torch.randint(_FIRST_PADDING, LENGTH, (batch, 3), generator=generator_of(3, step))
        picked = states[torch.arange(batch)[:, None], places]
        answers = classifier(picked).split(tuple(map(len, _QUESTIONS)), dim=-1)
        return _wrongness(answers, truth)

    fit.run(loss_of)


def _wrongness(answers: Sequence[Tensor], truth: Tensor) -> Tensor:
    """Add the cross-entropies of all questions that the batch answers at least once."""
    losses = []
    for question, logits in enumerate(answers):
        wanted = truth[:, question, None].expand(logits.shape[:2])
        if bool((wanted != _UNSAID).any()):
            losses.append(functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=_UNSAID))
    return torch.stack(losses).sum()
