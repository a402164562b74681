"""What a safetensors file is, by the names and shapes in its header; not one weight is read.

The names are those of the programs that trained the models: `input_blocks` is the UNet of Stable Diffusion's original
code, `double_blocks` FLUX.1's, `lora_down` kohya's. Widths tell versions apart: Stable Diffusion 1 attends to text of
768 numbers a token, 2 to 1024, XL to 2048, XL's refiner to 1280.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from batchgen.models.header import Header

Kind = Literal[
    "checkpoint", "diffusion_model", "text_encoder", "lora", "vae", "upscaler", "embedding", "controlnet", "unknown"
]

UNET = "model.diffusion_model."
"""Before the names of a denoiser's tensors, in a whole checkpoint; a bare denoiser has them with or without it."""

VAE_PREFIXES = ("first_stage_model.", "vae.")

_DTYPES = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8", "F8_E5M2": "fp8"}
_ADAPTERS = re.compile(r"\.(lora_(up|down|A|B|mid)|lora\.(up|down)|hada_w|lokr_w|oft_)|^lora_(unet|te)")
_QUANTISED = (".scale_weight", "scaled_fp8", ".absmax", ".weight_scale", ".qweight", ".quant_map")
_CLIPS: Mapping[str, tuple[frozenset[str], ...]] = {
    "Wan": (
        frozenset({"patch_embedding.weight", "blocks.0.self_attn.q.weight"}),
        frozenset({"patch_embedding.weight", "blocks.0.attn1.to_q.weight"}),
    ),
    "LTX-Video": (
        frozenset({"patchify_proj.weight", "transformer_blocks.0.attn1.to_q.weight"}),
        frozenset({"proj_in.weight", "transformer_blocks.0.scale_shift_table"}),
    ),
    "CogVideoX": (
        frozenset({"patch_embed.proj.weight", "patch_embed.text_proj.weight"}),
        frozenset({"mixins.patch_embed.proj.weight", "mixins.patch_embed.text_proj.weight"}),
    ),
}
"""What denoisers of clips have, by their authors' names and by diffusers'."""

