import os
import sys

import pytest

from batchgen.run.process import Process

LAST = "import sys; print('before'); print('it ends here', end='', flush=True); sys.exit(5)"


@pytest.fixture
def lock(tmp_path):
    file = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    yield file
    os.close(file)


def last_words(lock, log, program):
    process = Process(lock, log, (sys.executable, "-c", program))
    silent, other = os.pipe()
    while process.receive(silent) is not None:
        pass
    os.close(silent)
    os.close(other)
    return process.last_words()


def test_last_words_are_of_this_worker_and_not_of_the_one_before(lock, tmp_path):
    assert last_words(lock, tmp_path / "log", LAST).endswith("its log ends with: it ends here")
    assert "log" not in last_words(lock, tmp_path / "log", "")


def test_last_words_are_found_behind_any_amount_of_others(lock, tmp_path):
    with (tmp_path / "log").open("wb") as log:
        log.truncate(1 << 40)  # a hole: nobody could read it whole

    assert last_words(lock, tmp_path / "log", f"print('x' * 500_000); {LAST}").endswith("ends with: it ends here")


def test_nothing_is_written_through_a_link(lock, tmp_path):
    (tmp_path / "log").symlink_to(tmp_path / "thesis")
    (tmp_path / "thesis").write_bytes(b"years of work")

    with pytest.raises(OSError, match="symbolic links"):
        Process(lock, tmp_path / "log", (sys.executable, "-c", LAST))

    assert (tmp_path / "thesis").read_bytes() == b"years of work"
