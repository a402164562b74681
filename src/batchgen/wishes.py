"""What a person asks for beside plain fields: adapters, pictures to begin with, and what is done afterwards.

Names and numbers only; whether there is such a file is found out later. Each value is frozen and hashable, because it
stands in the coordinates of cells, and its `str` is what labels and file names say of it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from batchgen.strict import Misread, Types, read, read_value

RESAMPLERS: Final = ("nearest", "bilinear", "bicubic", "lanczos")
"""Ways to enlarge a picture without a model."""

_Name = Annotated[str, Field(min_length=1, max_length=4096)]
_Scale = Annotated[float, Field(ge=-100, le=100)]
_SHORT: Final = re.compile(r"(?P<name>.+?)(?::(?P<scale>-?[0-9.]+))?(?::(?P<clip_scale>-?[0-9.]+))?")
_NONE: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA by name."""

    name: str
    scale: float = 1.0
    clip_scale: float | None = None
    """None: as `scale`."""
    trigger: str | None = None
    """Words to be added to the prompt."""

    def __str__(self) -> str:
        clip = "" if self.clip_scale in (None, self.scale) else f":{self.clip_scale:g}"
        return f"{self.name}:{self.scale:g}{clip}" if clip or self.scale != 1 else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """All LoRAs of a job; none is a choice like any other."""

    each: tuple[Adapter, ...] = ()

    def __str__(self) -> str:
        return " + ".join(str(adapter) for adapter in self.each) or _NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """What another option of a bundle makes, where this one begins."""

    option: str
    frame: int | Literal["first", "last"] | None = None
    """Of a clip, counted from 1; None: the last one."""

    def __str__(self) -> str:
        return f"from {self.option}" if self.frame is None else f"from {self.option} frame {self.frame}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscale:
    """Make the finished picture larger, with a model."""

    model: str
    scale: float | None = None
    """None: as much as the model enlarges by itself."""

    def __str__(self) -> str:
        return self.model if self.scale is None else f"{self.model} x{self.scale:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hires:
    """Render, enlarge, and render again from there."""

    scale: float = 2.0
    upscaler: str = "lanczos"
    """One of `RESAMPLERS`, or an upscaling model."""
    strength: float = 0.5
    steps: int | None = None
    """None: as many as in the first pass."""
    seed: int | None = None
    """Of the second pass; None: that of the first."""

    def __str__(self) -> str:
        return f"{self.upscaler} x{self.scale:g} {self.strength:g}"


Wish = Adapters | From | Upscale | Hires | str | float | None

_ADAPTER: Types = {"name": _Name, "scale": _Scale, "clip_scale": _Scale | None, "trigger": _Name | None}
_UPSCALE: Types = {"model": _Name, "scale": Annotated[float, Field(gt=0, le=16)]}
_HIRES: Types = {
    "scale": Annotated[float, Field(ge=1, le=8)],
    "upscaler": _Name,
    "strength": Annotated[float, Field(gt=0, le=1)],
    "steps": Annotated[int, Field(ge=1, le=1000)],
    "seed": Annotated[int, Field(ge=0, lt=2**64)],
}


def _adapters(value: Any) -> Adapters:
    items = value if isinstance(value, list) else [value]
    return Adapters(each=tuple(_adapter(item) for item in items if item not in (_NONE, "")))


def _adapter(value: Any) -> Adapter:
    if isinstance(value, str) and (match := _SHORT.fullmatch(value)):
        value = {name: part if name == "name" else _number(part) for name, part in match.groupdict().items() if part}
    if not isinstance(value, dict) or "name" not in value:
        raise Misread("loras", f"loras: each is a name, `name:0.8`, or {{name: ..., scale: 0.8}}, not {value!r}")
    return Adapter(**read(_ADAPTER, value, "key of loras"))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Misread("loras", f"loras: a scale is a number such as 0.8, not {text!r}") from None


def _upscale(value: Any) -> Upscale | None:
    if value in (None, _NONE):
        return None
    if isinstance(value, str):
        value = {"model": value}
    if not isinstance(value, dict) or "model" not in value:
        raise Misread("upscale", f"upscale: is the name of an upscaler, or {{model: NAME, scale: 2}}, not {value!r}")
    return Upscale(**read(_UPSCALE, value, "key of upscale"))


def _hires(value: Any) -> Hires | None:
    if value in (None, _NONE):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = {"scale": value}
    if not isinstance(value, dict):
        example = "{scale: 1.5, upscaler: lanczos, strength: 0.4, steps: 12}"
        raise Misread("hires", f"hires: is {example}, or a scale, not {value!r}")
    return Hires(**read(_HIRES, value, "key of hires"))


def _picture(value: Any) -> str | From | None:
    if value in (None, _NONE):
        return None
    if isinstance(value, dict) and {"from"} <= value.keys() <= {"from", "frame"}:
        return From(option=read_value({"from": _Name}, "from", value["from"]), frame=_frame(value.get("frame")))
    if not isinstance(value, str):
        raise Misread("init_image", f"a picture is a path, or {{from: OPTION}} of a bundle, not {value!r}")
    return str(read_value({"path": _Name}, "path", value))


def _mask(value: Any) -> str | None:
    found = _picture(value)
    if isinstance(found, From):
        raise Misread("mask_image", f"a mask is a path, masks/{{stem}}.png, or alpha, not {value!r}")
    return found


def _frame(value: Any) -> Any:
    if value in (None, "first", "last") or (type(value) is int and value >= 1):
        return value
    raise Misread("frame", f"frame: is first, last, or a number counted from 1, not {value!r}")


def _name(value: Any) -> str | None:
    return None if value in (None, _NONE) else str(read_value({"vae": _Name}, "vae", value))


def _lora_scale(value: Any) -> float:
    return float(read_value({"lora_scale": _Scale}, "lora_scale", value))


_READERS: Mapping[str, Callable[[Any], Wish]] = MappingProxyType(
    {
        "hires": _hires,
        "init_image": _picture,
        "lora_scale": _lora_scale,
        "loras": _adapters,
        "mask_image": _mask,
        "upscale": _upscale,
        "vae": _name,
    }
)

WISHES: Final = tuple(_READERS)
"""The names of these fields."""

PICTURES: Final = ("init_image", "mask_image")
"""Those that name pictures."""

PICTURE_FORMATS: Final = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
"""Of pictures to begin with, by Pillow's names. Others have readers that are seldom used, and were attacked before."""

PICTURE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
"""The endings of files of these formats, in small letters."""


def read_wish(name: str, value: Any) -> Wish:
    """Return what a person asks for under `name`, one of `WISHES`.

    >>> str(read_wish("loras", "grain:0.8:0.6")), str(read_wish("loras", "none")), str(read_wish("upscale", "4x-Sharp"))
    ('grain:0.8:0.6', 'none', '4x-Sharp')

    Raises:
        ValueError: it is written in another way.
    """
    return _READERS[name](value)
