"""FLUX.1's transformer as its authors name its weights, brought into diffusers' names."""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

_STEM = {
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "txt_in": "context_embedder",
    "img_in": "x_embedder",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
_DOUBLE = {
    "img_mod.lin": "norm1.linear",
    "txt_mod.lin": "norm1_context.linear",
    "img_attn.proj": "attn.to_out.0",
    "txt_attn.proj": "attn.to_add_out",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
}
_SINGLE = {"modulation.lin": "norm.linear", "linear2": "proj_out"}
_NORMS = {
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
}
_JOINED = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
}
"""Matrices that stand in one: three of the model's width each, then the rest."""

_BLOCK = re.compile(r"(double|single)_blocks\.(\d+)\.(.+)\.(weight|bias|scale)")


def convert_flux(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under diffusers' names; what has no name there keeps its own.

    Raises:
        KeyError: the width of the model cannot be told.
    """
    width = weights["img_in.weight"].shape[0]
    return {name: tensor for old, weight in weights.items() for name, tensor in _renamed(old, weight, width)}


def _renamed(name: str, weight: Tensor, width: int) -> Iterator[tuple[str, Tensor]]:
    if match := _BLOCK.fullmatch(name):
        blocks = "transformer_blocks" if match[1] == "double" else "single_transformer_blocks"
        yield from _in_block(f"{blocks}.{match[2]}.", match[3], match[4], weight, width)
        return
    stem, _, kind = name.rpartition(".")
    if stem == "final_layer.adaLN_modulation.1":
        # The original gives shift, then scale; diffusers scale, then shift.
        weight = torch.cat(weight.chunk(2, dim=0)[::-1], dim=0)
    yield f"{_STEM.get(stem, stem)}.{kind}", weight


def _in_block(block: str, name: str, kind: str, weight: Tensor, width: int) -> Iterator[tuple[str, Tensor]]:
    if name in _JOINED:
        parts = _JOINED[name]
        sizes = [width] * 3 + ([weight.shape[0] - 3 * width] if len(parts) == 4 else [])
        for part, piece in zip(parts, torch.split(weight, sizes, dim=0), strict=True):
            yield f"{block}{part}.{kind}", piece
    elif name in _NORMS:
        yield f"{block}{_NORMS[name]}.weight", weight
    else:
        yield f"{block}{(_DOUBLE | _SINGLE).get(name, name)}.{kind}", weight
