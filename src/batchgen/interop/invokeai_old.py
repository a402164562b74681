"""InvokeAI's metadata before 3.0 (`sd-metadata`) -> recipe fields.

The negative prompt stands in the prompt, in square brackets.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from batchgen.interop.a1111_names import sampler_of
from batchgen.interop.imported import Findings, Imported, Needed, Unreadable, frozen, posix
from batchgen.interop.invokeai import refuse_weights

KEY: Final = "sd-metadata"

_NEGATIVE: Final = re.compile(r"\[([^\[\]]*)\]")
_READ: Final = frozenset({"prompt", "steps", "cfg_scale", "height", "width", "seed", "type", "sampler"})
_NEUTRAL: Final = frozenset(
    {"image_type", "threshold", "perlin", "postprocessing", "variations", "seamless", "hires_fix"}
)


def is_old_invokeai(document: Any) -> bool:
    """Whether a JSON value is such metadata."""
    return isinstance(document, dict) and isinstance(document.get("image"), dict) and "model_weights" in document


def read_old_metadata(document: Mapping[str, Any], source: str) -> Imported:
    """Return the picture that the metadata tell of.

    Raises:
        Unreadable: they have another shape.
    """
    found = Findings()
    image = document["image"]
    try:
        recipe = _recipe(image, found)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Unreadable("is no metadata of InvokeAI: a part has another shape", where=source) from error
    for key, value in image.items():
        if key not in _READ and (value or key not in _NEUTRAL):
            found.refuse(key, "is not done here")
    digest = str(document.get("model_hash") or "")
    return Imported(
        source=source,
        recipe=frozen(recipe),
        checkpoint=Needed(kind="checkpoint", name=posix(str(document["model_weights"])), hash=digest.lower()),
        warnings=tuple(found.warnings),
        refused=tuple(found.refused),
    )


def _recipe(image: Mapping[str, Any], found: Findings) -> dict[str, Any]:
    if image.get("type", "txt2img") != "txt2img":
        found.refuse("type", f"{image['type']} begins with a picture that is only in InvokeAI's own store")
    prompts = image["prompt"] if isinstance(image["prompt"], list) else [{"prompt": image["prompt"], "weight": 1}]
    if len(prompts) != 1:
        found.refuse("prompt", "is blended of several")
    text = str(prompts[0]["prompt"])
    refuse_weights(text, found)
    sampler, _ = sampler_of(str(image["sampler"]))
    if sampler is None:
        found.refuse("sampler", "is not known here", said=str(image["sampler"]))
    found.warn("InvokeAI samples with timesteps of its own: pixels will differ a little")
    return {
        "prompt": _NEGATIVE.sub("", text).strip(),
        "negative_prompt": " ".join(_NEGATIVE.findall(text)).strip(),
        "emphasis": "none",
        "clip_skip": 1,
        "seed": int(image["seed"]),
        "width": int(image["width"]),
        "height": int(image["height"]),
        "steps": int(image["steps"]),
        "sampler": sampler,
        "schedule": "karras" if str(image["sampler"]).startswith("k_") else "normal",
        "guidance_scale": float(image["cfg_scale"]),
        "noise": "cpu",
        "noise_scale": "full",
        "rounding": "round",
    }
