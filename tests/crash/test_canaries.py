import random

from trials import canaries
from trials.command import FAKE


def test_no_byte_of_a_secret_is_in_anything_that_is_written(tmp_path):
    row = canaries.secrets(8, tmp_path, 3, engine=(FAKE,))

    assert row.ok, row
    assert row.tried == 8
    assert row.counts["records"] > 8


def test_a_secret_in_a_picture_would_be_found(tmp_path):
    secret = random.Random(3).randbytes(16)

    def betray(directory):
        (directory.pictures / "notes.txt").write_text(secret.hex())

    row = canaries.secrets(6, tmp_path, 3, engine=(FAKE,), meddle=betray)

    assert not row.ok
    assert row.counts["files with a secret"] == 1
