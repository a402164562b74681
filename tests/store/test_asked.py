import json

import pytest

from batchgen.errors import UsageError
from batchgen.job import Model, make_job
from batchgen.plan.expand import Cell, Coordinates, Sweep
from batchgen.plan.sweep import Axis
from batchgen.store.asked import read_sweep, to_text
from batchgen.store.layout import RunDirectory

NAMES = ("prompt", "scale", "seed")
VALUES = {"prompt": ("a heron", "night"), "scale": (1, 1.0, None, True, "x"), "seed": (0, 2**64 - 1)}


def job(seed, steps):
    model = Model(digest="0" * 64, family="sd15", name="toy", path="/toy")
    values = {"prompt": "a heron \u2028 at night", "width": 64, "height": 64, "guidance_scale": 2.0}
    return make_job(model, values | {"seed": seed, "sampler": "euler", "schedule": "normal", "steps": steps})


def sweep():
    cells = [
        Cell(coordinates=Coordinates(NAMES, (prompt, scale, seed)), job=job(seed, 1 + rank % 3), name=None, note=None)
        for prompt in VALUES["prompt"]
        for rank, scale in enumerate(VALUES["scale"])
        for seed in VALUES["seed"]
    ]
    axes = tuple(Axis(name=name, values=values) for name, values in VALUES.items())
    none = {"notes": (), "warnings": (), "overruled": ()}
    return Sweep(axes=axes, cells=tuple(cells), product=len(cells), excluded=0, **none)


@pytest.fixture
def directory(tmp_path):
    found = RunDirectory(tmp_path)
    found.hidden.mkdir()
    found.sweep.write_text(to_text(sweep()))
    return found


def test_what_was_asked_for_comes_back_cell_by_cell(directory):
    asked = read_sweep(directory)

    assert {name: list(values) for name, values in asked.axes.items()} == {n: list(v) for n, v in VALUES.items()}
    for cell, found in zip(sweep().cells, asked.cells, strict=True):
        assert dict(found.coordinates) == dict(cell.coordinates)
        assert type(found.coordinates["scale"]) is type(cell.coordinates["scale"])
        assert (found.id, found.prompt) == (cell.job.id, cell.job.text.prompt)


def test_what_many_cells_share_stands_once(directory):
    kept = json.loads(directory.sweep.read_text())

    assert len(kept["prompts"]) == 1
    assert len(kept["jobs"]) == len({cell.job.id for cell in sweep().cells}) < len(kept["cells"])


@pytest.mark.parametrize(
    "damage",
    [
        {"format": 2},
        {"jobs": ["../../etc/passwd"]},
        {"cells": [[99, 0, 0, 0, 0]]},
        {"cells": [[-1, 0, 0, 0, 0]]},
        {"cells": [[0, 0]]},
        {"cells": [[0, 0, 0, 0, 0, 0]]},
        {"axes": [{"name": "steps", "values": [[1]]}]},
        {"prompts": [1]},
        {"format": "1"},
    ],
)
def test_a_strangers_file_is_refused_in_one_line(directory, damage):
    directory.sweep.write_text(json.dumps(json.loads(directory.sweep.read_text()) | damage))

    with pytest.raises(UsageError, match="is not as a run wrote it") as caught:
        read_sweep(directory)
    assert caught.value.where == str(directory.sweep)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "null"])
def test_what_is_no_json_object_is_refused(directory, text):
    directory.sweep.write_text(text)

    with pytest.raises(UsageError, match="is not as a run wrote it"):
        read_sweep(directory)


def test_where_there_is_none_the_message_says_how_to_get_one(tmp_path):
    with pytest.raises(UsageError, match="batchgen run"):
        read_sweep(RunDirectory(tmp_path))


def test_a_million_wrong_values_are_answered_by_the_first(directory):
    kept = json.loads(directory.sweep.read_text())
    directory.sweep.write_text(json.dumps(kept | {"jobs": ["x"] * 1_000_000}))

    with pytest.raises(UsageError) as caught:
        read_sweep(directory)
    assert len(caught.value.__cause__.errors()) == 1
