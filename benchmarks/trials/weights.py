"""Copies of the embedded model with something wrong in them, each an option of somebody's own conf/."""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from batchgen.shipped import shipped_model

_VAE = "vae/diffusion_pytorch_model.safetensors"
_TEXT = "text_encoder/model.safetensors"
_UNET = "unet/diffusion_pytorch_model.safetensors"


def copy(folder: Path, name: str) -> Path:
    """Copy the embedded model below `folder`, where it is known as `name`."""
    target = folder / "weights" / name
    shutil.copytree(shipped_model("demo_shapes"), target)
    option = folder / "conf/model" / f"{name}.yaml"
    option.parent.mkdir(parents=True, exist_ok=True)
    recommended = "{width: 64, height: 64, steps: 20, guidance_scale: 4.0, sampler: euler, schedule: simple}"
    option.write_text(f"family: sd15\nsource: {{folder: '{target}'}}\nrecommended: {recommended}\n")
    return target


def blind(model: Path, value: float) -> None:
    """Let the decoder make `value` of everything: not a number, or one single colour."""
    tensors = load_file(model / _VAE)
    tensors["decoder.conv_out.weight"] = np.zeros_like(tensors["decoder.conv_out.weight"])
    tensors["decoder.conv_out.bias"] = np.full_like(tensors["decoder.conv_out.bias"], value)
    save_file(tensors, model / _VAE)


def forget(model: Path, word: str) -> None:
    """Let the text encoder answer NaN to prompts with `word`, and to no others."""
    token = json.loads((model / "tokenizer/vocab.json").read_text())[f"{word}</w>"]
    tensors = load_file(model / _TEXT)
    (name,) = [name for name in tensors if name.endswith("token_embedding.weight")]
    tensors[name][token] = np.nan
    save_file(tensors, model / _TEXT)


def flip(model: Path, bit: int) -> None:
    """Flip one bit of the denoiser's weights, counted from the end of the file."""
    data = bytearray((model / _UNET).read_bytes())
    data[-1 - bit // 8] ^= 1 << bit % 8
    (model / _UNET).write_bytes(data)
