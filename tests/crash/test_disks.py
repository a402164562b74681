from trials import disks


def test_a_disk_that_fills_up_ends_the_run_with_75_and_with_room_it_goes_on(tmp_path):
    row = disks.full(2, tmp_path, 4)

    assert row.ok, row
    assert row.counts["exit 75"] == 2
    assert row.counts["done before"] > 0


def test_a_picture_that_only_looks_done_would_be_seen(tmp_path, damage):
    row = disks.full(1, tmp_path, 4, meddle=damage.tear)

    assert not row.ok
    assert row.counts["false done"] == 1