_CONTEXTS = {768: ("sd15", ""), 2048: ("sdxl", ""), 1024: (None, "Stable Diffusion 2"), 1280: (None, "SDXL refiner")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What a file is."""

    kind: Kind
    family: str | None = None
    """A key of `families.FAMILIES`; None if it is of none, or fits several."""

    variant: str = ""
    """What is special about it, in words: `inpainting`, `turbo`, `v-prediction`; commas between."""

    refused: str = ""
    """Why it cannot be rendered with, in words; empty if it can."""

    dtype: str = ""
    """Number format of most of it: fp32, fp16, bf16, fp8; else as safetensors writes it."""

    parameters: int = 0


def recognise(header: Header) -> Recognised:
    """Return what the file with this header is."""
    kind, family, refused = _what(_shapes(header))
    if kind in ("checkpoint", "diffusion_model", "text_encoder"):
        refused = refused or _quantised(header)
    return Recognised(
        kind=kind,
        family=family,
        variant=", ".join(_variants(header)),
        refused=refused,
        dtype=_dtype(header),
        parameters=sum(math.prod(tensor.shape) for tensor in header.tensors.values()),
    )


_Shapes = Mapping[str, tuple[int, ...]]
_Answer = tuple[Kind, str | None, str]
"""Kind, family, and why it is refused."""


def _shapes(header: Header) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in header.tensors.items()}


def _what(shapes: _Shapes) -> _Answer:
    if any(_ADAPTERS.search(name) for name in shapes):
        return "lora", _lora_family(shapes), ""
    if any(name.startswith(("control_model.", "controlnet_")) for name in shapes):
        return "controlnet", None, "is a ControlNet, which batchgen does not use"
    bare = {name.removeprefix(UNET): shape for name, shape in shapes.items()}
    if denoiser := _denoiser(bare):
        return _checkpoint(shapes, *denoiser)
    return _part(shapes)


def _denoiser(bare: _Shapes) -> tuple[str | None, str] | None:
    """Return family and refusal of the denoiser among these tensors; None if there is none."""
    if "double_blocks.0.img_attn.qkv.weight" in bare:
        if "vector_in.in_layer.weight" not in bare:
            return None, "is a relative of FLUX.1 that batchgen does not render with"
        return "flux", ""
    if any(name.startswith("joint_blocks.") for name in bare):
        return None, "is Stable Diffusion 3, which batchgen does not render with"
    if title := next((title for title, kinds in _CLIPS.items() if any(each <= bare.keys() for each in kinds)), None):
        return None, f"is {title} in a file; batchgen makes clips with a model's diffusers folder (source.hub, .folder)"
    return _unet(bare) if "input_blocks.0.0.weight" in bare else None


def _unet(bare: _Shapes) -> tuple[str | None, str]:
    if any(name.startswith(("edm_mean", "edm_vpred.")) for name in bare):
        return None, "is trained as EDM (arXiv:2206.00364), which batchgen does not render with"
    if any(name.startswith("conditioner.embedders.1.") for name in bare):
        return "sdxl", ""
    family, title = _CONTEXTS.get(_context(bare), (None, "of an architecture unknown here"))
    return family, f"is {title}, which batchgen does not render with" if family is None else ""


def _checkpoint(shapes: _Shapes, family: str | None, refused: str) -> _Answer:
    """Tell a whole checkpoint from a bare denoiser: the former has its autoencoder and its text encoders in it."""
    whole = any(name.startswith(VAE_PREFIXES) for name in shapes) and any(
        name.startswith(("cond_stage_model.", "conditioner.", "text_encoders.")) for name in shapes
    )
    return ("checkpoint" if whole else "diffusion_model"), family, refused


def _part(shapes: _Shapes) -> _Answer:
    if any(name.endswith("decoder.conv_in.weight") for name in shapes):
        return "vae", "flux" if _latent_channels(shapes) == 16 else None, ""
    if any("encoder.block.0." in name or "text_model.encoder.layers.0." in name for name in shapes):
        return "text_encoder", None, ""
    if any(
        name.startswith(("model.0.", "conv_first.", "body.0.", "upsampler.", "layers.0.residual")) for name in shapes
    ):
        return "upscaler", None, ""
    if "emb_params" in shapes:
        return "embedding", "sd15" if shapes["emb_params"][-1:] == (768,) else None, ""
    if shapes.keys() == {"clip_l", "clip_g"}:
        return "embedding", "sdxl", ""
    return "unknown", None, "is of no kind that batchgen knows"


def _latent_channels(shapes: _Shapes) -> int:
    shape = next(shape for name, shape in shapes.items() if name.endswith("decoder.conv_in.weight"))
    return shape[1] if len(shape) == 4 else 0


def _lora_family(shapes: _Shapes) -> str | None:
    names = " ".join(shapes)
    if "double_blocks" in names or "single_transformer_blocks" in names:
        return "flux"
    if "lora_te2_" in names or "text_encoder_2." in names:
        return "sdxl"
    return _CONTEXTS.get(_context(shapes), (None, ""))[0]


def _context(shapes: _Shapes) -> int:
    """Return the width of the text states that cross attention takes, also from the matrices of an adapter to it."""
    wanted = re.compile(r"attn2[._]to_k(\.weight|\.lora_down\.weight|\.lora_A\..*weight|\.lora\.down\.weight)$")
    return next((shape[1] for name, shape in shapes.items() if wanted.search(name) and len(shape) == 2), 0)


def _quantised(header: Header) -> str:
    marked = any(name.endswith(_QUANTISED) for name in header.tensors)
    integers = any(tensor.dtype in ("I8", "U8", "F4") and len(tensor.shape) > 1 for tensor in header.tensors.values())
    return "is quantised, which batchgen does not read; get it in fp16, bf16 or plain fp8" if marked or integers else ""


def _variants(header: Header) -> list[str]:
    found = []
    first = header.tensors.get(UNET + "input_blocks.0.0.weight") or header.tensors.get("input_blocks.0.0.weight")
    if first and first.shape[1:2] == (9,):
        found.append("inpainting")
    if predicts_velocity(header):
        found.append("v-prediction")
    title = " ".join(header.metadata.get(key, "") for key in ("modelspec.title", "modelspec.architecture")).lower()
    return found + [word for word in ("turbo", "lightning", "lcm", "hyper") if word in title]


def predicts_velocity(header: Header) -> bool:
    """Whether the file says that its denoiser predicts the velocity of arXiv:2202.00512.

    By the metadata of Stability's modelspec, or by the empty tensor `v_pred` that trainers of XL leave for ComfyUI.
    """
    return header.metadata.get("modelspec.prediction_type") == "v" or "v_pred" in header.tensors


def _dtype(header: Header) -> str:
    held: Counter[str] = Counter()
    for tensor in header.tensors.values():
        held[tensor.dtype] += tensor.nbytes
    most = max(held, key=held.__getitem__, default="")
    return _DTYPES.get(most, most)
