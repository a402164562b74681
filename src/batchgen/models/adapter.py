"""What an adapter file holds, by its header: which layers of which family it changes, and whether it fits a model.

A LoRA (arXiv:2106.09685) is two thin matrices beside a layer's weight. Trainers agree on that and on little else: the
layouts differ in what they call layers and matrices, and in where they keep the scale. All of it is read here, without
the data, so that a plan can refuse what will not fit. Relatives of the LoRA are refused by name.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.families import FAMILIES
from batchgen.models.header import Header, read_header
from batchgen.models.layers import Place, Shape, Shapes, model_layers, spellings

Layout = Literal["kohya", "diffusers", "peft", "comfyui"]
"""Whose names a file has."""

Part = Literal["denoiser", "text_encoder", "text_encoder_2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterLayer:
    """What an adapter holds for one layer: the layer's output grows by strength * up(down(x))."""

    name: str
    """As the file spells it."""

    part: Part
    spelling: str
    """The layer's name within its part, `_` for every `.`: a key of `models.layers.spellings`."""

    down: str
    """Name of the tensor that leads into the narrow middle; likewise the others."""
    up: str
    mid: str | None
    """A convolution between the two, of LoCon with a Tucker decomposition."""
    alpha: str | None

    shape: tuple[int, int]
    """Outputs and inputs of the layer it is for, a convolution's pixels among the inputs."""

    rank: int
    """Width of the narrow middle."""

    strength: float
    """What alpha / rank is where the file's metadata say it, else 1; a tensor `alpha` comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFacts:
    """What the header of an adapter file says."""

    path: Path
    name: str
    """The file's name without its ending."""

    layout: Layout
    families: tuple[str, ...]
    """Families of models it may be for, by its tensors' names and shapes; none where they are of no known size."""

    made_for: str
    """The same, for a person."""

    parts: tuple[Part, ...]
    ranks: tuple[int, ...]
    """Every rank that occurs, smallest first."""

    layers: tuple[AdapterLayer, ...]


# --- Reading ----------------------------------------------------------------------------------------------------------

_FACTOR = re.compile(
    r"(?P<layer>.+?)(?:\.lora_|\.lora\.|\.lora_linear_layer\.|_lora(?P<number>\d?)\.)"
    r"(?P<factor>down|up|mid|A|B)(?:\.[^.]+)?\.weight"
)
"""`X.lora_down.weight` of kohya and ComfyUI, `X.lora_A.weight` of peft, and what diffusers wrote before:
`X.lora.down.weight`, `X.lora_linear_layer.down.weight`, `X_lora.down.weight`."""

_ROLES = {"A": "down", "B": "up"}

_RELATIVES = (
    (r"\.dora_scale$|\.lora_magnitude_vector", "a DoRA"),
    (r"\.hada_[wt]\d", "a LoHa"),
    (r"\.lokr_[wt]\d", "a LoKr"),
    (r"\.boft_", "a BOFT"),
    (r"\.oft_", "an OFT or BOFT"),
    (r"\.[ab][12]\.weight$", "a GLoRA"),
    (r"\.on_input$|\.ia3_l", "an IA3"),
    (r"\.vera_lambda", "a VeRA"),
    (r"\.diff(_b)?$|\.[wb]_norm$|\.set_weight$", "an adapter of whole weights"),
    (r"\.lora_(B|up)(\.[^.]+)?\.bias$|\.lora_bias$", "a LoRA with biases"),
    (r"^bundle_emb\.", "a LoRA with embeddings bundled into it"),
)
"""How the tensors of what is no plain LoRA end, and what it is."""

