"""What the layers of a model are called: in diffusers' modules, in single-file checkpoints, in adapters.

An adapter names a layer by one of several spellings. All of them follow from the layer's own name, so a model's layers
give a table in which an adapter's names are looked up: what is not in it, the model does not have.
Shapes come from the headers of weight files or from loaded modules; nothing here needs torch.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchgen.job import Model
from batchgen.models.families import FAMILIES
from batchgen.models.folder import component_weights
from batchgen.models.header import Header, read_header

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Of each layer that multiplies by a matrix (linear, convolution): its name in diffusers, and its weight's shape."""

_EMBEDDINGS = ("token_embedding", "position_embedding", "shared", "embed_tokens", "relative_attention_bias")
"""Tables to look up in, not matrices to multiply by, though their weights have two sides as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a part of an adapter's layer goes."""

    component: str
    """`unet`, `transformer`, `text_encoder`, `text_encoder_2`."""

    layer: str
    """Name of the module in the component."""

    rows: tuple[int, int]
    """Which of the adapter's outputs it takes: all but where several layers of diffusers were one for the trainer."""

    swapped: bool = False
    """The halves of the outputs change places: diffusers has scale before shift."""


def matrices(weights: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the shapes of the layers that multiply by a matrix, by layer, from those of all weights, by weight."""
    layers = {name.removesuffix(".weight"): shape for name, shape in weights.items() if name.endswith(".weight")}
    return {name: shape for name, shape in layers.items() if len(shape) > 1 and not name.endswith(_EMBEDDINGS)}


def spellings(component: str, shapes: Shapes) -> dict[str, tuple[Place, ...]]:
    """Return where each layer goes that an adapter may name, by its name with `_` for every `.`."""
    found: dict[str, tuple[Place, ...]] = {}
    ldm = _to_ldm(shapes) if component == "unet" else {}
    for layer, (rows, *_) in shapes.items():
        place = (Place(component=component, layer=layer, rows=(0, rows)),)
        names = [layer.removeprefix("text_model."), *([ldm[layer]] if layer in ldm else [])]
        found |= {_plain(name): place for known in names for name in _older(known)}
    if component == "transformer":
        fused = ((name, layers) for name, layers in _flux_names(shapes).items() if shapes.keys() >= set(layers))
        found |= {_plain(name): _places(layers, shapes) for name, layers in fused}
    return found


def _plain(name: str) -> str:
    return name.replace(".", "_")


def _older(layer: str) -> Iterator[str]:
    """Yield the name of a layer, and what diffusers called it while adapters were attention processors."""
    yield layer
    if layer.endswith(".to_out.0"):
        yield layer.removesuffix(".0")
    if match := re.fullmatch(r"(.+\.self_attn)\.(q|k|v|out)_proj", layer):
        yield f"{match[1]}.to_{match[2]}"


# --- UNets: the names of Stability's own code, which most checkpoints and kohya's SDXL adapters have ------------------

_TOP = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_RESNET = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_BLOCK = re.compile(r"((?:down|up)_blocks\.\d+\.\w+\.\d+|mid_block\.\w+\.\d+)\.(.+)")
_LDM_BLOCK = re.compile(r"((?:input|output)_blocks\.\d+\.\d+|middle_block\.\d+)\.(.+)")


def _blocks(layers: Sequence[int]) -> dict[str, str]:
    """Return how blocks are called in either naming: diffusers counts by level, the other one through.

    Args:
        layers: resnets of each level on the way down; on the way up each has one more.
    """
    found = {
        f"mid_block.{kind}": f"middle_block.{n}" for n, kind in enumerate(("resnets.0", "attentions.0", "resnets.1"))
    }
    count = 0
    for level, resnets in enumerate(layers):
        for k in range(resnets):
            count += 1
            found[f"down_blocks.{level}.resnets.{k}"] = f"input_blocks.{count}.0"
            found[f"down_blocks.{level}.attentions.{k}"] = f"input_blocks.{count}.1"
        count += 1
        found[f"down_blocks.{level}.downsamplers.0"] = f"input_blocks.{count}.0"
    count = -1
    for level, resnets in enumerate(reversed(layers)):
        for k in range(resnets + 1):
            count += 1
            found[f"up_blocks.{level}.resnets.{k}"] = f"output_blocks.{count}.0"
            found[f"up_blocks.{level}.attentions.{k}"] = f"output_blocks.{count}.1"
        # Behind the attention; where there is none, it has its number: see `_to_ldm` and `_from_ldm`.
        found[f"up_blocks.{level}.upsamplers.0"] = f"output_blocks.{count}.2"
    return found


def _to_ldm(layers: Iterable[str]) -> dict[str, str]:
    """Return the other name of each of a UNet's layers."""
    layers = list(layers)
    downs = {match.groups() for name in layers if (match := re.match(r"down_blocks\.(\d+)\.resnets\.(\d+)\.", name))}
    levels = [level for level, _ in downs]
    blocks = _blocks([levels.count(str(level)) for level in range(len(set(levels)))])
    attended = {match[1] for name in layers if (match := re.match(r"up_blocks\.(\d+)\.attentions\.", name))}
    found = {name: other for name, other in _TOP.items() if name in layers}
    for name in layers:
        match = _BLOCK.fullmatch(name)
        if match and match[1] in blocks:
            block, inner = blocks[match[1]], _RESNET.get(match[2], match[2])
            if ".downsamplers." in name:
                inner = "op"
            elif ".upsamplers." in name and name.split(".")[1] not in attended:
                block = block.removesuffix("2") + "1"
            found[name] = f"{block}.{inner}"
    return found


def _from_ldm(weights: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the shapes of a UNet's layers by their names in diffusers, from those in Stability's own code."""
    counts = [0]
    for place in range(1, 1 + max((int(n) for n in _numbers(weights, r"input_blocks\.(\d+)\.")), default=0)):
        if f"input_blocks.{place}.0.op" in weights:
            counts.append(0)
        else:
            counts[-1] += 1
    names = {other: name for name, other in _blocks(counts).items()}
    top = {other: name for name, other in _TOP.items()}
    resnet = {other: name for name, other in _RESNET.items()} | {"op": "conv"}
    found = {}
    for layer, shape in weights.items():
        match = _LDM_BLOCK.fullmatch(layer)
        block = match and (match[1][:-1] + "2" if match[2] == "conv" else match[1])
        if layer in top:
            found[top[layer]] = shape
        elif match and block in names:
            found[f"{names[block]}.{resnet.get(match[2], match[2])}"] = shape
    return found


def _numbers(names: Iterable[str], pattern: str) -> set[str]:
    return {match[1] for name in names if (match := re.match(pattern, name))}


# --- Flux: the names of Black Forest Labs' own code ------------------------------------------------------------------

_FLUX_DOUBLE: Mapping[str, tuple[str, ...]] = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.net.0.proj",),
    "img_mlp.2": ("ff.net.2",),
    "txt_mlp.0": ("ff_context.net.0.proj",),
    "txt_mlp.2": ("ff_context.net.2",),
    "img_mod.lin": ("norm1.linear",),
    "txt_mod.lin": ("norm1_context.linear",),
}
_FLUX_SINGLE: Mapping[str, tuple[str, ...]] = {
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
    "modulation.lin": ("norm.linear",),
}
_FLUX_TOP: Mapping[str, tuple[str, ...]] = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": ("time_text_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_text_embed.timestep_embedder.linear_2",),
    "guidance_in.in_layer": ("time_text_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_text_embed.guidance_embedder.linear_2",),
    "vector_in.in_layer": ("time_text_embed.text_embedder.linear_1",),
    "vector_in.out_layer": ("time_text_embed.text_embedder.linear_2",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear",),
    "final_layer.linear": ("proj_out",),
}
_FLUX_PROCESSORS = {
    "qkv1": _FLUX_DOUBLE["img_attn.qkv"],
    "qkv2": _FLUX_DOUBLE["txt_attn.qkv"],
    "proj1": _FLUX_DOUBLE["img_attn.proj"],
    "proj2": _FLUX_DOUBLE["txt_attn.proj"],
}
"""How XLabs' trainer names them."""

_FLUX_SINGLE_PROCESSORS = {"qkv": _FLUX_SINGLE["linear1"][:3], "proj": ("proj_out",)}


def _flux_names(layers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return which of a Flux transformer's layers each name of the original code stands for."""
    layers = set(layers)
    found = dict(_FLUX_TOP)
    kinds = (
        ("double_blocks", "transformer_blocks", {**_FLUX_DOUBLE, **_FLUX_PROCESSORS}),
        ("single_blocks", "single_transformer_blocks", {**_FLUX_SINGLE, **_FLUX_SINGLE_PROCESSORS}),
    )
    for original, ours, table in kinds:
        for n in _numbers(layers, rf"{ours}\.(\d+)\."):
            for name, inner in table.items():
                found[f"{original}.{n}.{name}"] = tuple(f"{ours}.{n}.{each}" for each in inner)
    return found


def _places(layers: Sequence[str], shapes: Shapes) -> tuple[Place, ...]:
    """Return which rows of one layer's outputs each of `layers` takes, one after the other."""
    places, begin = [], 0
    for layer in layers:
        end = begin + shapes[layer][0]
        place = Place(component="transformer", layer=layer, rows=(begin, end), swapped=layer == "norm_out.linear")
        places.append(place)
        begin = end
    return tuple(places)


def _from_flux(weights: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the shapes of a Flux transformer's layers by their names in diffusers."""
    found: dict[str, Shape] = {}
    for layer, (rows, width) in weights.items():
        kind, _, rest = layer.partition(".")
        n, _, inner = rest.partition(".")
        if kind == "double_blocks" and inner in _FLUX_DOUBLE:
            names, prefix = _FLUX_DOUBLE[inner], f"transformer_blocks.{n}."
        elif kind == "single_blocks" and inner in _FLUX_SINGLE:
            names, prefix = _FLUX_SINGLE[inner], f"single_transformer_blocks.{n}."
        else:
            names, prefix = _FLUX_TOP.get(layer, ()), ""
        sizes = [width] * (len(names) - 1)
        for name, size in zip(names, [*sizes, rows - sum(sizes)], strict=True) if names else ():
            found[prefix + name] = (size, width)
    return found


# --- The layers of a model, from the headers of its weights -----------------------------------------------------------

_SINGLE_FILE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sd15": {"unet": ("model.diffusion_model.",), "text_encoder": ("cond_stage_model.transformer.",)},
    "sdxl": {
        "unet": ("model.diffusion_model.",),
        "text_encoder": ("conditioner.embedders.0.transformer.",),
        "text_encoder_2": ("conditioner.embedders.1.model.",),
    },
    "flux": {
        "transformer": ("model.diffusion_model.", ""),
        "text_encoder": ("text_encoders.clip_l.transformer.",),
        "text_encoder_2": ("text_encoders.t5xxl.transformer.",),
    },
}
"""How the weights of each component begin in a single file: the first beginning that is there counts."""


def model_layers(model: Model) -> dict[str, Shapes]:
    """Return the layers of each component that adapters may change, from the headers of the model's weights.

    Of a single file only those components that are in it under a known name.

    Raises:
        ModelError: weights are missing or damaged.
    """
    path = Path(model.path)
    if not path.is_dir():
        return _single_file(read_header(path), model.family)
    names = [name for name in FAMILIES[model.family].modules if name != "vae"]
    return {name: _folder(path / name) for name in names}


def _folder(component: Path) -> Shapes:
    _, files = component_weights(component)
    return {
        name: shape
        for file in files
        if file.suffix == ".safetensors"
        for name, shape in matrices(_weights(read_header(file))).items()
    }


def _weights(header: Header) -> dict[str, Shape]:
    return {name: tensor.shape for name, tensor in header.tensors.items()}


def _single_file(header: Header, family: str) -> dict[str, Shapes]:
    weights = _weights(header)
    found: dict[str, Shapes] = {}
    for component, beginnings in _SINGLE_FILE.get(family, {}).items():
        start = next((each for each in beginnings if any(name.startswith(each) for name in weights)), None)
        if start is None:
            continue
        inner = {name.removeprefix(start): shape for name, shape in weights.items() if name.startswith(start)}
        if shapes := _in_diffusers(component, family, inner):
            found[component] = shapes
    return found


def _in_diffusers(component: str, family: str, weights: Mapping[str, Shape]) -> dict[str, Shape]:
    if component == "unet":
        return _from_ldm(matrices(weights))
    if component == "transformer":
        return _from_flux(matrices(weights))
    if family == "sdxl" and component == "text_encoder_2":
        return _from_openclip(weights)
    return matrices(weights)


def _from_openclip(weights: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the layers of SDXL's second text encoder, which single files keep as OpenCLIP names them."""
    found: dict[str, Shape] = {}
    for name, shape in weights.items():
        match = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+?)[._]weight", name)
        layer = f"text_model.encoder.layers.{match[1]}" if match else ""
        if match and match[2] == "attn.in_proj":
            found |= {f"{layer}.self_attn.{kind}_proj": (shape[1], shape[1]) for kind in "qkv"}
        elif match and (other := _OPENCLIP.get(match[2])):
            found[f"{layer}.{other}"] = shape
        elif name == "text_projection":
            found[name] = shape[::-1]
    return found


_OPENCLIP = {"attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
