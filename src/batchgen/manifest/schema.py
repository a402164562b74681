"""The JSON Schema of a manifest, so that editors complete and check it while it is written.

It says what can be said without conf/: names of fields, samplers and schedules, and the ranges of numbers. What depends
on more than one place (quarrelling axes, unknown variables) is for `batchgen plan`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from batchgen.manifest.manifest import CELLS
from batchgen.parts import FIELDS, MAX_SEED
from batchgen.sampling.names import EVERY_SAMPLER, SCHEDULES

_RANGE: Final = {
    "type": "string",
    "pattern": r"^-?\d+(\.\d+)?\.\.-?\d+(\.\d+)?(/\d+(\.\d+)?)?$",
    "description": "A range with both its ends: 4..20/8 is 4, 12, 20.",
}
_SIZE: Final = {"type": "string", "pattern": r"^[1-9]\d*x[1-9]\d*$", "description": "Width x height in pixels: 64x96."}
_SCALAR: Final = {"type": ["string", "number", "boolean"]}
_FILES: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": ["files"],
    "properties": {"files": {"type": "string", "description": "A pattern of paths: an axis with a value for each."}},
}
_NUMBER: Final = {"type": "number"}
_TEXT: Final = {"type": "string", "minLength": 1}
_LORA: Final = {
    "anyOf": [
        {"type": "string", "description": "A name, `name:0.8`, `name:0.8:0.6` (denoiser, text encoders), or none."},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": _TEXT, "scale": _NUMBER, "clip_scale": _NUMBER, "trigger": _TEXT},
        },
    ]
}
_FRAME: Final = {
    "description": "Of a clip; the last one is meant where nothing is said.",
    "anyOf": [{"enum": ["first", "last"]}, {"type": "integer", "minimum": 1}],
}
_PICTURE: Final = {
    "anyOf": [
        {"type": "string", "description": "A path; as an axis also a folder or a pattern."},
        _FILES,
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["from"],
            "properties": {"from": _TEXT, "frame": _FRAME},
        },
    ]
}
_WISHES: Final = {
    "loras": {
        "description": "Adapters laid beside the weights.",
        "anyOf": [*_LORA["anyOf"], {"type": "array", "items": _LORA}, _FILES],
    },
    "lora_scale": {"type": "number", "description": "A factor on the scale of every adapter."},
    "vae": {"description": "An autoencoder in place of the model's own.", "anyOf": [{"type": "string"}, _FILES]},
    "init_image": {"description": "The picture to begin with.", **_PICTURE},
    "mask_image": {"description": "White is painted anew; `alpha`: where the picture is transparent.", **_PICTURE},
    "upscale": {
        "description": "Make the finished picture larger with a model.",
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["model"],
                "properties": {"model": _TEXT, "scale": _NUMBER},
            },
        ],
    },
    "hires": {
        "description": "Render, enlarge, and render again from there.",
        "anyOf": [
            {"type": ["number", "string"]},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "scale": _NUMBER,
                    "upscaler": _TEXT,
                    "strength": _NUMBER,
                    "steps": {"type": "integer", "minimum": 1},
                    "seed": {"type": "integer", "minimum": 0},
                },
            },
        ],
    },
}
_AXES: Final = ("prompt", "prompts", "seed", "seeds")
_NO_AXIS: Final = {"not": {"enum": [*_AXES]}}
_SEED: Final = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}


def schema(models: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a manifest.

    Args:
        models: Names of models, which editors then complete; without any, `model` is any text.
    """
    fields = _fields(models)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "batchgen manifest",
        "description": "What one run of batchgen shall make.",
        "type": "object",
        "additionalProperties": False,
        "properties": _properties(fields),
        "$defs": {
            **_definitions(fields),
            "fields": _object(_without_axes(fields), "Recipe fields, the model and the size."),
        },
    }


def _fields(models: Sequence[str]) -> dict[str, Any]:
    found = {name: TypeAdapter(kind).json_schema() for name, kind in sorted(FIELDS.items())}
    found["sampler"] = {"enum": sorted(EVERY_SAMPLER), "description": "The algorithm that takes the steps."}
    found["schedule"] = {"enum": list(SCHEDULES), "description": "How noise levels are spaced over the steps."}
    name = {
        "type": "string",
        "description": "A name in conf/model/, or the path of a checkpoint.",
        **({"pattern": r"/|\.safetensors$"} if models else {}),
    }
    found["model"] = {"anyOf": [*([{"enum": sorted(models)}] if models else []), name, _FILES]}
    found["size"] = _SIZE
    return {name: each for name, each in found.items() if name != "mask_alpha"} | _WISHES


