"""Imported pictures -> one manifest: what all have in common under `set:`, the rest with each prompt."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from batchgen.interop.imported import Imported
from batchgen.manifest import manifest_text

_ORDER: Final = (
    *("prompt", "negative_prompt", "seed", "model", "vae", "loras", "init_image", "strength", "width", "height"),
    *("steps", "sampler", "schedule", "guidance_scale", "distilled_guidance", "hires", "upscale"),
    *("emphasis", "clip_skip", "noise", "noise_scale", "noise_index", "noise_rows"),
    *("precision", "rounding", "vae_tiling"),
)
"""As people write them; what is not among these stands at the end."""


def different(found: Iterable[Imported]) -> tuple[Imported, ...]:
    """Return each recipe once: the first picture that has it."""
    seen: dict[str, Imported] = {}
    for each in found:
        seen.setdefault(repr(sorted(each.recipe.items())), each)
    return tuple(seen.values())


def composed(found: Sequence[Imported], comments: Iterable[str] = ()) -> str:
    """Return the text of the manifest that makes `found` again.

    Args:
        found: Settled, at least one, with a prompt each.
        comments: Lines for its head.
    """
    shared = _shared([each.recipe for each in found])
    document = {"set": shared, "prompts": [_entry(each, shared) for each in found]}
    lines = "".join(f"# {_printable(line)}\n" for line in comments)
    return lines + manifest_text({key: value for key, value in document.items() if value})


def _shared(recipes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, *others = recipes
    return {
        name: first[name]
        for name in _ordered(first)
        if name not in ("prompt", "seed") and all(name in each and _same(each[name], first[name]) for each in others)
    }


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


def _same(left: Any, right: Any) -> bool:
    return bool(type(left) is type(right) and left == right)


def _entry(found: Imported, shared: Mapping[str, Any]) -> dict[str, Any]:
    entry = {name: found.recipe[name] for name in _ordered(found.recipe) if name not in shared}
    return entry | ({"name": found.name} if found.name else {})


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in line)
