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


@pytest.mark.parametrize(("size", "begun_anew"), [(10_000_000, False), (10_000_001, True)])
def test_a_log_that_has_grown_long_is_kept_beside_a_new_one(lock, tmp_path, size, begun_anew):
    log, aside = tmp_path / "log", tmp_path / "log.1"
    aside.write_text("from weeks ago")
    with log.open("wb") as file:
        file.truncate(size)

    assert last_words(lock, log, LAST).endswith("it ends here")

    assert log.stat().st_size == (0 if begun_anew else size) + len("before\nit ends here")
    assert aside.stat().st_size == (size if begun_anew else len("from weeks ago"))


def test_a_long_log_behind_a_link_stays_where_it_is_and_so_does_what_another_link_leads_to(lock, tmp_path):
    log, aside, thesis = tmp_path / "log", tmp_path / "log.1", tmp_path / "thesis"
    with thesis.open("wb") as file:
        file.truncate(20_000_000)
    log.symlink_to(thesis)
    with pytest.raises(OSError, match="symbolic links"):
        Process(lock, log, (sys.executable, "-c", LAST))
    log.unlink()
    aside.symlink_to(thesis)
    with log.open("wb") as file:
        file.truncate(10_000_001)

    last_words(lock, log, LAST)

    assert thesis.stat().st_size == 20_000_000
    assert aside.stat().st_size == 10_000_001
    assert not aside.is_symlink()


def test_a_log_that_cannot_be_moved_aside_is_written_on(lock, tmp_path):
    (tmp_path / "log.1").mkdir()
    with (tmp_path / "log").open("wb") as log:
        log.truncate(10_000_001)

    assert last_words(lock, tmp_path / "log", LAST).endswith("it ends here")
