"""What our own `parameters` texts say beyond A1111's grammar: the keys that `a1111.write` adds, read again."""

import re
from collections.abc import Callable
from typing import Any, Final

from batchgen.interop.a1111 import OWN_KEYS

Take = Callable[[str], str | None]
"""Takes the value of a key out of a text; None where it is not there."""

Number = Callable[[str, Callable[[str], Any]], Any]
"""The same for numbers."""

_SCALE: Final = r":-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_TAG: Final = re.compile(rf" ?<lora:([^<>:]+)({_SCALE})({_SCALE})?>$")
_NEUTRAL: Final = {"noise": "cpu", "rounding": "round", "precision": "auto", "vae_tiling": "off"}
_SWITCHES: Final = {"True": True, "False": False}


def own_fields(take: Take) -> dict[str, Any]:
    """Return the fields under keys of ours; those that somebody's conf may set are said even where they are neutral."""
    found = {name: _value(text) for key, name in OWN_KEYS.items() if (text := take(key)) is not None}
    return _NEUTRAL | found


def own_beginning(take: Take, number: Number) -> dict[str, Any]:
    """Return what a picture began with; nothing where the text names no picture."""
    image, mask = take("Init image"), take("Mask image")
    if image is None:
        return {}
    take("Inpaint area")  # It says no more than the padding does.
    strength = number("Init strength", float) or number("Denoising strength", float)
    return {"init_image": image, "strength": strength, "mask_image": mask}


def own_adapters(prompt: str, count: int) -> tuple[str, list[dict[str, Any]]]:
    """Take the last `count` tags off a prompt: adapters, as the field `loras` has them.

    >>> own_adapters("a fox <lora:grain:0.5:0.8>", 1)
    ('a fox', [{'name': 'grain', 'scale': 0.8, 'clip_scale': 0.5}])
    """
    found: list[dict[str, Any]] = []
    while len(found) < count and (tag := _TAG.search(prompt)):
        prompt = prompt[: tag.start()]
        first, second = float(tag[2][1:]), tag[3]
        own = {"scale": float(second[1:]), "clip_scale": first} if second else {"scale": first}
        found.insert(0, {"name": tag[1], **own})
    return prompt, found


def _value(text: str) -> Any:
    return int(text) if text.isdecimal() else _SWITCHES.get(text, text)
