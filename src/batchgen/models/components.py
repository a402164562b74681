"""How the components of a single file are configured: numbers that batchgen carries, and the shapes in its header.

A single file has weights and no configurations. What the shapes tell (widths, depths, channels) is taken from them, so
that smaller and larger relatives of a family load too; what they cannot tell (the activation, the number of heads, the
scale of latents) is what every model of the family has, and stands in `configurations/`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from batchgen.errors import ModelError
from batchgen.models.header import Header, read_header
from batchgen.models.recognise import UNET, VAE_PREFIXES, predicts_velocity

Shapes = Mapping[str, tuple[int, ...]]
Numbers = dict[str, Any]
"""What a component's `config.json` says."""

PREFIXES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sd15": {
        "unet": (UNET,),
        "vae": VAE_PREFIXES,
        "text_encoder": ("cond_stage_model.transformer.",),
    },
    "sdxl": {
        "unet": (UNET,),
        "vae": VAE_PREFIXES,
        "text_encoder": ("conditioner.embedders.0.transformer.",),
        "text_encoder_2": ("conditioner.embedders.1.model.",),
    },
    "flux": {
        "transformer": (UNET, ""),
        "vae": VAE_PREFIXES,
        "text_encoder": ("text_encoders.clip_l.transformer.",),
        "text_encoder_2": ("text_encoders.t5xxl.transformer.",),
    },
}
"""What the names of a component's tensors begin with, in a single file of each family."""

_WIDTH_OF_A_HEAD = 64
"""Of CLIP's encoders of every size, and of the UNet of Stable Diffusion XL."""


def carried(family: str, component: str) -> Numbers:
    """Return the configuration of a component (`unet`, `scheduler`, ...) of the family's base model."""
    name = "scheduler_config.json" if component == "scheduler" else "config.json"
    place = files("batchgen.models") / "configurations" / family / component / name
    numbers: Numbers = json.loads(place.read_text(encoding="utf-8"))
    return numbers


def index_of(family: str) -> Numbers:
    """Return the model_index.json of the family."""
    place = files("batchgen.models") / "configurations" / family / "model_index.json"
    numbers: Numbers = json.loads(place.read_text(encoding="utf-8"))
    return numbers


def below(names: Mapping[str, Any], prefixes: tuple[str, ...]) -> dict[str, Any]:
    """Return what stands under the first of `prefixes` that any name begins with, the prefix taken off."""
    for prefix in prefixes:
        if found := {name.removeprefix(prefix): each for name, each in names.items() if name.startswith(prefix)}:
            return found
    return {}


def configure(header: Header, family: str) -> dict[str, Numbers]:
    """Return the configuration of each component of a whole single file, and of its scheduler.

    Raises:
        ModelError: a component is not in it, or is built in a way that the family's class cannot be.
    """
    shapes = {name: tensor.shape for name, tensor in header.tensors.items()}
    found = {
        component: configure_component(below(shapes, prefixes), family, component)
        for component, prefixes in PREFIXES[family].items()
    }
    return completed(found, header, family)


def completed(found: Mapping[str, Numbers], denoiser: Header, family: str) -> dict[str, Numbers]:
    """Return the configurations of components with what only all of them together tell, and with the scheduler's."""
    whole = dict(found)
    if family == "sdxl":
        # It is told the summary of the prompt, and beside it six sizes as so many waves each.
        waves = whole["unet"]["projection_class_embeddings_input_dim"] - whole["text_encoder_2"]["projection_dim"]
        whole["unet"] = whole["unet"] | {"addition_time_embed_dim": waves // 6}
    return whole | {"scheduler": _scheduler(denoiser, whole, family)}


def configure_component(shapes: Shapes, family: str, component: str) -> Numbers:
    """Return the configuration of the component whose tensors, without prefix, have these shapes.

    Raises:
        ModelError: tensors that it cannot be without are missing, or it is built in another way.
    """
    unet = _sdxl_unet if family == "sdxl" else _unet
    read = {"vae": _vae, "unet": unet, "transformer": _flux}.get(component) or _text_encoder(shapes)
    try:
        told = read(shapes, family)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"holds no whole {component}: weights are missing, {error} for one") from error
    base = carried(family, component)
    if base.get("pad_token_id") == 0:  # what a vocabulary begins with, however long it is
        told.pop("pad_token_id", None)
    return base | told


