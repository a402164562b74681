"""Trains demo_motion: `python -m batchgen.demo.motion --out DIR`.

One CPU thread takes about two hours, most of it for the transformer. Everything is checkpointed in
`DIR.training`: run the same command again to go on where it stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel
from torch import Tensor
from transformers import T5EncoderModel

from batchgen.demo.fitting import Fit
from batchgen.demo.folder import write_folder
from batchgen.demo.motion_drawings import Move, stream
from batchgen.demo.motion_text import new_text_encoder, new_tokenizer, train_text_encoder
from batchgen.demo.motion_transformer import Lessons, new_transformer, scheduler, train_transformer, transformer_fit
from batchgen.demo.motion_vae import drawn, encoded, new_vae, train_vae, tune_decoder
from batchgen.demo.stages import Place, work_through

_CHUNKS: Final = 6
_CHUNK: Final = 2000
"""Clips encoded at a time; a chunk is kept when it is done."""

_STEPS: Final = 11_500
"""Steps of the transformer."""

_INDEX: Final = {
    "_class_name": "CogVideoXPipeline",
    "scheduler": ["diffusers", "CogVideoXDDIMScheduler"],
    "text_encoder": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "T5Tokenizer"],
    "transformer": ["diffusers", "CogVideoXTransformer3DModel"],
    "vae": ["diffusers", "AutoencoderKLCogVideoX"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop(Place):
    """Where the parts of this model are, as far as they have come."""

    def vae(self) -> AutoencoderKLCogVideoX:
        """Return the best autoencoder there is."""
        tuned = self.work / "vae_tuned"
        vae: AutoencoderKLCogVideoX = AutoencoderKLCogVideoX.from_pretrained(
            tuned if tuned.exists() else self.work / "vae"
        )
        return vae

    def text_encoder(self) -> T5EncoderModel:
        """Return the text model as the transformer's training begins with it."""
        return T5EncoderModel.from_pretrained(self.work / "text_encoder")

    def transformer(self) -> Fit:
        """Return the transformer's training as far as it has come."""
        path = self.work / "transformer.pt"
        return transformer_fit(new_transformer(), self.text_encoder(), path, self.steps or _STEPS)

    def publish(self, fit: Fit) -> None:
        """Write the model folder from what there is."""
        export(self.out, vae=self.vae(), text_encoder=fit.best("text_encoder"), transformer=fit.best("transformer"))


def export(
    folder: Path,
    *,
    vae: AutoencoderKLCogVideoX,
    text_encoder: T5EncoderModel,
    transformer: CogVideoXTransformer3DModel,
) -> None:
    """Write the folder that `CogVideoXPipeline.from_pretrained` reads."""
    new_tokenizer().save_pretrained(folder / "tokenizer")
    halves = {"vae": vae, "transformer": transformer}
    write_folder(folder, _INDEX, halves=halves, text_encoder=text_encoder, scheduler=scheduler())


def stage_text(shop: Workshop) -> None:
    """Train the text model to read."""
    tokenizer = new_tokenizer()
    model = new_text_encoder(tokenizer)
    train_text_encoder(model, tokenizer, shop.work / "text_encoder.pt", shop.steps or 800)
    model.save_pretrained(shop.work / "text_encoder")


def stage_vae(shop: Workshop) -> None:
    """Train the autoencoder."""
    train_vae(new_vae(), shop.work / "vae.pt", shop.steps or 7500).save_pretrained(shop.work / "vae")


def stage_transformer(shop: Workshop) -> None:
    """Train transformer and text model; the model folder is written anew now and then."""
    fit = shop.transformer()
    train_transformer(fit, new_tokenizer(), lessons(shop), partial(_publish, shop, fit))


def stage_decoder(shop: Workshop) -> None:
    """Train the decoder alone; it may run beside the transformer's training."""
    vae = AutoencoderKLCogVideoX.from_pretrained(shop.work / "vae")
    tuned = tune_decoder(vae, shop.work / "decoder.pt", shop.steps or 3500)
    tuned.save_pretrained(shop.work / "vae_tuned")


def stage_export(shop: Workshop) -> None:
    """Write the model folder."""
    shop.publish(shop.transformer())


STAGES: Final[dict[str, Callable[[Workshop], None]]] = {
    "text": stage_text,
    "vae": stage_vae,
    "transformer": stage_transformer,
    "decoder": stage_decoder,
    "export": stage_export,
}
"""In the order they need each other."""


def lessons(shop: Workshop) -> Lessons:
    """Return the transformer's clips as latents; they are encoded once and kept."""
    moves = list(islice(stream("transformer", "seen"), _CHUNKS * _CHUNK))
    vae = AutoencoderKLCogVideoX.from_pretrained(shop.work / "vae")
    parts = [_chunk(shop, vae, moves[k * _CHUNK : (k + 1) * _CHUNK], k) for k in range(_CHUNKS)]
    latents = vae.config.scaling_factor * torch.cat(parts)
    return Lessons(latents=latents.transpose(1, 2).contiguous(), moves=moves)


def _chunk(shop: Workshop, vae: AutoencoderKLCogVideoX, moves: Sequence[Move], number: int) -> Tensor:
    """Return the latents of some moves, from the file if they were encoded before."""
    path = shop.work / f"latents-{number}.pt"
    if not path.exists():
        parts = [encoded(vae, drawn(moves[k : k + 50])) for k in range(0, len(moves), 50)]
        torch.save(torch.cat(parts), path)
    latents: Tensor = torch.load(path, weights_only=True)
    return latents


def _publish(shop: Workshop, fit: Fit, step: int) -> None:
    """Export what there is every 1000 steps."""
    if step % 1000 == 0:
        shop.publish(fit)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages asked for."""
    work_through(STAGES, Workshop, module="batchgen.demo.motion", what="demo_motion", arguments=arguments)


if __name__ == "__main__":
    main()