_PREFIXES: tuple[tuple[str, Part, Layout], ...] = (
    ("lora_unet_", "denoiser", "kohya"),
    ("lora_transformer_", "denoiser", "kohya"),
    ("lora_te_", "text_encoder", "kohya"),
    ("lora_te1_", "text_encoder", "kohya"),
    ("lora_te2_", "text_encoder_2", "kohya"),
    ("lora_te3_", "text_encoder_2", "kohya"),  # T5, where CLIP-G would be the second
    ("lycoris_", "denoiser", "kohya"),
    ("model.diffusion_model.", "denoiser", "comfyui"),
    ("diffusion_model.", "denoiser", "comfyui"),
    ("text_encoders.clip_l.transformer.", "text_encoder", "comfyui"),
    ("text_encoders.clip_g.transformer.", "text_encoder_2", "comfyui"),
    ("text_encoders.t5xxl.transformer.", "text_encoder_2", "comfyui"),
    ("clip_l.transformer.", "text_encoder", "comfyui"),
    ("clip_g.transformer.", "text_encoder_2", "comfyui"),
    ("t5xxl.transformer.", "text_encoder_2", "comfyui"),
    ("unet.", "denoiser", "diffusers"),
    ("transformer.", "denoiser", "diffusers"),
    ("text_encoder.", "text_encoder", "diffusers"),
    ("text_encoder_2.", "text_encoder_2", "diffusers"),
)
"""How names begin, which part of a model that is, and who writes so; peft alone writes none of these."""

_PEFT = "base_model.model."


def read_adapter(path: Path) -> AdapterFacts:
    """Read what the LoRA file `path` is for.

    Raises:
        ModelError: it is damaged, no LoRA, or a relative of the LoRA that is not done; in words that say which.
    """
    header = read_header(path)
    found = _layers(path, header)
    layers = tuple(layer for layer, _ in found)
    families, made_for = _made_for(layers)
    return AdapterFacts(
        path=path,
        name=path.stem,
        layout=found[0][1],
        families=families,
        made_for=made_for,
        parts=tuple(sorted({layer.part for layer in layers})),
        ranks=tuple(sorted({layer.rank for layer in layers})),
        layers=layers,
    )


def _layers(path: Path, header: Header) -> list[tuple[AdapterLayer, Layout]]:
    """Return every layer with the layout of its name."""
    keys: dict[str, dict[str, str]] = {}
    strange = []
    for key in header.tensors:
        if match := _FACTOR.fullmatch(key):
            role = _ROLES.get(match["factor"], match["factor"])
            keys.setdefault(match["layer"] + (match["number"] or ""), {})[role] = key
        elif key.endswith(".alpha"):
            keys.setdefault(key.removesuffix(".alpha"), {})["alpha"] = key
        else:
            strange.append(key)
    _refuse_strange(path, strange, found=bool(keys))
    config = _peft_config(header.metadata)
    return [_layer(path, header, (name, roles), config) for name, roles in keys.items()]


def _refuse_strange(path: Path, strange: list[str], *, found: bool) -> None:
    for pattern, kind in _RELATIVES:
        if any(re.search(pattern, key) for key in strange):
            raise ModelError(f"is {kind}, which batchgen does not do: it does LoRA and LoCon", where=str(path))
    if strange and found:
        text = f"holds {len(strange)} tensors that belong to no LoRA, {strange[0]} for one"
        raise ModelError(text, where=str(path))
    if not found:
        raise ModelError("is no LoRA: no tensor in it is a part of one", where=str(path))


def _layer(
    path: Path, header: Header, entry: tuple[str, Mapping[str, str]], config: Mapping[str, Any]
) -> tuple[AdapterLayer, Layout]:
    name, keys = entry
    for role in ("down", "up"):
        if role not in keys:
            raise ModelError(f"is damaged: its layer {name} has no `{role}`", where=str(path))
    down, up = (header.tensors[keys[role]].shape for role in ("down", "up"))
    mid = header.tensors[keys["mid"]].shape if "mid" in keys else None
    part, spelling, layout = _spelled(name)
    layer = AdapterLayer(
        name=name,
        part=part,
        spelling=spelling,
        down=keys["down"],
        up=keys["up"],
        mid=keys.get("mid"),
        alpha=keys.get("alpha"),
        shape=_shape(path, name, (down, up, mid)),
        rank=up[1],
        strength=_told(config, name, up[1]),
    )
    return layer, layout


