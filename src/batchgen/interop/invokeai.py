"""InvokeAI's metadata (`invokeai_metadata`, since 3.0) -> recipe fields.

Its samplers are diffusers' schedulers with diffusers' timesteps, so pixels are near, not equal.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from batchgen.interop.imported import Findings, Imported, Needed, Unreadable, frozen, posix

KEY: Final = "invokeai_metadata"

_SCHEDULERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ddim": "ddim",
        "ddpm": "ddpm",
        "deis": "deis",
        "dpmpp_2m": "dpmpp_2m",
        "dpmpp_2m_sde": "dpmpp_2m_sde",
        "dpmpp_2s": "dpmpp_2s_ancestral",
        "dpmpp_3m": "dpmpp_3m_sde",
        "dpmpp_sde": "dpmpp_sde",
        "euler": "euler",
        "euler_a": "euler_ancestral",
        "heun": "heun",
        "kdpm_2": "dpm_2",
        "kdpm_2_a": "dpm_2_ancestral",
        "lcm": "lcm",
        "lms": "lms",
        "unipc": "uni_pc",
    }
)
_KARRAS: Final = "_k"
_SAID_ELSEWHERE: Final = frozenset(
    {
        "app_version", "generation_mode", "positive_prompt", "negative_prompt", "width", "height", "seed",
        "rand_device", "cfg_scale", "guidance", "steps", "scheduler", "clip_skip", "model", "loras", "vae",
        "positive_style_prompt", "negative_style_prompt", "strength", "init_image", "t5_encoder", "clip_embed_model",
    }
)  # fmt: skip
"""Keys that are read, or that belong to a `generation_mode` which is refused whole."""
_WEIGHTS: Final = re.compile(r"\)\s*(?:[+-]+|[0-9.]+)|\w[+-]+(?=[\s,.;)]|$)|\.(?:and|blend|swap)\(")
"""compel's ways to weigh words: `word+`, `(some words)1.2`, `("a", "b").and()`."""


def is_invokeai(document: Any) -> bool:
    """Whether a JSON value is InvokeAI's metadata."""
    return isinstance(document, dict) and "positive_prompt" in document and "scheduler" in document


def read_metadata(document: Mapping[str, Any], source: str) -> Imported:
    """Return the picture that InvokeAI's metadata tell of.

    Raises:
        Unreadable: they have another shape.
    """
    found = Findings()
    try:
        recipe = _texts(document, found) | _sampling(document, found)
        vae, loras = _named(document.get("vae")), [_lora(each) for each in document.get("loras") or ()]
        named = [_named(each.get("model") or each.get("lora")) for each in document.get("loras") or ()]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Unreadable("is no metadata of InvokeAI: a part has another shape", where=source) from error
    _leftovers(document, found)
    recipe |= {"vae": vae[0] if vae else None, "loras": loras or None}
    files = [Needed(kind="vae", name=vae[0], hash=vae[1])] if vae else []
    files += [Needed(kind="lora", name=each[0], hash=each[1]) for each in named if each]
    model = _named(document.get("model"))
    return Imported(
        source=source,
        recipe=frozen(recipe),
        checkpoint=Needed(kind="checkpoint", name=model[0], hash=model[1]) if model else None,
        files=tuple(files),
        warnings=tuple(found.warnings),
        refused=tuple(found.refused),
    )


def _texts(document: Mapping[str, Any], found: Findings) -> dict[str, Any]:
    texts = {
        name: document.get(f"{name.split('_', maxsplit=1)[0]}_prompt") or "" for name in ("positive_", "negative_")
    }
    for text in texts.values():
        refuse_weights(str(text), found)
    for side in ("positive", "negative"):
        style = document.get(f"{side}_style_prompt")
        if style and style != texts[f"{side}_"]:
            found.refuse(f"{side}_style_prompt", "here one prompt goes to both text encoders")
    return {
        "prompt": str(texts["positive_"]),
        "negative_prompt": str(texts["negative_"]),
        "emphasis": "none",
        "clip_skip": int(document.get("clip_skip") or 0) + 1,
    }


def refuse_weights(text: str, found: Findings) -> None:
    """Refuse what weighs words in a prompt of InvokeAI."""
    if weight := _WEIGHTS.search(text):
        found.refuse("prompt weights", "compel's are not read here", said=weight[0])


def _sampling(document: Mapping[str, Any], found: Findings) -> dict[str, Any]:
    label = str(document["scheduler"])
    sampler = _SCHEDULERS.get(label.removesuffix(_KARRAS))
    if sampler is None:
        found.refuse("scheduler", f"{label!r} is not known here")
    found.warn("InvokeAI samples with diffusers' timesteps: pixels will differ a little")
    noise = {"cpu": "cpu", "cuda": "nv"}.get(str(document.get("rand_device", "cpu")))
    if noise is None:
        found.refuse("rand_device", f"{document.get('rand_device')!r} draws noise that is not emulated here")
    guidance = document.get("cfg_scale", 1.0)
    if isinstance(guidance, list):
        found.refuse("cfg_scale", "changes from step to step")
        guidance = guidance[0]
    return {
        "seed": int(document["seed"]),
        "width": int(document["width"]),
        "height": int(document["height"]),
        "steps": int(document["steps"]),
        "sampler": sampler,
        "schedule": "karras" if label.endswith(_KARRAS) else "normal",
        "guidance_scale": float(guidance),
        "distilled_guidance": document.get("guidance"),
        "noise": noise,
        "noise_scale": "full",
        "rounding": "round",
    }


def _named(model: Any) -> tuple[str, str] | None:
    """Return name and hash of a model; its hash is BLAKE3 unless it says that it is SHA-256."""
    if not isinstance(model, dict) or not (name := model.get("name") or model.get("model_name")):
        return None
    digest = str(model.get("hash") or "")
    return posix(str(name)), digest.removeprefix("sha256:") if digest.startswith("sha256:") else ""


def _lora(value: Mapping[str, Any]) -> dict[str, Any]:
    named = _named(value.get("model") or value.get("lora"))
    return {"name": named[0] if named else "", "scale": float(value.get("weight", 0.75))}


def _leftovers(document: Mapping[str, Any], found: Findings) -> None:
    mode = str(document.get("generation_mode", "txt2img"))
    if not mode.endswith("txt2img"):
        found.refuse("generation_mode", f"{mode} begins with a picture that is only in InvokeAI's own store")
    for key, value in document.items():
        if key not in _SAID_ELSEWHERE and _says_something(value):
            found.refuse(key, "is not done here")


def _says_something(value: Any) -> bool:
    """Whether a value holds more than nothing: lists of no layers say nothing."""
    if isinstance(value, dict | list):
        return any(_says_something(each) for each in (value.values() if isinstance(value, dict) else value))
    return bool(value)
