from trials import starts


def test_of_two_runs_that_begin_at_once_one_wins_and_the_other_names_it(tmp_path):
    row = starts.pairs(2, tmp_path, 8)

    assert row.ok, row
    assert row.counts["one won"] == 2


def test_two_that_both_render_would_be_seen(tmp_path):
    row = starts.pairs(1, tmp_path, 8, places=lambda folder: (folder / "one", folder / "other"))

    assert not row.ok
    assert row.counts["both won"] == 1
