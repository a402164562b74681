import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import TryLater
from batchgen.job import Model, make_job
from batchgen.plan.estimate import Sample
from batchgen.preflight.finding import size
from batchgen.preflight.room import check_room, likely

SIDES = st.integers(1, 64).map(lambda number: number * 8)


def job(side=1024, digest="a"):
    model = Model(digest=digest * 64, family="sd15", name="toy", path="/models/toy")
    values = {"prompt": "a heron", "seed": 0, "width": side, "height": side}
    sampling = {"sampler": "euler", "schedule": "normal", "steps": 3, "guidance_scale": 2.0}
    return make_job(model, values | sampling)


def sample(digest="a", pixels=1000, bytes_=500):
    return Sample(model=digest * 64, work=1.0, pixels=pixels, seconds=1.0, bytes=bytes_)


def never():
    raise AssertionError("nobody needs samples where there is room anyway")


def test_where_there_is_room_for_raw_pixels_nothing_else_is_looked_at(tmp_path):
    check_room([job()], tmp_path, never)


def test_a_plan_that_no_disk_holds_is_refused_with_both_numbers(tmp_path):
    jobs = [job(16384)] * 2_000_000

    with pytest.raises(TryLater) as caught:
        check_room(jobs, tmp_path, list)

    free = shutil.disk_usage(tmp_path).free
    assert caught.value.exit_code == 75
    assert caught.value.where == str(tmp_path)
    assert "2,000,000 pictures need about 1610.6 TB" in caught.value.message
    # The disk is everybody's; what is free may change while a test runs.
    assert f"{size(free)[0]}" in caught.value.message.split(" and ")[1]


def test_pictures_that_compress_well_are_judged_by_earlier_ones(tmp_path):
    jobs = [job(16384)] * 200_000

    check_room(jobs, tmp_path, lambda: [sample(pixels=10**12, bytes_=1)])


def test_what_is_known_of_one_model_says_nothing_of_another():
    known, unknown = job(1000, "a"), job(1000, "b")

    alone, both = likely([known], [sample()]), likely([known, unknown], [sample()])

    assert 500_000 <= alone < 600_000
    assert both - alone >= 3_000_000


@given(sides=st.lists(SIDES, max_size=5), share=st.floats(0, 100))
def test_no_estimate_is_larger_than_raw_pixels(sides, share):
    jobs = [job(side) for side in sides]

    assert likely(jobs, [sample(pixels=1000, bytes_=round(1000 * share))]) <= likely(jobs, [])
