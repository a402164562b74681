from dataclasses import replace

import pytest

from trials import resume

WITHOUT_BOOKMARKS = replace(resume.PICTURES, samplers=("euler",), every=0)


@pytest.mark.parametrize("slow", [resume.PICTURES, resume.CLIPS], ids=["pictures", "clips"])
def test_what_is_killed_in_its_middle_goes_on_and_is_equal_to_what_nobody_disturbed(tmp_path, slow):
    row = resume.of(slow)(1, tmp_path, 11)

    assert row.ok, row
    assert row.tried == row.counts["equal"] == len(slow.samplers)
    assert row.counts["made again"] < row.counts["calls of the network"] / 2


def test_other_pixels_and_beginning_anew_would_be_seen(tmp_path, damage):
    row = resume.of(WITHOUT_BOOKMARKS)(1, tmp_path, 11, meddle=damage.repaint)

    assert not row.ok
    assert row.counts["equal"] == 0
    assert row.counts["beyond the interval"] > 0
