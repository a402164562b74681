"""One `.safetensors` file that holds a whole model or one component, under the names of the program that trained it.

Such a file has neither configurations nor tokenizers: they come from a diffusers folder of the same family. Weights
that are missing, too many or of another shape than configured are an error: a library would leave them as they were
initialised, draw noise and say nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors import SafetensorError, safe_open
from torch import Tensor

from batchgen.diffusion.component import Part
from batchgen.diffusion.flux_layout import convert_flux
from batchgen.errors import ModelError
from batchgen.models.components import PREFIXES, below
from batchgen.models.folder import component, read_json
from batchgen.models.header import read_header
from batchgen.models.recognise import UNET

_FAULTS = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, IndexError, SafetensorError)
_UNET_NOTES = ("v_pred", "ztsnr")
_VAE_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names of an autoencoder's attention in diffusers folders that were written before 2023."""

Weights = dict[str, Tensor]


def load_part(part: Part, path: Path, folder: Path, family: str, dtype: torch.dtype | None) -> Any:
    """Load one component out of the file `path`, configured by that of `folder`, weights in `dtype`.

    With no dtype the data of the weights is not read: what comes back has shapes alone.

    Raises:
        ModelError: the component is not in the file, or not as its configuration says.
    """
    numbers = read_json(component(folder, part.name) / "config.json")
    # A file with this component alone may have its names with the prefix of a whole checkpoint or without.
    prefixes = (*PREFIXES[family][part.name], "")
    return build(part, numbers, path, prefixes, dtype)


def build(
    part: Part, numbers: Mapping[str, Any], path: Path, prefixes: tuple[str, ...], dtype: torch.dtype | None
) -> Any:
    """Return the component of these numbers, with the weights that stand under one of `prefixes` in the file `path`.

    Raises:
        ModelError: weights are missing, too many, or of another shape.
    """
    dtype = part.dtype or dtype if dtype else None
    try:
        module = _empty(part.kind, numbers)
        weights = _converted(part, module, numbers, _read(path, prefixes, dtype))
        _check(part, module, weights, path)
        module.load_state_dict(weights, strict=False, assign=True)
    except _FAULTS as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"its {part.name} cannot be loaded: {reason}", where=str(path)) from error
    return module.eval()


def _empty(kind: Any, numbers: Mapping[str, Any]) -> Any:
    """Return a component whose weights are on torch's "meta" device, and so take no memory."""
    with init_empty_weights():
        if hasattr(kind, "from_config"):  # of diffusers
            return kind.from_config(dict(numbers))
        return kind(kind.config_class.from_dict(dict(numbers)))


def _read(path: Path, prefixes: tuple[str, ...], dtype: torch.dtype | None) -> Weights:
    held = read_header(path).tensors
    names = below({name: name for name in held}, prefixes)
    if dtype is None:
        return {short: torch.empty(held[name].shape, device="meta") for short, name in names.items()}
    with safe_open(path, framework="pt") as file:
        return {short: file.get_tensor(name).to(dtype) for short, name in names.items()}


def _converted(part: Part, module: Any, numbers: Mapping[str, Any], weights: Weights) -> Weights:
    """Return the weights under the names that the component gives them."""
    if part.name == "unet":
        return _unet(numbers, weights)
    if part.name == "vae":
        return _vae(numbers, weights)
    if part.name == "transformer":
        return convert_flux(weights) if "img_in.weight" in weights else weights
    if "shared.weight" in weights:
        return weights | {"encoder.embed_tokens.weight": weights["shared.weight"]}
    return _clip(module, weights)


def _unet(numbers: Mapping[str, Any], weights: Weights) -> Weights:
    if "conv_in.weight" in weights:  # diffusers' names
        return weights
    known = {UNET + name: weight for name, weight in weights.items() if name not in _UNET_NOTES}
    converted: Weights = convert_ldm_unet_checkpoint(known, dict(numbers))
    return converted


def _vae(numbers: Mapping[str, Any], weights: Weights) -> Weights:
    own = {name: weight for name, weight in weights.items() if name.startswith(_VAE_PARTS)}
    if any(".down_blocks." in name for name in own):
        return {_new_attention(name): weight for name, weight in own.items()}
    converted: Weights = convert_ldm_vae_checkpoint(own, dict(numbers))
    return converted


def _new_attention(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    block, _, layer = stem.rpartition(".")
    return f"{block}.{_OLD_ATTENTION[layer]}.{kind}" if layer in _OLD_ATTENTION else name


def _clip(module: Any, weights: Weights) -> Weights:
    if "positional_embedding" in weights:
        known = {f"open.{name}": weight for name, weight in weights.items()}
        weights = convert_open_clip_checkpoint(module, known, prefix="open.")
    plain = {name.removeprefix("text_model."): weight for name, weight in weights.items()}
    # transformers keeps the encoder of one class in `text_model`, and that of the other in none.
    outer = "text_model." if hasattr(module, "text_model") else ""
    return {name if name.startswith("text_projection") else outer + name: weight for name, weight in plain.items()}


def _check(part: Part, module: Any, weights: Weights, path: Path) -> None:
    """Refuse weights that are not those of the component. What a text encoder has beside them does no harm.

    Raises:
        ModelError: naming the first weight.
    """
    wanted: Mapping[str, Tensor] = module.state_dict()
    if missing := wanted.keys() - weights.keys():
        some = f"{len(missing)} weights are missing, {min(missing)} for one"
        raise ModelError(f"holds no whole {part.name}: {some}", where=str(path))
    if part.name in ("unet", "transformer") and (more := weights.keys() - wanted.keys()):
        some = f"{len(more)} weights have no place in it, {min(more)} for one"
        raise ModelError(f"its {part.name} is not as configured: {some}", where=str(path))
    for name, weight in wanted.items():
        if weights[name].shape != weight.shape:
            shapes = f"{tuple(weights[name].shape)}, not {tuple(weight.shape)}"
            raise ModelError(f"its {part.name} is not as configured: {name} is {shapes}", where=str(path))


def load_parts(
    path: Path, folder: Path, family: str, parts: Sequence[Part], dtype: torch.dtype | None
) -> dict[str, Any]:
    """Load the components with weights in the file `path`, as `load_part`."""
    return {part.name: load_part(part, path, folder, family, dtype) for part in parts if part.weights}
