import pytest

from trials import kills


@pytest.mark.parametrize(
    ("trial", "count"),
    [(kills.one_by_one, 4), (kills.hasty, 3), (kills.in_batches, 3), (kills.clips, 3), (kills.embedded, 1)],
)
def test_kills_at_random_moments_lose_nothing_and_tear_nothing(tmp_path, trial, count):
    row = trial(count, tmp_path, 11)

    assert row.ok, row
    assert row.tried == count
    assert row.counts["pictures"] >= 30
    assert [row.counts[name] for name in ("lost", "torn", "duplicates", "missing", "unplanned")] == [0] * 5


@pytest.mark.parametrize("way", ["lose", "tear"])
def test_a_picture_that_a_kill_had_cost_would_be_seen(tmp_path, damage, way):
    row = kills.one_by_one(1, tmp_path, 11, meddle=getattr(damage, way))

    assert not row.ok
    assert row.counts["missing"] >= 1
