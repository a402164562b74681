"""On the fake engine; tests/end_to_end has the same on the embedded model."""

from trials import again
from trials.command import FAKE


def test_a_run_is_made_again_exactly_in_any_order_and_never_with_other_weights(tmp_path):
    row = again.reproduced(6, tmp_path, 9, engine=(FAKE,))

    assert row.ok, row
    assert (row.counts["EXACT"], row.counts["IMPOSSIBLE with a bit flipped"]) == (18, 6)


def test_a_picture_that_was_changed_would_not_be_called_exact(tmp_path, damage):
    row = again.reproduced(2, tmp_path, 9, engine=(FAKE,), meddle=damage.repaint, rounds=1)

    assert not row.ok
    assert row.counts["EXACT"] == 1
