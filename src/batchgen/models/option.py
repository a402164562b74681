"""An option of conf/model/: a name a person gives to weights, with the values that suit them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from batchgen.errors import unknown_name
from batchgen.models.families import FAMILIES
from batchgen.models.find import Source
from batchgen.parts import FIELDS, check_field
from batchgen.strict import Misread, Types, read, read_with

_Text = Annotated[str, Field(min_length=1)]
_KEYS: Types = {"family": _Text, "source": dict[str, Any], "recommended": dict[str, Any]}
_SOURCE: Types = {
    "builtin": _Text,
    "folder": _Text,
    "hub": Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")],
    "file": _Text | Annotated[list[_Text], Field(min_length=1)],
    "parts": Annotated[dict[str, _Text], Field(min_length=1)],
    "revision": Annotated[str, Field(pattern=r"^\w[\w./-]*$")],
    "include": list[_Text],
}
_ORIGINS = ("builtin", "folder", "hub", "file", "parts")
_RECOMMENDED: Types = {name: kind for name, kind in FIELDS.items() if name not in {"prompt", "seed"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConf:
    """What conf/model/NAME.yaml says."""

    name: str
    family: str
    """A key of `families.FAMILIES`."""

    source: Source
    recommended: Mapping[str, Any]
    """Checked recipe fields that this model is best at; a person's own wish overrules each."""

    where: str
    """The file, for messages."""


def read_option(name: str, values: Mapping[str, Any], where: str) -> ModelConf:
    """Check what a file of conf/model/ says.

    Raises:
        Misread: something is missing, unknown or of a wrong type; its `key` is the key inside, dotted.
    """
    found = read(_KEYS, values)
    for key in ("family", "source"):
        if key not in found:
            raise Misread("", f"{key} is missing: a model has a family and a source")
    if found["family"] not in FAMILIES:
        raise Misread("family", unknown_name("family", found["family"], FAMILIES))
    return ModelConf(
        name=name,
        family=found["family"],
        source=_nested("source", _read_source, found["source"]),
        recommended=MappingProxyType(_nested("recommended", _read_recommended, found.get("recommended") or {})),
        where=where,
    )


def _nested(parent: str, reader: Any, values: Mapping[str, Any]) -> Any:
    try:
        return reader(values)
    except Misread as error:
        raise Misread(f"{parent}.{error.key}", str(error)) from error


def _read_recommended(values: Mapping[str, Any]) -> dict[str, Any]:
    return read_with(check_field, _RECOMMENDED, values, "recommended field")


def _read_source(values: Mapping[str, Any]) -> Source:
    found = read(_SOURCE, values)
    origins = [key for key in _ORIGINS if key in found]
    if len(origins) != 1 and origins != ["hub", "file"]:
        raise Misread("", f"source: exactly one of {', '.join(_ORIGINS)} says where a model is, not {len(origins)}")
    if "hub" not in found and found.keys() - _ORIGINS:
        raise Misread("", "source: revision and include belong to hub alone")
    files = found.get("file", ())
    return Source(
        builtin=found.get("builtin"),
        folder=found.get("folder"),
        hub=found.get("hub"),
        file=(files,) if isinstance(files, str) else tuple(files),
        parts=MappingProxyType(found.get("parts", {})),
        revision=found.get("revision", "main"),
        include=tuple(found.get("include", ())),
    )