def _without_axes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that may be set for every prompt and seed together."""
    return {name: each for name, each in fields.items() if name not in _AXES}


def _properties(fields: Mapping[str, Any]) -> dict[str, Any]:
    entry = {"$ref": "#/$defs/entry"}
    axis_names = {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True}
    return {
        "name": _described(
            {"type": "string", "pattern": r"^[^\W_][\w .-]{0,63}$"}, "Names outputs/<name>/; default: the file's."
        ),
        "set": {"$ref": "#/$defs/fields"},
        "prompts": _described({"type": "array", "minItems": 1, "items": entry}, "What is to be seen."),
        "seeds": {"$ref": "#/$defs/seeds"},
        "sweep": _sweep(fields),
        "bundles": _bundles(),
        "zip": _described({"type": "array", "items": axis_names}, "Axes that go together instead of multiplying."),
        "exclude": _exclude(),
        "subset": _subset(),
        "order": _described({"enum": ["grouped", "breadth"]}, "breadth: one take of everything first, seeds last."),
        "compare": _compare(),
        "join": _described(
            {"type": "array", "minItems": 2, "uniqueItems": True, "items": _TEXT},
            "Options of a bundle whose clips become one file, in this order.",
        ),
    }


def _definitions(fields: Mapping[str, Any]) -> dict[str, Any]:
    labels = {"name": {"type": "string"}, "note": {"type": "string"}}
    extra = {name: each for name, each in fields.items() if name != "prompt"}
    lenient = {"lenient": _described({"type": "boolean"}, "Pass over pictures that tell nothing.")}
    draw = {"mode": {"enum": ["all", "sample"]}, "count": {"type": "integer", "minimum": 1}}
    return {
        "option": {
            **_object(_without_axes(fields), "Fields that this option sets."),
            "propertyNames": _NO_AXIS,
            "additionalProperties": _SCALAR,
        },
        "entry": {
            "anyOf": [
                _described({"type": "string"}, "A prompt, kept literally."),
                _entry("prompt", "Kept literally, whatever characters it has.", {**extra, **labels}),
                _entry("template", "{a|b} is either; ${name} is the value of an axis.", {**extra, **labels, **draw}),
                _entry("file", "A .txt, .csv or .jsonl beside the manifest.", extra),
                _entry("pictures", "A pattern: pictures that tell how they were made.", {**extra, **lenient}),
            ]
        },
        "seeds": {
            "description": f"Whole numbers, 0 to {MAX_SEED}.",
            "anyOf": [
                _SEED,
                {"type": "string", "pattern": r"^\d+(\.\.\d+(/\d+)?)?$"},
                {"type": "array", "minItems": 1, "items": {"anyOf": [_SEED, _RANGE]}},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["count"],
                    "properties": {"count": {"type": "integer", "minimum": 1}, "from": _SEED},
                },
            ],
        },
    }


def _entry(key: str, description: str, others: Mapping[str, Any]) -> dict[str, Any]:
    properties = {key: {"type": "string", "description": description}, **others}
    # Values of prompt variables and options of bundles have names that only the manifest knows.
    return {"type": "object", "required": [key], "properties": properties, "additionalProperties": _SCALAR}


def _sweep(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": "The product of these axes. A name that is no recipe field is a prompt variable.",
        "properties": {name: _axis(each) for name, each in _without_axes(fields).items()},
        "propertyNames": _NO_AXIS,
        "additionalProperties": _axis(_SCALAR),
    }


def _axis(kind: Mapping[str, Any]) -> dict[str, Any]:
    one = {"anyOf": [kind, _RANGE]}
    return {"anyOf": [kind, _RANGE, {"type": "array", "minItems": 1, "items": one}]}


def _bundles() -> dict[str, Any]:
    option = {"$ref": "#/$defs/option"}
    options = {"type": "object", "minProperties": 1, "additionalProperties": option}
    return {
        "type": "object",
        "description": "Axes whose values set several fields: axis -> option -> field -> value.",
        "additionalProperties": options,
    }


def _exclude() -> dict[str, Any]:
    values = {"anyOf": [_SCALAR, {"type": "array", "minItems": 1, "items": _SCALAR}]}
    condition = {"type": "object", "minProperties": 1, "additionalProperties": values}
    text = "Left out is what meets every part of one item; '>12', '<=4' compare numbers, '!=euler' is all else."
    misfits = {"enum": ["incompatible"], "description": "Adapters and models that do not fit each other."}
    return {"description": text, "anyOf": [misfits, {"type": "array", "items": {"anyOf": [misfits, condition]}}]}


def _subset() -> dict[str, Any]:
    properties = {"count": {"type": "integer", "minimum": 1}, "seed": {"type": "integer", "minimum": 0}}
    return {**_object(properties, "A seeded random part of all cells."), "required": ["count"]}


def _compare() -> dict[str, Any]:
    least, most = CELLS
    reference = {"type": "object", "minProperties": 1, "additionalProperties": _SCALAR}
    said = {
        "against": _described({"anyOf": [_TEXT, reference]}, "What is measured against: steps=max, or a picture."),
        "columns": _described({"type": "integer", "minimum": 1}, "Of a sheet, at most."),
        "cell": _described({"type": "integer", "minimum": least, "maximum": most}, "Pixels of the longer side."),
    }
    axes = dict.fromkeys(("x", "y", "page"), _TEXT)
    grid = _object({**axes, **said, "grid": {"enum": [True]}}, "Axes of the contact sheets.")
    none = {**_object({**said, "grid": {"enum": [False]}}, "One picture after another."), "required": ["grid"]}
    return {"description": "false: pictures only.", "anyOf": [{"type": "boolean"}, grid, none]}


def _object(properties: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"type": "object", "description": description, "additionalProperties": False, "properties": dict(properties)}


def _described(kind: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**kind, "description": description}
