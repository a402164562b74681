"""The schema is tried with a small validator of its own, so that it is not the reader that judges itself."""

import json
import re

import pytest

from batchgen.manifest import schema
from batchgen.manifest.reading import parse_yaml
from batchgen.parts import FIELDS
from batchgen.sampling.names import EVERY_SAMPLER, SCHEDULES
from batchgen.wishes import WISHES

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}

EXAMPLE = """
name: samplers
set: {model: demo_shapes, steps: 20}
prompts:
  - a red circle on a blue background
  - {prompt: a green square, negative_prompt: blurry, seed: 7, name: SH020, note: for the cover}
  - {file: prompts/shapes.txt}
  - {template: "a {red|green} {circle|square}", mode: all}
  - {template: "a ${colour} ${what} on a white background"}
seeds: 0..3
sweep:
  sampler: [euler, dpmpp_2m, ddim]
  schedule: [normal, karras]
  steps: 4..20/8
  size: [64x64, 64x96]
  colour: [red, blue]
  what: [circle, star]
bundles:
  look:
    fast: {guidance_scale: 1.5, steps: 6}
    good: {guidance_scale: 6}
zip: [[strength, init_image]]
exclude: [{sampler: [ddim, lms], steps: ">12"}]
subset: {count: 500, seed: 1}
order: grouped
compare: {x: steps, y: sampler, page: prompt}
"""


def is_of(value, name):
    if name == "integer":
        return type(value) is int
    if name == "number":
        return type(value) in (int, float)
    return isinstance(value, TYPES[name])


def fits(value, rule, root):
    """Whether a value meets a JSON Schema made of the words that occur in ours."""
    known = {
        "$ref",
        "$defs",
        "$schema",
        "title",
        "description",
        "default",
        "type",
        "enum",
        "const",
        "pattern",
        "anyOf",
        "not",
    }
    known |= {"properties", "additionalProperties", "propertyNames", "required", "minProperties", "items", "minItems"}
    known |= {"uniqueItems", "minimum", "maximum", "maxLength", "minLength"}
    assert rule.keys() <= known, rule.keys() - known
    if "$ref" in rule and not fits(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root):
        return False
    kinds = rule.get("type", [])
    if kinds and not any(is_of(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if "anyOf" in rule and not any(fits(value, each, root) for each in rule["anyOf"]):
        return False
    if "not" in rule and fits(value, rule["not"], root):
        return False
    judge = {str: fits_text, dict: fits_object, list: fits_array, int: fits_number, float: fits_number}
    return judge.get(type(value), lambda *_: True)(value, rule, root)


def fits_text(value, rule, _):
    return bool(re.search(rule.get("pattern", ""), value)) and len(value) <= rule.get("maxLength", len(value))


def fits_number(value, rule, _):
    return rule.get("minimum", value) <= value <= rule.get("maximum", value)


def fits_array(value, rule, root):
    if len(value) < rule.get("minItems", 0) or (rule.get("uniqueItems") and len(set(value)) < len(value)):
        return False
    return all(fits(each, rule.get("items", {}), root) for each in value)


def fits_object(value, rule, root):
    if any(name not in value for name in rule.get("required", [])) or len(value) < rule.get("minProperties", 0):
        return False
    if any(not fits(name, rule.get("propertyNames", {}), root) for name in value):
        return False
    known, others = rule.get("properties", {}), rule.get("additionalProperties", True)
    rules = ((each, known.get(name, others)) for name, each in value.items())
    return all(each is True or (each is not False and fits(item, each, root)) for item, each in rules)


def fits_manifest(text):
    rule = json.loads(json.dumps(schema(["demo_shapes", "sdxl"])))
    return fits(parse_yaml(text, "m.yaml").value, rule, rule)


def test_the_example_fits():
    assert fits_manifest(EXAMPLE)


@pytest.mark.parametrize(
    "compare",
    [
        "false",
        "{x: steps, columns: 6, cell: 128, grid: true}",
        "{grid: false, columns: 3}",
        "{against: steps=max}",
        "{against: {steps: max, seed: 3}}",
    ],
)
def test_every_way_to_compare_fits(compare):
    assert fits_manifest(f"compare: {compare}")


@pytest.mark.parametrize(
    "text",
    [
        "swep: {steps: [1]}",
        "set: {sampler: eular}",
        "set: {schedule: caras}",
        "set: {model: sdxxl}",
        "set: {steps: 0}",
        "set: {stepz: 3}",
        "set: {size: 64}",
        "set: {seed: 3}",
        "set: {prompt: x}",
        "bundles: {look: {fast: {seed: 3}}}",
        "bundles: {look: {fast: {prompt: x}}}",
        "bundles: {look: {fast: {seeds: 3}}}",
        "prompts: []",
        "prompts: x",
        "prompts: [7]",
        "prompts: [{name: x}]",
        "prompts: [{prompt: x, steps: 0.5, mode: 3}]",
        "prompts: [{template: x, mode: some}]",
        "seeds: -1",
        "seeds: 18446744073709551616",
        "seeds: 1e3",
        "seeds: {from: 3}",
        "sweep: {seed: [1, 2]}",
        "sweep: {sampler: [eular]}",
        "sweep: {steps: []}",
        "bundles: {look: {}}",
        "bundles: {look: {fast: {steps: 0}}}",
        "zip: [[steps]]",
        "exclude: [{}]",
        "subset: {seed: 1}",
        "order: random",
        "compare: {z: steps}",
        "compare: {x: 3}",
        "compare: {x: steps, grid: false}",
        "compare: {grid: none}",
        "compare: {columns: 0}",
        "compare: {cell: 15}",
        "compare: {cell: 2049}",
        "compare: {against: {}}",
        "compare: {against: {steps: [1]}}",
        "runtime: {device: cpu}",
    ],
)
def test_what_the_reader_refuses_does_not_fit(text):
    assert not fits_manifest(text)


def test_editors_are_told_every_field_sampler_schedule_and_model():
    found = schema(["demo_shapes"])
    fields = found["$defs"]["fields"]["properties"]

    assert fields.keys() == {*FIELDS, *WISHES, "model", "size"} - {"prompt", "seed", "mask_alpha"}
    assert set(fields["sampler"]["enum"]) == set(EVERY_SAMPLER)
    assert set(fields["schedule"]["enum"]) == set(SCHEDULES)
    assert fields["model"]["anyOf"][0]["enum"] == ["demo_shapes"]
    assert found["properties"]["sweep"]["properties"].keys() == fields.keys()
    assert all("seed" in each["properties"] for each in found["$defs"]["entry"]["anyOf"][1:])
