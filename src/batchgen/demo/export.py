"""Writes the parts of demo_shapes as a folder that `StableDiffusionPipeline.from_pretrained` reads."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

from batchgen.demo.captions import WORDS
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
    """Write every part; UNet and VAE in half precision, which halves the folder."""
    write_tokenizer(folder / "tokenizer", WORDS)
    scheduler().save_pretrained(folder / "scheduler")
    for name, part in (("vae", vae), ("unet", unet)):
        half = deepcopy(part)
        for parameter in half.parameters():
            parameter.data = parameter.data.to(torch.float16).contiguous()
        half.save_pretrained(folder / name)
        _forget(folder / name / "config.json", "_name_or_path")
    # A folder of float16 alone, loaded without a dtype, would leave the text encoder in float16 and
    # turn the rest to float32, which then do not multiply.
    text_encoder.save_pretrained(folder / "text_encoder")
    (folder / "model_index.json").write_text(json.dumps(_INDEX, indent=2) + "\n", encoding="utf-8")
    for weights in folder.rglob("*.safetensors"):
        weights.chmod(0o644)  # safetensors writes for its owner alone


def _forget(path: Path, key: str) -> None:
    """Remove where the weights came from: a path of the machine that trained them."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings.pop(key, None)
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