def _shape(path: Path, name: str, factors: tuple[Shape, Shape, Shape | None]) -> tuple[int, int]:
    """Return outputs and inputs of the layer that factors of these shapes are for."""
    down, up, mid = factors
    narrow = mid or (up[1:2] + down[:1])
    agree = len(down) in (2, 4) and len(up) in (2, 4) and narrow[:2] == up[1:2] + down[:1]
    if not agree or up[1] == 0 or math.prod(up[2:]) != 1 or (mid and len(mid) != 4):
        raise ModelError(f"is damaged: the factors of {name} do not agree with each other", where=str(path))
    if not mid and down[0] != up[1]:
        raise ModelError(f"is damaged: the factors of {name} are of different ranks", where=str(path))
    return up[0], math.prod(down[1:]) * math.prod(narrow[2:])


def _spelled(name: str) -> tuple[Part, str, Layout]:
    """Return which part of a model a layer's name means, what it is called there, and whose naming that is."""
    bare = name.removeprefix(_PEFT)
    for prefix, part, layout in _PREFIXES:
        if bare.startswith(prefix):
            return part, _inner(bare.removeprefix(prefix)), "peft" if bare != name else layout
    return "denoiser", _inner(bare), "peft"


def _inner(name: str) -> str:
    # Adapters were attention processors once, and text encoders were wrapped.
    return name.replace(".", "_").replace("_processor_", "_").removeprefix("text_model_")


