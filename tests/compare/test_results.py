import json

import pytest

from batchgen.compare.results import read_results
from batchgen.errors import UsageError
from batchgen.store.layout import RunDirectory


def test_every_cell_is_there_with_its_own_picture_and_recipe(finished):
    results = read_results(finished)

    assert results.name == "evening"
    assert list(results.axes) == ["prompt", "sampler", "steps", "seed"]
    assert len(results.places) == 16
    for each in results.places:
        assert each.state == "made"
        assert each.recipe["sampler"] == each.coordinates["sampler"]
        assert each.recipe["steps"] == each.coordinates["steps"]
        assert each.recipe["seed"] == each.coordinates["seed"]
        assert each.recipe["model"] == "demo_shapes"
        assert each.picture.name.endswith(f"{each.id[:8]}.png")
        assert each.environment in results.environments
        assert (each.width, each.height) == (64, 64)


def test_the_prompt_is_told_in_full_where_the_coordinate_is_a_name(finished):
    star = next(each for each in read_results(finished).places if each.coordinates["prompt"] == "star")

    assert star.prompt == "</script><b>a ☕ star"


def test_a_picture_that_is_gone_is_missing(evening):
    gone = read_results(evening).places[3]
    gone.picture.unlink()

    found = read_results(evening).places[3]

    assert (found.state, found.picture, found.reason) == ("missing", None, "its file is gone")
    assert found.prompt


def test_without_the_file_of_a_record_the_picture_says_it(evening):
    for path in evening.records.iterdir():
        path.unlink()

    assert {each.state for each in read_results(evening).places} == {"made"}


def test_a_record_that_says_nothing_that_is_understood_makes_a_place_unreadable(evening):
    path = read_results(evening).places[0].picture
    damaged = path.read_bytes().replace(b'"schema":1', b'"schema":9')
    path.write_bytes(damaged)
    for record in evening.records.iterdir():
        record.write_text(json.dumps({"schema": 9}))

    first, second, *_ = read_results(evening).places

    assert first.state == "unreadable"
    assert first.reason
    assert second.state == "made"


def test_a_folder_that_is_no_run_directory_is_refused(tmp_path):
    with pytest.raises(UsageError):
        read_results(RunDirectory(tmp_path))
