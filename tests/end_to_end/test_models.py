"""`batchgen models`: what a person sees of their folders."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from batchgen.shipped import shipped_model

LORA = {"lora_unet_mid_block_attentions_0_attn2_to_k.lora_down.weight": (4, 768)}
REFINER = {
    "model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3),
    "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight": (8, 1280),
}


def write(path, shapes, **notes):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ones(shape, np.float16) for name, shape in shapes.items()}, path, metadata=notes or None)
    return path


@pytest.fixture
def folders(person):
    """A ComfyUI folder as one has it after a year: two adapters, a refiner, a cut file, a page, an old pickle."""
    models = person.folder / "ComfyUI/models"
    write(models / "loras/grain-000900.safetensors", LORA, **{"modelspec.trigger_phrase": "film grain"})
    write(models / "loras/grain-001000.safetensors", LORA)
    write(models / "checkpoints/sd_xl_refiner.safetensors", REFINER)
    cut = write(models / "checkpoints/cut.safetensors", REFINER)
    cut.write_bytes(cut.read_bytes()[:-100])
    (models / "checkpoints/page.safetensors").write_text("<!DOCTYPE html><p>Not found")
    (models / "checkpoints/old.ckpt").write_bytes(b"PK\x03\x04")
    shutil.copytree(shipped_model("demo_shapes"), models / "diffusers/shapes")
    return models


def listed(person, folders, *words):
    said = person.types("models", *words, f"paths.models=[{folders}]", "--json")
    assert said.code == 0, said.err
    return {kind: {row["name"]: row for row in rows} for kind, rows in json.loads(said.out).items()}


def test_it_tells_what_each_file_is_and_what_is_broken(person, folders, without_torch):
    said = person.types("models", f"paths.models=[{folders}]", **without_torch[0])

    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].split() == ["checkpoint", "family", "size", "dtype", "sha256"]
    (shapes,) = [line for line in lines if line.startswith("shapes ")]
    assert shapes.split()[1:7] == ["Stable", "Diffusion", "1.5", "7.6", "MB", "fp16"]
    (grain,) = [line for line in lines if line.startswith("grain-000900")]
    assert grain.split()[1:4] == ["Stable", "Diffusion", "1.5"]
    assert lines[lines.index(grain) + 1] == "  trained with: film grain"
    for name, reason in (
        ("cut", "  is cut short: 100 of "),
        ("page", "  is a web page, not weights"),
        ("old", "  is a pickle, which can run code"),
        ("sd_xl_refiner", "  is SDXL refiner, which batchgen does not render with"),
    ):
        (at,) = [number for number, line in enumerate(lines) if line.startswith(f"{name}.")]
        assert "broken" in lines[at]
        assert lines[at + 1].startswith(reason)


def test_a_kind_can_be_asked_for_and_programs_get_json(person, folders):
    found = listed(person, folders, "lora")

    assert list(found) == ["lora"]
    assert list(found["lora"]) == ["grain-000900.safetensors", "grain-001000.safetensors"]
    grain = found["lora"]["grain-000900.safetensors"]
    assert (grain["family"], grain["dtype"], grain["parameters"]) == ("sd15", "fp16", 4 * 768)
    assert grain["sha256"] is None
    assert grain["broken"] is None
    assert grain["triggers"] == ["film grain"]


def test_a_hash_is_computed_when_asked_and_known_from_then_on(person, folders):
    file = folders / "loras/grain-000900.safetensors"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    asked, later = (listed(person, folders, "lora", *words)["lora"][file.name] for words in (["--hash"], []))

    assert asked["sha256"] == later["sha256"] == digest
    file.write_bytes(file.read_bytes())
    assert listed(person, folders, "lora")["lora"][file.name]["sha256"] is None


def test_an_empty_folder_says_what_to_do(person):
    said = person.types("models")

    assert said.code == 0
    assert said.out.startswith("no models in ")
    assert "paths.models=" in said.out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["lore"], "unknown kind 'lore'; did you mean 'lora'?"),
        (["steps=3"], "settings only"),
        (["pull", "sdxk"], "'sdxk'"),
        (["pull", "demo_shapes"], "came with batchgen"),
    ],
)
def test_a_wrong_word_is_answered_in_a_line(person, words, reason):
    said = person.types("models", *words)

    assert said.code == 2
    assert reason in said.err
    assert said.err.count("\n") == 1


def test_without_a_network_fetching_is_for_later(person):
    said = person.types("models", "pull", "sdxl")

    assert said.code == 75
    assert said.err.startswith(
        "batchgen: stabilityai/stable-diffusion-xl-base-1.0 (revision main): cannot be fetched now"
    )
    assert said.err.count("\n") == 1
