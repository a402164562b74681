"""The manifests that ship."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from batchgen.manifest import read_manifest
from batchgen.plan.expand import expand

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"


@pytest.fixture
def shipped(confs):
    for path in (ROOT / "conf/model").glob("*.yaml"):
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        confs.models[path.stem] = type(confs.models["small"])(
            name=path.stem, family=said["family"], recommended=said["recommended"]
        )
    return lambda name: expand(read_manifest(MANIFESTS / f"{name}.yaml"), {}, confs)


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.*")), ids=lambda path: path.stem)
def test_every_example_expands_without_a_warning(shipped, path):
    sweep = shipped(path.stem)

    assert 0 < sweep.count <= 100
    assert sweep.warnings == ()


def test_the_demo_fills_whole_sheets_of_samplers_by_steps(shipped):
    sweep = shipped("demo")

    sheets = Counter(cell.coordinates["prompt"] for cell in sweep.cells)
    assert sheets == dict.fromkeys(sheets, 6 * 6)
    assert 60 <= len({cell.job.id for cell in sweep.cells}) <= 80
