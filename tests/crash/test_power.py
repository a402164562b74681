import sys

import pytest

from trials import power, volumes

NAIVE = """
import sys
from pathlib import Path
from batchgen.fake import picture_of
from batchgen.store.layout import RunDirectory
from PIL import Image
from trials import jobs

directory = RunDirectory(Path(sys.argv[1]))
directory.pictures.mkdir(parents=True, exist_ok=True)
for seed in range(int(sys.argv[2])):
    cell = jobs.cell(seed)
    Image.fromarray(picture_of(cell.job)).save(directory.picture(jobs.stem(cell)))
    print(cell.job.id, flush=True)
"""
"""Says that a picture is finished when it was written, as most programs do."""


@pytest.fixture(autouse=True)
def _mountable(tmp_path):
    if reason := volumes.refusal("ext4", tmp_path):
        pytest.skip(reason)


def test_what_was_acknowledged_is_there_when_the_power_is_back(tmp_path):
    row = power.cuts(3, tmp_path, 5)

    assert row.ok, row
    assert row.counts["acknowledged"] > 0
    assert [row.counts[name] for name in ("lost", "torn before", "torn after")] == [0, 0, 0]


def test_a_program_that_does_not_sync_loses_what_it_told_of(tmp_path):
    row = power.cuts(1, tmp_path, 5, teller=(sys.executable, "-c", NAIVE))

    assert not row.ok
    assert row.counts["lost"] > 0
