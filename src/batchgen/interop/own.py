"""batchgen's own record -> the fields that a person would write for it. It is exact: it wins over all else in a file.

What another job makes stands in a recipe as that job's recipe; here it becomes `hires` and `upscale` again.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, Final

from batchgen.interop.comfyui_graph import parse
from batchgen.interop.imported import Findings, Imported, Kind, Needed, Unreadable, frozen
from batchgen.interop.passes import same_but_passes, scale_between
from batchgen.job import recipe_id
from batchgen.parts import Numerics, Text

KEY: Final = "batchgen"
"""Of the record in a PNG."""

_SCHEMA: Final = 1
_NEUTRAL: Final[Mapping[str, Any]] = MappingProxyType(
    {each.name: each.default for part in (Text, Numerics) for each in fields(part) if each.default is not MISSING}
    | {"noise": "cpu", "noise_scale": "full"}
)
"""What a recipe leaves out, said: somebody's conf may have other defaults."""


def is_record(document: Any) -> bool:
    """Whether a JSON value is a record."""
    return isinstance(document, dict) and isinstance(document.get("recipe"), dict) and "batchgen_version" in document


def read_record(record: Mapping[str, Any], source: str) -> Imported:
    """Return what a record is of.

    Raises:
        Unreadable: of a newer kind, or its id is not that of its recipe.
    """
    if record.get("schema") != _SCHEMA:
        raise Unreadable(f"record of schema {record.get('schema')!r}; {_SCHEMA} is read here", where=source)
    try:
        right = recipe_id(record["recipe"]) == record.get("id")
    except (UnicodeEncodeError, RecursionError):
        right = False
    if not right:
        raise Unreadable("the record's id does not belong to its recipe", where=source)
    try:
        return _Record(record, source).imported()
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise Unreadable("the record's recipe has another shape than batchgen's", where=source) from error


def read_text(text: str, source: str) -> Imported:
    """As `read_record`, of JSON.

    Raises:
        Unreadable: it is no record.
    """
    document = parse(text, source)
    if not is_record(document):
        raise Unreadable("is no record of batchgen", where=source)
    return read_record(document, source)


class _Record:
    def __init__(self, record: Mapping[str, Any], source: str) -> None:
        models = [record.get("model") or {}, *(each["model"] for each in record.get("stages") or ())]
        self._names = {each["digest"]: each["name"] for each in models if each}
        self._names |= {each["sha256"]: each["name"] for each in record.get("files") or ()}
        self._record = record
        self._source = source
        self._found = Findings()
        self._files: list[Needed] = []
        self._checkpoint = ""

    def imported(self) -> Imported:
        recipe = self._fields(self._record["recipe"])
        name = self._record.get("name")
        return Imported(
            source=self._source,
            recipe=frozen({**_NEUTRAL, **recipe}),
            checkpoint=Needed(kind="checkpoint", name=self._name(self._checkpoint), hash=self._checkpoint),
            files=tuple(dict.fromkeys(self._files)),
            name=name if isinstance(name, str) else None,
            refused=tuple(self._found.refused),
        )

    def _name(self, digest: str) -> str:
        return str(self._names.get(digest) or "")

    def _file(self, kind: Kind, digest: str) -> str:
        """Return what a file is called; by its hash, where nothing says its name."""
        self._files.append(Needed(kind=kind, name=self._name(digest), hash=digest))
        return self._name(digest) or digest

    def _fields(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        before = recipe.get("init_image", {}).get("recipe")
        if "steps" not in recipe:
            if before is None:
                self._found.refuse("upscale", "a file without sampling; `batchgen upscale FILE model=NAME` does it")
                return {}
            found = self._fields(before)
            if "upscale" in found:
                self._found.refuse("upscale", "a picture that was enlarged twice; one enlargement can be said")
            model = self._file("upscaler", recipe["model"])
            return found | {"upscale": {"model": model, "scale": scale_between(before, recipe)}}
        if before is not None and "frame" not in recipe["init_image"]:
            return self._second_pass(recipe, before)
        self._checkpoint = recipe["model"]
        return self._plain(recipe)

    def _second_pass(self, recipe: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        upscaler = recipe.get("resize_filter", "lanczos")
        first = before
        if "steps" not in before:
            upscaler = self._file("upscaler", before["model"])
            first = before["init_image"]["recipe"]
        found = self._fields(first)
        if not same_but_passes(recipe, first):
            self._found.refuse("init_image", "is another picture that batchgen made; its own record makes that one")
        passes = {"strength": recipe.get("strength", 1.0), "steps": recipe["steps"]}
        if recipe["seed"] != first["seed"]:
            passes["seed"] = recipe["seed"]
        return found | {"hires": {"scale": scale_between(first, recipe), "upscaler": upscaler, **passes}}

    def _plain(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: value for name, value in recipe.items() if name not in ("model", "embeddings", "mask_alpha")}
        for name in ("init_image", "mask_image"):
            if name in found:
                found[name] = self._picture(name, found[name])
        if recipe.get("mask_alpha"):
            found["mask_image"] = "alpha"
        if "vae" in found:
            found["vae"] = self._file("vae", found["vae"]["sha256"])
        if "loras" in found:
            found["loras"] = [self._lora(each) for each in found["loras"]]
        for each in recipe.get("embeddings", ()):
            self._file("embedding", each["sha256"])
        return found

    def _picture(self, name: str, value: Mapping[str, Any]) -> str | None:
        if "frame" in value:
            of = f"is frame {value['frame']} of another clip that batchgen made"
            self._found.refuse(name, f"{of}; the manifest that asked for both makes them again")
            return None
        digest = str(value.get("sha256", ""))
        if not self._name(digest):
            self._found.refuse(name, f"the picture with the SHA-256 {digest} is not named in the record")
            return None
        return self._name(digest)

    def _lora(self, value: Mapping[str, Any]) -> dict[str, Any]:
        scale, clip_scale = value["scale"], value["clip_scale"]
        own = {"clip_scale": clip_scale} if clip_scale != scale else {}
        return {"name": self._file("lora", value["sha256"]), "scale": scale, **own}
