import os
import shutil
import subprocess
import sys

import pytest

from batchgen.store.layout import RunDirectory

MANIFEST = """
name: evening
set: {model: demo_shapes, schedule: simple}
prompts:
  - a red circle on a blue background
  - {prompt: "</script><b>a ☕ star", name: star}
seeds: 0..1
sweep:
  sampler: [euler, ddim]
  steps: [4, 12]
"""


def command_line(folder, *words):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHGEN_", "HF_", "XDG_"))}
    clean |= {"HOME": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "batchgen", *words], cwd=folder, env=clean, check=True, capture_output=True, text=True
    )


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A run of 16 pictures of the fake engine, which is not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "evening.yaml").write_text(MANIFEST, encoding="utf-8")
    command_line(folder, "run", "evening.yaml", "runtime.engine=fake", "output.gallery=false", "output.sheets=false")
    return RunDirectory(folder / "outputs" / "evening")


@pytest.fixture
def evening(finished, tmp_path):
    """A copy of that run, to be changed."""
    shutil.copytree(finished.root, tmp_path / "evening")
    return RunDirectory(tmp_path / "evening")