def _peft_config(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the configurations that diffusers notes down with an adapter of peft: `unet.lora_alpha` and so on."""
    found = _json(metadata.get("lora_adapter_metadata", ""))
    return found if isinstance(found, dict) else {}


def _told(config: Mapping[str, Any], name: str, rank: int) -> float:
    """Return the strength of a layer as peft's configuration has it; 1 without."""
    part, _, inner = name.partition(".")
    patterns = config.get(f"{part}.alpha_pattern")
    own = (alpha for key, alpha in patterns.items() if _ends(inner, key)) if isinstance(patterns, dict) else ()
    alpha = next(iter(own), config.get(f"{part}.lora_alpha"))
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        return 1.0
    return alpha / (math.sqrt(rank) if config.get(f"{part}.use_rslora") is True else rank)


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_MOST_WORDS = 10


def trigger_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return what an adapter's prompts were trained with, as its trainer noted it, the most frequent first."""
    if phrase := metadata.get("modelspec.trigger_phrase", "").strip():
        return (phrase,)
    counts: dict[str, int] = {}
    datasets = _json(metadata.get("ss_tag_frequency", ""))
    for tags in datasets.values() if isinstance(datasets, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if isinstance(count, int):
                counts[tag.strip()] = counts.get(tag.strip(), 0) + count
    return tuple(sorted(counts, key=lambda tag: -counts[tag])[:_MOST_WORDS])


_BY_TEXT_WIDTH = {768: "sd15", 2048: "sdxl"}
_OTHERS = {1024: "Stable Diffusion 2", 1280: "Stable Diffusion XL's refiner"}
_FLUX_WIDTH = 3072
_FLUX_BLOCKS = ("double_blocks_", "single_blocks_", "single_transformer_blocks_", "transformer_blocks_")


def _made_for(layers: Iterable[AdapterLayer]) -> tuple[tuple[str, ...], str]:
    """Return the families that the layers may be of, and what to call that."""
    names = {layer.spelling: layer for layer in layers if layer.part == "denoiser"}
    if any(name.startswith(_FLUX_BLOCKS) for name in names):
        known = any(_FLUX_WIDTH in layer.shape for layer in names.values())
        return _titled(("flux",) if known else (), "another transformer than FLUX.1")
    widths = {layer.shape[1] for name, layer in names.items() if name.endswith(("attn2_to_k", "attn2_to_v"))}
    if widths:
        width = min(widths)
        family = _BY_TEXT_WIDTH.get(width)
        return _titled((family,) if family else (), _OTHERS.get(width, f"a UNet with texts of width {width}"))
    deep = any("_transformer_blocks_1_" in name for name in names)
    if deep or any(layer.part == "text_encoder_2" and 1280 in layer.shape for layer in layers):
        return _titled(("sdxl",), "")
    return _titled(("sd15", "sdxl") if names else (), "a text encoder")


def _titled(families: tuple[str, ...], otherwise: str) -> tuple[tuple[str, ...], str]:
    return families, " or ".join(FAMILIES[name].title for name in families) or otherwise


# --- Fitting ----------------------------------------------------------------------------------------------------------

Assigned = list[tuple[AdapterLayer, tuple[Place, ...]]]


def misfit(adapter: AdapterFacts | Path, model: Model) -> str | None:
    """Return one line that says why a LoRA does not fit `model`, or None where it does.

    Raises:
        ModelError: the LoRA or the model's weights are missing or damaged, or the former is no LoRA.
    """
    facts = adapter if isinstance(adapter, AdapterFacts) else read_adapter(adapter)
    known, family = model_layers(model), FAMILIES[model.family]
    # Of a single file, text encoders may lie elsewhere; what is not seen is not judged.
    unseen = {"denoiser" if name in {"unet", "transformer"} else name for name in family.modules if name not in known}
    if "denoiser" in unseen:
        wrong = f"{model.path} is of another family" if model.family not in facts.families else None
    else:
        wrong = assigned(facts, known, skipping=unseen)[1]
    return refusal(facts, model, wrong) if wrong else None


def refusal(facts: AdapterFacts, model: Model, why: str) -> str:
    """Return the line that says why a LoRA does not fit a model, with both names."""
    title = FAMILIES[model.family].title
    return f"LoRA {facts.name!r} is for {facts.made_for} and does not fit model {model.name!r} ({title}): {why}"


def assigned(
    facts: AdapterFacts, known: Mapping[str, Shapes], *, skipping: Iterable[str] = ()
) -> tuple[Assigned, str | None]:
    """Return where each layer of a LoRA goes in a model with these layers, and what is wrong with that, if anything."""
    tables = {("denoiser" if name in {"unet", "transformer"} else name): name for name in known}
    places = {part: spellings(name, known[name]) for part, name in tables.items()}
    found: Assigned = []
    taken: set[tuple[Place, ...]] = set()
    absent, other = [], []
    for layer in facts.layers:
        if layer.part in skipping:
            continue
        where = places.get(layer.part, {}).get(layer.spelling)
        if where is None:
            absent.append(layer.name)
        elif (shape := _outer(where, known)) != layer.shape:
            other.append(f"{layer.name} ({_sides(layer.shape)}, there {_sides(shape)})")
        elif where in taken:
            other.append(f"{layer.name} (which it has twice, under two names)")
        else:
            taken.add(where)
            found.append((layer, where))
    return found, _wrong(len(facts.layers), absent, other)


def _outer(places: tuple[Place, ...], known: Mapping[str, Shapes]) -> tuple[int, int]:
    first = known[places[0].component][places[0].layer]
    return places[-1].rows[1], math.prod(first[1:])


def _sides(shape: tuple[int, int]) -> str:
    return f"{shape[1]} to {shape[0]}"


def _wrong(total: int, absent: list[str], other: list[str]) -> str | None:
    if other:
        return f"{len(other)} of its {total} layers do not fit, such as {other[0]}"
    if absent:
        return f"{len(absent)} of its {total} layers are not in the model: {', '.join(absent[:3])}"
    return None
