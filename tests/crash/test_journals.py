import json

from trials import journals


def test_what_is_before_the_damage_is_read_and_nothing_is_made_again(tmp_path):
    row = journals.damage(3, tmp_path, 3)

    assert row.ok, row
    assert row.counts["flipped bits"] == 8 * row.counts["cut at"] > 8 * 3 * 300
    assert row.counts["recoveries"] == 6


def test_a_reader_without_checksums_would_be_found_out(tmp_path):
    def naive(data):
        found = []
        for line in data.split(b"\n"):
            try:
                found.append(json.loads(line[9:]))
            except ValueError:
                break
        return found

    row = journals.damage(2, tmp_path, 3, reader=naive)

    assert not row.ok
    assert row.counts["wrong after a flip"] > 1000


def test_a_picture_that_recovery_could_not_take_on_would_be_counted(tmp_path, damage):
    row = journals.damage(2, tmp_path, 3, meddle=damage.tear)

    assert not row.ok
    assert row.counts["to be made again"] > 0
