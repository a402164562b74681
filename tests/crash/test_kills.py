import pytest

from trials import kills


@pytest.mark.parametrize(
    ("trial", "count", "batch"), [(kills.one_by_one, 6, 1), (kills.in_batches, 3, 4), (kills.embedded, 1, 1)]
)
def test_kills_at_random_moments_lose_nothing_and_cost_at_most_what_was_in_hand(tmp_path, trial, count, batch):
    row = trial(count, tmp_path, 11)

    assert row.ok, row
    assert row.tried == count
    assert row.counts["pictures"] >= 30
    assert [row.counts[name] for name in ("lost", "torn", "duplicates", "missing", "unplanned")] == [0] * 5
    assert row.counts["made twice"] <= batch * count


@pytest.mark.parametrize("way", ["lose", "tear"])
def test_a_picture_that_a_kill_had_cost_would_be_seen(tmp_path, damage, way):
    row = kills.one_by_one(1, tmp_path, 11, meddle=getattr(damage, way))

    assert not row.ok
    assert row.counts["missing"] >= 1
