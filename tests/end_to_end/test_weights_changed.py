"""Somebody writes over a model's files while a run is at work with it: on the fake engine, which takes its time."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import batchgen

SLOW = json.dumps({"faults": [{"do": "sleep", "value": 100}]})
ASK = (
    "run",
    "--prompt",
    "a red circle",
    "--seeds",
    "0..15",
    "model=mine",
    "runtime.batch=1",
    "steps=2",
    "runtime.engine=fake",
)


@pytest.fixture
def weights(person):
    """The file of a UNet's weights, in a copy of the embedded model that conf/model/mine.yaml names."""
    shipped = batchgen.__path__[0] + "/demo/models/demo_shapes"
    shutil.copytree(shipped, person.folder / "models/mine")
    option = Path(batchgen.__path__[0], "../../conf/model/demo_shapes.yaml").read_text(encoding="utf-8")
    person.writes(
        "conf/model/mine.yaml", option.replace("builtin: demo_shapes", f"folder: {person.folder}/models/mine")
    )
    return person.folder / "models/mine/unet/diffusion_pytorch_model.safetensors"


def started(person):
    environment = os.environ | {"HOME": str(person.folder), "XDG_CACHE_HOME": str(person.folder / ".cache")}
    words = [sys.executable, "-m", "batchgen", *ASK]
    child = subprocess.Popen(
        words,
        cwd=person.folder,
        env=environment | {"BATCHGEN_FAKE_FAULTS": SLOW},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not person.pictures("outputs/adhoc") and child.poll() is None:
        time.sleep(0.01)
    return child


def test_no_picture_is_published_after_one_bit_of_the_weights_has_changed(person, weights):
    child = started(person)
    with weights.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))
    changed_after = len(person.pictures("outputs/adhoc"))

    said = child.communicate(timeout=120)[0]

    assert child.returncode == 1
    assert "its files were changed since this run was planned" in said
    there = len(person.pictures("outputs/adhoc"))
    assert changed_after <= there <= changed_after + 1  # one may have been between the look at the files and its name
    assert there < 16


def test_files_that_were_only_touched_change_nothing(person, weights):
    child = started(person)
    os.utime(weights)
    weights.chmod(0o600)

    said = child.communicate(timeout=120)[0]

    assert child.returncode == 0, said
    assert len(person.pictures("outputs/adhoc")) == 16


def test_a_file_that_is_gone_is_named(person, weights):
    child = started(person)
    weights.unlink()

    said = child.communicate(timeout=120)[0]

    assert child.returncode == 1
    assert f": {weights.parent}" in said  # as missing from it, or as not to be read, by when it is looked for
