"""Every sampler with every schedule renders what the prompt says, on the embedded model."""

import json

from PIL import Image

from batchgen.demo.judge import judge
from batchgen.sampling.names import SAMPLERS, SCHEDULES
from batchgen.store import images


def test_every_pair_of_sampler_and_schedule_renders_a_picture_that_the_judge_accepts(person):
    sweep = {"sampler": list(SAMPLERS), "schedule": list(SCHEDULES)}
    # 30 steps: dpm_2_ancestral takes two calls a step and adds noise after each, and has not settled at 20.
    manifest = {"prompts": ["a large red circle on a white background"], "set": {"steps": 30}}
    person.writes("all.json", json.dumps(manifest | {"sweep": sweep, "compare": False}))

    said = person.types("run", "all.json")

    assert said.code == 0, said.err
    accepted, seen = set(), set()
    for path in person.pictures("outputs/all"):
        recipe = images.record_in(path)["recipe"]
        pair = (recipe["sampler"], recipe["schedule"])
        seen.add(pair)
        with Image.open(path) as picture:
            verdict = judge(picture)
        if (verdict.foreground, verdict.shape, verdict.background) == ("red", "circle", "white"):
            accepted.add(pair)
    assert len(seen) == len(SAMPLERS) * len(SCHEDULES)
    assert accepted == seen


def test_samplers_are_not_one_another(person):
    """A judge of colours would pass if every sampler were secretly euler; their pixels say who they are."""
    sampler = [name for name in SAMPLERS if name != "ddim"]
    manifest = {"prompts": ["a red circle on a white background"], "set": {"steps": 6, "schedule": "karras"}}
    person.writes("one.json", json.dumps(manifest | {"sweep": {"sampler": sampler}, "compare": False}))

    said = person.types("run", "one.json")

    assert said.code == 0, said.err
    pixels = {}
    for path in person.pictures("outputs/one"):
        record = images.record_in(path)
        pixels.setdefault(record["output"]["pixel_sha256"], []).append(record["recipe"]["sampler"])
    # ddpm is the ancestral sampling of DDPM, which euler_ancestral is too.
    twins = [sorted(names) for names in pixels.values() if len(names) > 1]
    assert len(pixels) >= len(sampler) - 1
    assert twins in ([], [["ddpm", "euler_ancestral"]])


def test_comfyuis_ddim_is_euler(person):
    person.types("run", "--prompt", "a red circle", "sampler=euler,ddim", "schedule=normal", "steps=6")

    hashes = {record["output"]["pixel_sha256"] for record in person.records("outputs/adhoc")}

    assert len(person.records("outputs/adhoc")) == 2
    assert len(hashes) == 1
