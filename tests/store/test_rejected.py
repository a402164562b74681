"""What a person rejected is written down, and outlives whatever happens to files and journal lines beside it."""

import pytest

from batchgen.store.held import hold
from batchgen.store.history import history
from batchgen.store.journal import Journal
from batchgen.store.verify import verify


@pytest.fixture
def kept(directory, build_):
    """A run directory with three pictures, whole."""
    with hold(directory) as held:
        held.save(manifest="name: herons\n", settings=None, plan={"batch": 1, "jobs": []})
        held.publish([build_.fresh(directory, build_.job(seed)) for seed in range(3)])
    return directory


@pytest.fixture
def ids(build_):
    return [build_.job(seed).id for seed in range(3)]


def tell(directory, event, **fields):
    """Write a line of the journal, as somebody could who knows its form."""
    journal = Journal(directory.journal)
    journal.append(event, **fields)
    journal.close()


def found(directory):
    return [(each.kind, each.file.name) for each in verify(directory).findings]


def test_what_is_rejected_is_so_for_the_next_start_until_it_is_taken_back(kept, ids):
    with hold(kept) as held:
        held.reject(ids[:2])
        assert held.rejected == {*ids[:2]}
    assert history(kept).rejected == {*ids[:2]}

    with hold(kept) as held:
        assert held.rejected == {*ids[:2]}
        held.accept(ids[:1])
        assert held.rejected == {ids[1]}
    assert history(kept).rejected == {ids[1]}


def test_a_rejected_picture_stays_where_it_is_and_serves(kept, ids):
    picture = history(kept).done[ids[0]].picture
    before = picture.read_bytes()

    with hold(kept) as held:
        held.reject(ids[:1])
        assert held.picture_of(ids[0]) == picture

    assert picture.read_bytes() == before
    assert history(kept).known[ids[0]] == "done"


def test_what_was_never_made_can_be_rejected_and_stays_so_when_it_is_made_as_a_stage(directory, build_, ids):
    with hold(directory) as held:
        held.reject(ids[:1])
        held.publish([build_.fresh(directory, build_.job(0))])

    assert history(directory).done.keys() == history(directory).rejected == {ids[0]}


def test_a_file_of_a_rejected_job_is_adopted_and_the_job_stays_rejected(kept, ids, build_):
    with hold(kept) as held:
        held.reject(ids[:1])
        (other,) = held.publish([build_.fresh(kept, build_.job(9))]).done
        held.reject([other.id])
    lines = kept.journal.read_bytes().splitlines(keepends=True)
    kept.journal.write_bytes(b"".join(lines[:4]))  # with the line of the rejection, without what came after

    with hold(kept) as held:
        assert held.adopted == (other.picture,)
        assert held.rejected == {ids[0]}


@pytest.mark.parametrize("id_", [None, 3, [], {}, "ab", "AB" * 32, "../" * 32, "ab" * 32 + "\n"], ids=repr)
@pytest.mark.parametrize("event", ["rejected", "accepted"])
def test_a_line_of_a_stranger_that_rejects_nothing_is_passed_over(kept, ids, event, id_):
    with hold(kept) as held:
        held.reject(ids[:1])

    tell(kept, event, id=id_)
    tell(kept, event)

    assert history(kept).rejected == {ids[0]}


def test_nothing_is_wrong_with_a_rejected_picture_that_was_deleted(kept, ids):
    done = history(kept).done
    done[ids[0]].picture.unlink()
    assert found(kept) == [("missing", done[ids[0]].picture.name)]

    with hold(kept) as held:
        held.reject(ids[:1])
    assert (found(kept), verify(kept).pictures) == ([], 2)

    kept.record(ids[0]).unlink()
    assert found(kept) == []


def test_a_rejected_picture_that_was_altered_is_found_as_any_other(kept, ids):
    with hold(kept) as held:
        held.reject(ids)
    done = history(kept).done
    with done[ids[0]].picture.open("ab") as file:
        file.write(b"x")
    done[ids[1]].picture.write_bytes(done[ids[1]].picture.read_bytes()[:-5])

    assert {(kind, name) for kind, name in found(kept)} == {
        ("altered", done[ids[0]].picture.name),
        ("torn", done[ids[1]].picture.name),
    }
