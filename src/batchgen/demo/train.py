"""Trains demo_shapes: `python -m batchgen.demo.train --out DIR`.

One CPU thread takes about two hours, most of it for the UNet. Everything is checkpointed in
`DIR.training`: run the same command again to go on where it stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextModel, CLIPTokenizer

from batchgen.demo.captions import WORDS
from batchgen.demo.drawings import stream
from batchgen.demo.export import export
from batchgen.demo.fitting import Fit
from batchgen.demo.stages import Place, work_through
from batchgen.demo.text_encoder import new_text_encoder, train_text_encoder
from batchgen.demo.tokenizer import write_tokenizer
from batchgen.demo.unet import Lessons, new_unet, train_unet, unet_fit
from batchgen.demo.vae import drawn, encoded, new_vae, scenes_for_vae, train_vae, tune_decoder

_VAE_PICTURES: Final = 12_000
_UNET_PICTURES: Final = 24_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop(Place):
    """Where the parts of this model are, as far as they have come."""

    def tokenizer(self) -> CLIPTokenizer:
        """Return the tokenizer; it is made, not learnt."""
        write_tokenizer(self.work / "tokenizer", WORDS)
        return CLIPTokenizer.from_pretrained(self.work / "tokenizer", local_files_only=True)

    def vae(self) -> AutoencoderKL:
        """Return the best autoencoder there is."""
        tuned = self.work / "vae_tuned"
        vae: AutoencoderKL = AutoencoderKL.from_pretrained(tuned if tuned.exists() else self.work / "vae")
        vae.to(memory_format=torch.channels_last)
        return vae

    def text_encoder(self) -> CLIPTextModel:
        """Return the text model as the UNet's training begins with it."""
        return CLIPTextModel.from_pretrained(self.work / "text_encoder")

    def unet(self, steps: int = 0) -> Fit:
        """Return the UNet's training as far as it has come."""
        return unet_fit(new_unet(), self.text_encoder(), self.work / "unet.pt", self.steps or steps)


def stage_vae(shop: Workshop) -> None:
    """Train the autoencoder."""
    vae = new_vae()
    pixels = drawn(scenes_for_vae("vae", _VAE_PICTURES))
    train_vae(vae, pixels, shop.work / "vae.pt", shop.steps or 8500)
    vae.save_pretrained(shop.work / "vae")


def stage_text(shop: Workshop) -> None:
    """Train the text model to read."""
    tokenizer = shop.tokenizer()
    model = new_text_encoder(tokenizer)
    train_text_encoder(model, tokenizer, shop.work / "text_encoder.pt", shop.steps or 600)
    model.save_pretrained(shop.work / "text_encoder")


def stage_unet(shop: Workshop) -> None:
    """Train UNet and text model; the model folder is written anew now and then."""
    fit = shop.unet(14_000)
    lessons = _lessons(shop)
    train_unet(fit, shop.tokenizer(), lessons, partial(_publish, shop, fit))


def stage_decoder(shop: Workshop) -> None:
    """Train the decoder alone; it may run beside the UNet's training."""
    vae: AutoencoderKL = AutoencoderKL.from_pretrained(shop.work / "vae")
    vae.to(memory_format=torch.channels_last)
    pixels = drawn(scenes_for_vae("decoder", _VAE_PICTURES))
    tune_decoder(vae, pixels, shop.work / "decoder.pt", shop.steps or 4000)
    vae.save_pretrained(shop.work / "vae_tuned")


def stage_export(shop: Workshop) -> None:
    """Write the model folder."""
    fit = shop.unet()
    export(shop.out, vae=shop.vae(), text_encoder=fit.best("text_encoder"), unet=fit.best("unet"))


STAGES: Final[dict[str, Callable[[Workshop], None]]] = {
    "vae": stage_vae,
    "text": stage_text,
    "unet": stage_unet,
    "decoder": stage_decoder,
    "export": stage_export,
}
"""In the order they need each other."""


def _lessons(shop: Workshop) -> Lessons:
    """Return the UNet's pictures as latents; they are encoded once and kept."""
    scenes = list(islice(stream("unet", "seen"), _UNET_PICTURES))
    path = shop.work / "latents.pt"
    if path.exists():
        latents = torch.load(path, weights_only=True)
    else:
        vae = shop.vae()
        latents = vae.config.scaling_factor * encoded(vae, drawn(iter(scenes)))
        torch.save(latents, path)
    return Lessons(latents=latents, scenes=scenes)


def _publish(shop: Workshop, fit: Fit, step: int) -> None:
    """Export what there is every 1500 steps."""
    if step % 1500 == 0:
        export(shop.out, vae=shop.vae(), text_encoder=fit.best("text_encoder"), unet=fit.best("unet"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages asked for."""
    work_through(STAGES, Workshop, module="batchgen.demo.train", what="demo_shapes", arguments=arguments)


if __name__ == "__main__":
    main()
