"""Writes the parts of demo_shapes as a folder that `StableDiffusionPipeline.from_pretrained` reads."""

from pathlib import Path
from typing import Final

from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

from batchgen.demo.captions import WORDS
from batchgen.demo.folder import write_folder
from batchgen.demo.tokenizer import write_tokenizer
from batchgen.demo.unet import BETAS, NOISE_LEVELS

_INDEX: Final = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def scheduler() -> EulerDiscreteScheduler:
    """Return the sampler the folder names, with the training's noise schedule."""
    return EulerDiscreteScheduler(
        num_train_timesteps=NOISE_LEVELS,
        beta_start=BETAS[0],
        beta_end=BETAS[1],
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,
    )


def export(folder: Path, *, vae: AutoencoderKL, text_encoder: CLIPTextModel, unet: UNet2DConditionModel) -> None:
    """Write every part."""
    write_tokenizer(folder / "tokenizer", WORDS)
    halves = {"vae": vae, "unet": unet}
    write_folder(folder, _INDEX, halves=halves, text_encoder=text_encoder, scheduler=scheduler())
