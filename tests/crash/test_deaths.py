import pytest

from trials import deaths


@pytest.mark.parametrize("kind", ["SIGSEGV", "SIGBUS", "exit 137", "hang", "device lost"])
def test_whoever_did_nothing_wrong_is_made_and_whoever_always_kills_is_named(tmp_path, kind):
    row = deaths.deaths(kind, 4, tmp_path, 2)

    assert row.ok, row
    assert (row.tried, row.counts["jobs"]) == (4, 12)
    assert row.counts["healthy lost"] == 0


def test_a_healthy_job_that_is_not_there_would_be_counted(tmp_path, damage):
    row = deaths.deaths("exit 137", 1, tmp_path, 2, meddle=damage.lose)

    assert not row.ok
    assert row.counts["healthy lost"] == 1
