"""The manifests that ship."""

from collections import Counter
from pathlib import Path

import pytest

from batchgen.manifest import read_manifest
from batchgen.plan.expand import expand

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"


@pytest.fixture
def shipped(confs):
    confs.models["demo_shapes"] = type(confs.models["small"])(
        name="demo_shapes", recommended=confs.models["small"].recommended
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
