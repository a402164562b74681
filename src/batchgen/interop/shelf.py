"""Names and hashes of other programs' files -> what those files are called here. By hash first, then by exact name."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from batchgen.interop.imported import Imported, Kind, Needed, frozen, stem

_LORA_TAG: Final = re.compile(r"<lora:([^:<>]+)")

Names = Mapping[tuple[Kind, str], str]
"""What is written in the manifest, by kind and by what was written in the source."""


class Shelf(Protocol):
    """The weights that are on this machine."""

    def by_hash(self, kind: Kind, text: str, called: str, /) -> str | None:
        """Return the name of the file that has this hash, as a manifest writes it; None if there is none.

        Args:
            kind: What the file is for.
            text: Hex digits, as `Needed.hash` describes them. A file whose hash would have to be computed may be
                passed over, unless its stem is `called`: names are tried next.
            called: The stem that the file has where it comes from; may be empty.
        """
        ...

    def by_name(self, kind: Kind, text: str, /) -> str | None:
        """Return the name of the one file called exactly so, as a manifest writes it; None if there is none.

        Args:
            kind: What the file is for.
            text: A path below the folder of its kind, with `/` and an ending, or a file's stem.
        """
        ...

    def several(self, kind: Kind, text: str, /) -> tuple[str, ...]:
        """Return all that `by_name` might mean."""
        ...


def settled(found: Imported, shelf: Shelf) -> Imported:
    """Return `found` with `model` in its recipe and every file called what it is called here.

    A name that nothing here has stands as it was written, with a warning.
    """
    needed = (*([found.checkpoint] if found.checkpoint else []), *found.files)
    names: dict[tuple[Kind, str], str] = {}
    warnings = list(found.warnings)
    for each in needed:
        here = _here(each, shelf)
        names[each.kind, _written(each)] = here or _written(each)
        if here is None:
            warnings.append(f"{_called(each)} {_why(each, shelf)}; it stands as it was written")
        elif stem(here) != stem(each.name or here):
            warnings.append(f"{_called(each)} is called {here!r} here")
        elif each.hash and not _by_hash(each, shelf):
            warnings.append(f"{_called(each)} is taken by its name: the one here has another hash, or cannot be hashed")
    model = names["checkpoint", _written(found.checkpoint)] if found.checkpoint else None
    recipe = frozen({"model": model} | _renamed(found.recipe, names))
    return replace(found, recipe=recipe, warnings=tuple(dict.fromkeys(warnings)))


def missing(found: Imported, shelf: Shelf) -> tuple[Needed, ...]:
    """Return the files of `found` that are not here."""
    needed = (*([found.checkpoint] if found.checkpoint else []), *found.files)
    return tuple(each for each in needed if _here(each, shelf) is None)


def _here(needed: Needed, shelf: Shelf) -> str | None:
    if needed.hash and (name := _by_hash(needed, shelf)):
        return name
    if not needed.name:
        return None
    return shelf.by_name(needed.kind, needed.name) or shelf.by_name(needed.kind, stem(needed.name))


def _by_hash(needed: Needed, shelf: Shelf) -> str | None:
    return shelf.by_hash(needed.kind, needed.hash, stem(needed.name))


def _why(needed: Needed, shelf: Shelf) -> str:
    """Say why a file is not named here, in words that follow its name."""
    several = shelf.several(needed.kind, needed.name) or shelf.several(needed.kind, stem(needed.name))
    return f"is both {several[0]!r} and {several[1]!r}" if len(several) > 1 else "is not in the models folders"


def _written(needed: Needed) -> str:
    return needed.name or needed.hash


def _called(needed: Needed) -> str:
    return f"{needed.kind} {_written(needed)!r}" + (f" (hash {needed.hash})" if needed.hash and needed.name else "")


def _renamed(recipe: Mapping[str, Any], names: Names) -> dict[str, Any]:
    found = dict(recipe)
    if "vae" in found:
        found["vae"] = names.get(("vae", found["vae"]), found["vae"])
    if "loras" in found:
        found["loras"] = [each | {"name": names.get(("lora", each["name"]), each["name"])} for each in found["loras"]]
    for field, key in (("upscale", "model"), ("hires", "upscaler")):
        if field in found and key in found[field]:
            written = found[field][key]
            found[field] = found[field] | {key: names.get(("upscaler", written), written)}
    for field in ("prompt", "negative_prompt"):
        if field in found:
            found[field] = _LORA_TAG.sub(lambda tag: f"<lora:{_tagged(tag[1], names)}", found[field])
    return found


def _tagged(name: str, names: Names) -> str:
    """Return what stands in a prompt's tag: the name as it is, unless the file of its hash has another."""
    here = names.get(("lora", name), name)
    return name if stem(here) == stem(name) else stem(here)
