"""A single-file checkpoint in the layout that people share must give the picture of the folder it was made from."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from batchgen.diffusion.engine import DiffusionEngine
from batchgen.errors import ModelError
from batchgen.job import Model

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "cond_stage_model.transformer.text_model."

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_NAMES = [
    (r"time_embedding\.linear_1", "time_embed.0"),
    (r"time_embedding\.linear_2", "time_embed.2"),
    (r"conv_in", "input_blocks.0.0"),
    (r"conv_norm_out", "out.0"),
    (r"conv_out", "out.2"),
    (r"down_blocks\.(\d)\.resnets\.0", lambda m: f"input_blocks.{1 + 2 * int(m[1])}.0"),
    (r"down_blocks\.(\d)\.attentions\.0", lambda m: f"input_blocks.{1 + 2 * int(m[1])}.1"),
    (r"down_blocks\.0\.downsamplers\.0\.conv", "input_blocks.2.0.op"),
    (r"mid_block\.resnets\.(\d)", lambda m: f"middle_block.{2 * int(m[1])}"),
    (r"mid_block\.attentions\.0", "middle_block.1"),
    (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"output_blocks.{2 * int(m[1]) + int(m[2])}.0"),
    (r"up_blocks\.(\d)\.attentions\.(\d)", lambda m: f"output_blocks.{2 * int(m[1]) + int(m[2])}.1"),
    (r"up_blocks\.0\.upsamplers\.0\.conv", "output_blocks.1.2.conv"),
]
VAE_NAMES = [
    (r"coder\.mid_block\.resnets\.0", "coder.mid.block_1"),
    (r"coder\.mid_block\.resnets\.1", "coder.mid.block_2"),
    (r"coder\.mid_block\.attentions\.0", "coder.mid.attn_1"),
    (r"attn_1\.group_norm", "attn_1.norm"),
    (r"attn_1\.to_([qkv])", r"attn_1.\1"),
    (r"attn_1\.to_out\.0", "attn_1.proj_out"),
    (r"encoder\.down_blocks\.(\d)\.resnets\.(\d)", r"encoder.down.\1.block.\2"),
    (r"encoder\.down_blocks\.(\d)\.downsamplers\.0\.conv", r"encoder.down.\1.downsample.conv"),
    (r"decoder\.up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"decoder.up.{3 - int(m[1])}.block.{m[2]}"),
    (r"decoder\.up_blocks\.(\d)\.upsamplers\.0\.conv", lambda m: f"decoder.up.{3 - int(m[1])}.upsample.conv"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"conv_norm_out", "norm_out"),
]


def renamed(name, rules):
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def unet_name(name):
    if ".resnets." in name:
        block, layer, kind = name.rsplit(".", 2)
        name = f"{block}.{RESNET[layer]}.{kind}"
    return UNET + renamed(name, UNET_NAMES)


def vae_weight(name, weight):
    name = VAE + renamed(name, VAE_NAMES)
    if re.search(r"attn_1\.(q|k|v|proj_out)\.weight", name):
        weight = weight[:, :, None, None].contiguous()
    return name, weight


@pytest.fixture
def checkpoint(tmp_path, write_model):
    """Write a model twice: as a folder, and as one file beside that folder, which keeps no weights."""
    folder = write_model(tmp_path / "anything", "sd15")
    beside = write_model(tmp_path / "mine", "sd15")
    weights = {}
    for part in ("unet", "vae", "text_encoder"):
        (path,) = Path(beside.path, part).glob("*.safetensors")
        for name, weight in load_file(path).items():
            if part == "unet":
                weights[unet_name(name)] = weight
            elif part == "vae":
                name, weight = vae_weight(name, weight)  # noqa: PLW2901 - renamed on its way
                weights[name] = weight
            else:
                weights[CLIP + name.removeprefix("text_model.")] = weight
        path.unlink()
    file = tmp_path / "mine.safetensors"
    save_file(weights, file)
    return folder, Model(digest="1" * 64, family="sd15", name="mine", path=str(file))


def test_a_single_file_renders_the_picture_of_the_folder_it_was_made_from(checkpoint, runtime, job_for):
    engine = DiffusionEngine(runtime)
    pictures = [engine.open(model).render([job_for(model)], lambda _: None)[0].pixels for model in checkpoint]
    assert np.array_equal(*pictures)


def test_a_single_file_without_its_autoencoder_is_refused(checkpoint, runtime, job_for):
    _, model = checkpoint
    weights = {name: weight for name, weight in load_file(model.path).items() if not name.startswith(VAE)}
    save_file(weights, model.path)
    with pytest.raises(ModelError, match="holds no whole vae") as caught:
        DiffusionEngine(runtime).open(model).render([job_for(model)], lambda _: None)
    assert "\n" not in str(caught.value)


def test_a_single_file_with_a_weight_missing_is_refused(checkpoint, runtime, job_for):
    _, model = checkpoint
    weights = load_file(model.path)
    del weights[UNET + "middle_block.0.in_layers.2.weight"]
    save_file(weights, model.path)
    with pytest.raises(ModelError, match="holds no whole unet"):
        DiffusionEngine(runtime).open(model).render([job_for(model)], lambda _: None)


def test_in_half_precision_every_weight_of_a_single_file_is_in_it(checkpoint, runtime, job_for):
    _, model = checkpoint
    (rendered,) = DiffusionEngine(runtime).open(model).render([job_for(model, precision="bf16")], lambda _: None)
    assert rendered.facts["dtype"] == "bf16"
    assert torch.get_default_dtype() is torch.float32


@pytest.mark.parametrize("damaged", ["tokenizer/vocab.json", "scheduler/scheduler_config.json"])
def test_a_single_file_whose_configuration_is_damaged_cannot_be_opened(checkpoint, runtime, damaged):
    _, model = checkpoint
    Path(model.path).with_suffix("").joinpath(damaged).write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        DiffusionEngine(runtime).open(model)
