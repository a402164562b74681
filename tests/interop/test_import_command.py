"""`batchgen import` and `batchgen show --comfyui`, as real processes."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from batchgen.job import recipe_id
from batchgen.manifest import read_manifest

PARAMS = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: {}, Size: 512x768, Model: demo_shapes, RNG: CPU"


@pytest.fixture
def types(tmp_path):
    def types(*words):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHGEN_", "XDG_"))}
        clean |= {"HOME": str(tmp_path), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "batchgen", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=120, check=False
        )

    return types


def test_a_workflow_becomes_a_manifest(types, tmp_path, comfy_graph):
    graph = comfy_graph(n4={"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "demo_shapes.safetensors"}})
    (tmp_path / "w.json").write_text(json.dumps(graph))

    done = types("import", "w.json", "-o", "m.yaml")

    assert (done.returncode, done.stdout) == (0, "")
    manifest = read_manifest(tmp_path / "m.yaml")
    assert manifest.set["model"] == "demo_shapes"
    assert manifest.set["sampler"] == "dpmpp_2m"
    (entry,) = manifest.prompts
    assert (entry.text, entry.fields["seed"]) == ("a (heron:1.2)", 0)


def test_a_manifest_that_is_there_is_not_written_over(types, tmp_path, png):
    png("a.png", parameters=PARAMS.format(1))
    (tmp_path / "m.yaml").write_text("mine")

    done = types("import", "a.png", "-o", "m.yaml")

    assert done.returncode == 2
    assert (tmp_path / "m.yaml").read_text() == "mine"


def test_a_folder_is_read_past_what_cannot_be_and_ends_with_a_table(types, tmp_path, png):
    for number in range(3):
        png(f"old/{number}.png", parameters=PARAMS.format(number))
    png("old/deep/again.png", parameters=PARAMS.format(0))
    png("old/none.png")
    png("old/nothing.png")
    png("old/tiling.png", parameters=PARAMS.format(9) + ", Tiling: True")
    (tmp_path / "old/torn.png").write_bytes(b"")

    done = types("import", "old", "-o", "m.yaml")

    assert done.returncode == 0
    assert [entry.fields["seed"] for entry in read_manifest(tmp_path / "m.yaml").prompts] == [0, 1, 2]
    assert "passed over: 4 pictures" in done.stderr
    assert "      2  has no settings inside that are read here" in done.stderr
    assert "      1  Tiling: is not done here" in done.stderr


def test_a_named_file_that_is_not_understood_ends_with_2_and_all_reasons(types, tmp_path, png, comfy_graph):
    graph = comfy_graph(n40={"class_type": "FreeU_V2", "inputs": {"model": ["4", 0]}}, n3_model=["40", 0])
    (tmp_path / "w.json").write_text(json.dumps(graph))
    png("a.png", parameters=PARAMS.format(1) + ", Tiling: True")
    png("fine.png", parameters=PARAMS.format(1))

    done = types("import", "fine.png", "w.json", "a.png", "-o", "m.yaml")

    assert done.returncode == 2
    assert "w.json: node 40 (FreeU_V2): is no class of node that is read" in done.stderr
    assert "a.png: Tiling 'True': is not done here" in done.stderr
    assert not (tmp_path / "m.yaml").exists()


def test_lenient_leaves_it_out_and_says_so(types, tmp_path, png):
    png("a.png", parameters=PARAMS.format(1) + ", Tiling: True")

    done = types("import", "a.png", "--lenient")

    assert done.returncode == 0
    assert "prompt: a cat" in done.stdout
    assert "left out: Tiling 'True': is not done here" in done.stderr


def test_a_checkpoint_that_is_not_here_is_said_and_commented(types, tmp_path, png):
    png("a.png", parameters=PARAMS.replace("demo_shapes", "dreamshaper_8").format(1))

    done = types("import", "a.png")

    assert "# Not found here: checkpoint dreamshaper_8" in done.stdout
    assert "checkpoint 'dreamshaper_8' is not in the models folders" in done.stderr


def test_a_renamed_file_is_found_where_hashing_is_asked_for(types, tmp_path, png):
    file = tmp_path / "models/loras/renamed.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes((2).to_bytes(8, "little") + b"{}" + b"data")
    text = PARAMS.format(1).replace("a cat", "a cat <lora:grain:1>")
    png("a.png", parameters=f'{text}, Lora hashes: "grain: {hashlib.sha256(b"data").hexdigest()[:12]}"')

    without, hashed = types("import", "a.png"), types("import", "a.png", "--hash")

    assert "# Not found here: lora grain" in without.stdout
    assert "a cat <lora:renamed:1>" in hashed.stdout
    assert "lora 'grain' (hash" in hashed.stderr


def test_a_source_that_is_not_beside_the_manifest_is_said(types, tmp_path, comfy_graph):
    graph = comfy_graph(
        n10={"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
        n11={"class_type": "VAEEncode", "inputs": {"pixels": ["10", 0], "vae": ["4", 2]}},
        n3_latent_image=["11", 0],
        n3_denoise=0.5,
    )
    (tmp_path / "w.json").write_text(json.dumps(graph))

    assert "init_image 'photo.png' is not beside the manifest" in types("import", "w.json").stderr


def record(tmp_path, **changes):
    recipe = {
        "model": "1" * 64,
        "prompt": "a heron",
        "seed": 7,
        "steps": 2,
        "sampler": "euler",
        "schedule": "normal",
        "guidance_scale": 2.0,
        "width": 64,
        "height": 64,
        **changes,
    }
    model = {"name": "demo_shapes", "family": "sd15", "digest": "1" * 64}
    whole = {"schema": 1, "batchgen_version": "0", "id": recipe_id(recipe), "recipe": recipe, "model": model}
    (tmp_path / "r.json").write_text(json.dumps(whole))


def test_show_gives_the_graph_that_import_reads(types, tmp_path):
    record(tmp_path)

    shown = types("show", "--comfyui", "r.json")
    (tmp_path / "g.json").write_text(shown.stdout)

    assert shown.returncode == 0
    assert json.loads(shown.stdout)["1"]["inputs"] == {"ckpt_name": "demo_shapes.safetensors"}
    graph, own = (types("import", file).stdout.splitlines()[1:] for file in ("g.json", "r.json"))
    assert graph == own


def test_show_names_the_field_that_no_graph_says(types, tmp_path):
    record(tmp_path, emphasis="a1111")

    done = types("show", "--comfyui", "r.json")

    assert done.returncode == 2
    assert "no ComfyUI graph says emphasis" in done.stderr
