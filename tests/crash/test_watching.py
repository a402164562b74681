"""What the trials see with: if this were blind, all of them would be content."""

import pytest

from batchgen.store.layout import RunDirectory
from trials import jobs
from trials.watching import Watch

CELLS = [jobs.cell(seed) for seed in range(4)]
IDS = [cell.job.id for cell in CELLS]


@pytest.fixture
def watch(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    jobs.render(directory, CELLS, batch=2, listen=lambda _: None)
    watch = Watch(directory)
    watch.look()
    return watch


def test_a_directory_as_a_run_leaves_it_is_well(watch):
    assert not any(watch.judged(IDS).values())


@pytest.mark.parametrize(
    ("way", "found"),
    [
        ("lose", {"lost": 1, "missing": 1}),
        ("tear", {"lost": 1, "torn": 1, "missing": 1}),
        ("copy", {"duplicates": 1}),
        ("repaint", {"lost": 1, "torn": 1, "missing": 1}),
    ],
)
def test_damage_is_seen_and_called_by_its_name(watch, damage, way, found):
    getattr(damage, way)(watch.directory)

    assert {name: value for name, value in watch.judged(IDS).items() if value} == found


def test_a_picture_that_was_torn_once_is_not_forgotten_when_it_is_whole_again(watch, damage):
    whole = {path: path.read_bytes() for path in watch.directory.pictures.iterdir()}
    fresh = Watch(watch.directory)
    damage.tear(watch.directory)
    fresh.look()
    for path, data in whole.items():
        path.write_bytes(data)

    assert fresh.judged(IDS)["torn"] == 1


def test_pictures_that_nobody_asked_for_or_that_were_never_made_are_counted(watch):
    found = watch.judged([*IDS[1:], "0" * 64])

    assert (found["unasked"], found["missing"]) == (1, 1)


def test_a_job_that_the_journal_tells_of_twice_is_a_duplicate(watch):
    from batchgen.store.held import hold
    from batchgen.store.journal import Journal, read

    with hold(watch.directory):
        journal = Journal(watch.directory.journal)
        first = dict(read(watch.directory.journal).entries[0])
        journal.append("done", **{name: value for name, value in first.items() if name not in ("seq", "event")})
        journal.close()

    assert watch.judged(IDS)["duplicates"] == 1
