from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import UsageError
from batchgen.plan.subset import drawn


@given(st.integers(1, 300), st.integers())
def test_every_number_comes_once(total, seed):
    assert sorted(drawn(total, seed)) == list(range(total))


@given(st.integers(1, 10**20), st.integers(0, 50), st.integers())
def test_the_order_depends_on_the_seed_alone_and_needs_no_list(total, count, seed):
    once = list(islice(drawn(total, seed), count))

    assert once == list(islice(drawn(total, seed), count))
    assert len(set(once)) == min(count, total)
    assert all(0 <= each < total for each in once)


def test_every_place_is_equally_likely():
    firsts = [next(drawn(10, seed)) for seed in range(2000)]

    assert all(140 < firsts.count(each) < 260 for each in range(10))


TEXT = "prompts: [x, y]\nseeds: 0..9999999999\nsubset: {count: %d, seed: %d}"


def ids(place, text):
    return [cell.job.id for cell in place.sweep(text).cells]


def test_a_subset_of_twenty_billion_cells_is_drawn_at_once(place):
    sweep = place.sweep(TEXT % (500, 1))

    assert (sweep.count, sweep.product) == (500, 20_000_000_000)
    assert len({cell.coordinates for cell in sweep.cells}) == 500
    assert any("random subset of 20,000,000,000" in note for note in sweep.notes)


def test_a_larger_subset_holds_the_smaller_one(place):
    assert set(ids(place, TEXT % (50, 1))) < set(ids(place, TEXT % (100, 1)))
    assert not set(ids(place, TEXT % (50, 1))) & set(ids(place, TEXT % (50, 2)))


def test_a_subset_keeps_the_manifest_s_order(place):
    sweep = place.sweep(TEXT % (50, 1))

    places = [(cell.coordinates["prompt"], cell.coordinates["seed"]) for cell in sweep.cells]
    assert places == sorted(places)


def test_a_subset_counts_what_is_left_by_exclude(place):
    text = "prompts: [x]\nseeds: 0..99\nexclude: [{seed: '>=50'}]\nsubset: {count: %d}"

    assert place.sweep(text % 40).count == 40
    assert place.sweep(text % 80).count == 50
    assert {cell.job.seed for cell in place.sweep(text % 80).cells} == set(range(50))


def test_a_subset_that_exclude_leaves_nearly_nothing_of_is_given_up(place):
    text = "prompts: [x]\nseeds: 0..9999999999\nexclude: [{seed: '!=7'}, {seed: '>7'}]\nsubset: {count: 5}"

    with pytest.raises(UsageError, match="exclude"):
        place.sweep(text, limit=100)


def test_a_subset_larger_than_the_limit_is_refused(place):
    with pytest.raises(UsageError, match="2,000 cells"):
        place.sweep(TEXT % (2000, 1), limit=1000)