def vae_numbers(path: Path, family: str) -> Numbers:
    """Return the configuration of the autoencoder that lies by itself, or in a checkpoint, in the file `path`.

    Raises:
        ModelError: there is none in it, or the file is not whole.
    """
    shapes = {name: tensor.shape for name, tensor in read_header(path).tensors.items()}
    try:
        return configure_component(below(shapes, (*VAE_PREFIXES, "")), family, "vae")
    except ModelError as error:
        raise ModelError(error.message, where=str(path)) from error


def _unet(shapes: Shapes, family: str) -> Numbers:
    in_channels = shapes["input_blocks.0.0.weight"][1]
    levels = list(_levels(shapes))
    widths = [width for width, _, _ in levels]
    layers = {count for _, count, _ in levels}
    if len(layers) != 1 or "middle_block.2.in_layers.0.weight" not in shapes:
        raise ModelError("its unet is built in a way that batchgen does not know: blocks were taken out of it")
    depths = [depth for _, _, depth in levels]
    attending = next(name for name in shapes if name.endswith("attn2.to_k.weight"))
    projection = next(name for name in shapes if name.endswith("proj_in.weight"))
    return {
        "in_channels": in_channels,
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": layers.pop(),
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        "up_block_types": ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)],
        # The last number is also the depth of the middle block, which attends even where the last level does not.
        "transformer_layers_per_block": [depth or 1 for depth in depths[:-1]] + [_depth(shapes, "middle_block.1")],
        "cross_attention_dim": shapes[attending][1],
        "use_linear_projection": len(shapes[projection]) == 2,
    } | ({"attention_head_dim": [max(1, width // _WIDTH_OF_A_HEAD) for width in widths]} if family == "sdxl" else {})


def _levels(shapes: Shapes) -> Iterator[tuple[int, int, int]]:
    """Yield width, number of residual blocks and depth of attention of each level on the way down."""
    number, count, width, depth = 1, 0, 0, 0
    while f"input_blocks.{number}.0.op.weight" in shapes or f"input_blocks.{number}.0.in_layers.2.weight" in shapes:
        if f"input_blocks.{number}.0.op.weight" in shapes:
            yield width, count, depth
            count = 0
        else:
            width = shapes[f"input_blocks.{number}.0.in_layers.2.weight"][0]
            depth = _depth(shapes, f"input_blocks.{number}.1")
            count += 1
        number += 1
    yield width, count, depth


def _depth(shapes: Shapes, block: str) -> int:
    return _count(shapes, re.escape(block) + r"\.transformer_blocks\.(\d+)\.")


def _count(shapes: Shapes, pattern: str) -> int:
    """Return how many numbers follow each other from 0 where `pattern` has its group."""
    found = {int(match[1]) for name in shapes if (match := re.match(pattern, name))}
    return next(number for number in range(len(found) + 1) if number not in found)


def _sdxl_unet(shapes: Shapes, family: str) -> Numbers:
    return _unet(shapes, family) | {"projection_class_embeddings_input_dim": shapes["label_emb.0.0.weight"][1]}


def _vae(shapes: Shapes, _: str) -> Numbers:
    """Both layouts: `encoder.down.0.block.1` of the original code, `encoder.down_blocks.0.resnets.1` of diffusers."""
    blocks: dict[int, dict[int, int]] = {}
    for name, shape in shapes.items():
        if match := re.match(r"encoder\.down(?:_blocks)?\.(\d+)\.(?:block|resnets)\.(\d+)\.conv2\.weight", name):
            blocks.setdefault(int(match[1]), {})[int(match[2])] = shape[0]
    widths = [blocks[level][0] for level in range(len(blocks))]
    return {
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "layers_per_block": len(blocks[0]),
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
    }


def _flux(shapes: Shapes, _: str) -> Numbers:
    inner = shapes["img_in.weight"][0]
    head = shapes["double_blocks.0.img_attn.norm.query_norm.scale"][0]
    return {
        "in_channels": shapes["img_in.weight"][1],
        "num_layers": _count(shapes, r"double_blocks\.(\d+)\."),
        "num_single_layers": _count(shapes, r"single_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": inner // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "pooled_projection_dim": shapes["vector_in.in_layer.weight"][1],
        "guidance_embeds": "guidance_in.in_layer.weight" in shapes,
        "axes_dims_rope": [head // 8, head * 7 // 16, head * 7 // 16],
    }


def _text_encoder(shapes: Shapes) -> Callable[[Shapes, str], Numbers]:
    if "shared.weight" in shapes or any(name.startswith("encoder.block.") for name in shapes):
        return _t5
    return _open_clip if "positional_embedding" in shapes else _clip


def _clip(shapes: Shapes, _: str) -> Numbers:
    plain = {name.removeprefix("text_model."): shape for name, shape in shapes.items()}
    numbers = _clip_numbers(
        plain["embeddings.token_embedding.weight"],
        plain["embeddings.position_embedding.weight"],
        plain["encoder.layers.0.mlp.fc1.weight"],
        _count(plain, r"encoder\.layers\.(\d+)\."),
    )
    projection = plain.get("text_projection.weight")
    return numbers | ({"projection_dim": projection[0]} if projection else {})


def _open_clip(shapes: Shapes, _: str) -> Numbers:
    numbers = _clip_numbers(
        shapes["token_embedding.weight"],
        shapes["positional_embedding"],
        shapes["transformer.resblocks.0.mlp.c_fc.weight"],
        _count(shapes, r"transformer\.resblocks\.(\d+)\."),
    )
    return numbers | {"projection_dim": shapes["text_projection"][1]}


def _clip_numbers(tokens: tuple[int, ...], places: tuple[int, ...], wide: tuple[int, ...], layers: int) -> Numbers:
    return {
        "vocab_size": tokens[0],
        "hidden_size": tokens[1],
        "max_position_embeddings": places[0],
        "intermediate_size": wide[0],
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, tokens[1] // _WIDTH_OF_A_HEAD),
        "bos_token_id": tokens[0] - 2,
        "eos_token_id": tokens[0] - 1,
        "pad_token_id": tokens[0] - 1,
    }


def _t5(shapes: Shapes, _: str) -> Numbers:
    buckets, heads = shapes["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    return {
        "vocab_size": shapes["shared.weight"][0],
        "d_model": shapes["shared.weight"][1],
        "d_ff": shapes["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"][0],
        "d_kv": shapes["encoder.block.0.layer.0.SelfAttention.q.weight"][0] // heads,
        "num_layers": _count(shapes, r"encoder\.block\.(\d+)\."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
    }


def _scheduler(denoiser: Header, found: Mapping[str, Numbers], family: str) -> Numbers:
    numbers = carried(family, "scheduler")
    if family == "flux":
        # FLUX.1 [schnell] is not told a guidance, and its noise is not shifted by the picture's size.
        return numbers if found["transformer"]["guidance_embeds"] else numbers | _SCHNELL
    prediction = {"prediction_type": "v_prediction"} if predicts_velocity(denoiser) else {}
    return numbers | prediction | ({"rescale_betas_zero_snr": True} if "ztsnr" in denoiser.tensors else {})


_SCHNELL: Numbers = {"shift": 1.0, "use_dynamic_shifting": False}
