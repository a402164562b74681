from trials import bad_pictures


def test_what_is_no_picture_is_never_published_and_one_colour_is_flagged(tmp_path):
    row = bad_pictures.injected(3, tmp_path, 6)

    assert row.ok, row
    assert row.tried == 9


def test_the_real_decoder_publishes_no_nan_and_flags_one_colour(tmp_path):
    row = bad_pictures.decoded(3, tmp_path, 6)

    assert row.ok, row
    assert row.tried == 3


def test_a_flag_that_is_missing_would_be_seen(tmp_path, damage):
    row = bad_pictures.injected(2, tmp_path, 6, meddle=damage.deny_one_colour)

    assert not row.ok
    assert row.counts["single_colour not flagged"] == 2
