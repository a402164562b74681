import shutil

import pytest

from batchgen.errors import StoreError, TryLater
from batchgen.store.held import hold
from batchgen.store.history import history
from batchgen.store.layout import RunDirectory


def publish(build_, directory, *jobs):
    with hold(directory) as held:
        return held.publish([build_.fresh(directory, job) for job in jobs])


def test_what_is_published_is_done_for_the_next_start(build_, directory):
    job = build_.job()

    (done,) = publish(build_, directory, job).done

    assert done.picture.read_bytes() == build_.png(job)
    assert directory.record(job.id).read_text() == build_.text(job)
    assert history(directory).done == {job.id: done}
    with hold(directory) as held:
        assert held.done == {job.id: done}
        assert held.adopted == ()
    assert list(directory.tmp.iterdir()) == []


def test_a_directory_may_be_moved(build_, directory):
    publish(build_, directory, build_.job())

    moved = RunDirectory(directory.root.rename(directory.root.with_name("moved")))

    assert not history(moved).done[build_.job().id].missing


def test_history_of_nothing_is_empty_and_makes_nothing(directory):
    assert history(directory).done == {}
    assert not directory.root.exists()


def test_a_missing_picture_must_be_made_again_and_can_be(build_, directory):
    (done,) = publish(build_, directory, build_.job()).done
    done.picture.unlink()

    assert history(directory).done[done.id].missing
    with hold(directory) as held:
        assert held.found[done.id].missing
        assert held.done == {}
    publish(build_, directory, build_.job())
    assert not history(directory).done[done.id].missing


def test_a_picture_of_another_size_goes_to_quarantine_and_is_made_again(build_, directory):
    (done,) = publish(build_, directory, build_.job()).done
    with done.picture.open("ab") as picture:
        picture.write(b"x")

    assert history(directory).done[done.id].missing
    with hold(directory) as held:
        assert held.found[done.id].missing
        assert held.done == {}
        assert [path.name for path in held.quarantined] == [done.picture.name]
    assert [path.name for path in directory.quarantine.iterdir()] == [done.picture.name]
    publish(build_, directory, build_.job())
    assert not history(directory).done[done.id].missing


def test_a_whole_picture_without_a_line_is_adopted(build_, directory):
    (done, other) = publish(build_, directory, build_.job(1), build_.job(2)).done
    directory.journal.write_bytes(directory.journal.read_bytes()[:-5])
    directory.record(other.id).unlink()

    with hold(directory) as held:
        assert held.adopted == (other.picture,)
        assert held.done.keys() == {done.id, other.id}
    assert directory.record(other.id).read_text() == build_.text(build_.job(2))
    with hold(directory) as held:
        assert held.adopted == ()
        assert held.done[other.id].file_sha256 == other.file_sha256


def test_without_any_journal_everything_is_adopted(build_, directory):
    jobs = [build_.job(seed) for seed in range(3)]
    publish(build_, directory, *jobs)
    directory.journal.unlink()

    with hold(directory) as held:
        assert held.done.keys() == {job.id for job in jobs}


def test_a_picture_that_was_renamed_is_found_by_its_id(build_, directory):
    (done,) = publish(build_, directory, build_.job()).done
    done.picture.rename(directory.picture("the best one"))

    with hold(directory) as held:
        assert held.found == held.done
        assert held.known == {done.id: "done"}
        assert held.done[done.id].picture == directory.picture("the best one")


def test_a_record_that_is_gone_is_written_again_from_its_picture(build_, directory):
    jobs = [build_.job(seed) for seed in range(2)]
    publish(build_, directory, *jobs)
    directory.record(jobs[0].id).unlink()
    directory.record(jobs[1].id).write_text("changed by somebody")

    with hold(directory):
        assert directory.record(jobs[0].id).read_text() == build_.text(jobs[0])
        assert directory.record(jobs[1].id).read_text() == "changed by somebody"


def test_a_record_is_not_written_from_a_picture_that_is_another_one(build_, directory):
    (done,) = publish(build_, directory, build_.job()).done
    directory.record(done.id).unlink()
    other = build_.png(build_.job(1))
    for data in (b"x" * done.bytes, other + bytes(max(done.bytes - len(other), 0))):
        done.picture.write_bytes(data[: done.bytes])
        with hold(directory):
            assert list(directory.records.iterdir()) == []


def test_a_picture_keeps_the_name_it_was_first_given(build_, directory):
    with hold(directory) as held:
        held.publish([build_.fresh(directory, build_.job(1), "first"), build_.fresh(directory, build_.job(2), "other")])
        assert held.names == {build_.job(1).id: "first", build_.job(2).id: "other"}
    directory.picture("first").unlink()
    directory.picture("other").rename(directory.picture("renamed"))

    for _ in range(2):  # the first of which adopts it under its new name
        with hold(directory) as held:
            assert held.found[build_.job(1).id].missing
            assert held.names == {build_.job(1).id: "first", build_.job(2).id: "other"}


def test_without_a_journal_the_name_of_a_picture_is_that_of_its_file(build_, directory):
    publish(build_, directory, build_.job())
    directory.journal.unlink()
    next(directory.pictures.iterdir()).rename(directory.picture("renamed"))

    with hold(directory) as held:
        assert held.names == {build_.job().id: "renamed"}


def test_a_name_that_stands_for_another_picture_by_now_is_offered_to_nobody_else(build_, directory):
    for seed in (1, 2):
        with hold(directory) as held:
            held.publish([build_.fresh(directory, build_.job(seed), "same")])
        if seed == 1:
            directory.picture("same").unlink()

    with hold(directory) as held:
        assert held.names == {build_.job(2).id: "same"}
    directory.picture("same").unlink()
    with hold(directory) as held:
        assert held.names == {build_.job(1).id: "same"}


def test_a_picture_that_got_the_name_of_one_that_is_gone_is_kept(build_, directory):
    for seed in (1, 2):
        with hold(directory) as held:
            (done,) = held.publish([build_.fresh(directory, build_.job(seed), "same")]).done
        if seed == 1:
            done.picture.unlink()

    with hold(directory) as held:
        assert held.quarantined == ()
        assert held.done == {build_.job(2).id: done}
        assert held.found[build_.job(1).id].missing
    assert done.picture.read_bytes() == build_.png(build_.job(2))


def test_a_copy_of_a_picture_is_left_alone(build_, directory):
    (done,) = publish(build_, directory, build_.job()).done
    shutil.copy(done.picture, directory.picture("copy"))

    with hold(directory) as held:
        assert (held.adopted, held.quarantined) == ((), ())
    assert directory.picture("copy").exists()


@pytest.mark.parametrize("data", [b"", b"no picture", None], ids=["empty", "other", "torn"])
def test_a_doubtful_picture_goes_to_quarantine(build_, directory, data):
    directory.create()
    data = build_.png(build_.job())[:-20] if data is None else data
    directory.picture("doubtful").write_bytes(data)

    with hold(directory) as held:
        assert held.done == {}
    assert [path.read_bytes() for path in directory.quarantine.iterdir()] == [data]
    assert not directory.picture("doubtful").exists()


def test_quarantine_keeps_files_of_the_same_name_apart(directory):
    for content in (b"one", b"two"):
        directory.create()
        directory.picture("doubtful").write_bytes(content)
        with hold(directory):
            pass

    assert sorted(path.read_bytes() for path in directory.quarantine.iterdir()) == [b"one", b"two"]


def test_unfinished_files_go(directory):
    directory.create()
    (directory.tmp / "1-0-abc.png").write_bytes(b"half")

    with hold(directory):
        assert list(directory.tmp.iterdir()) == []


def test_files_that_are_none_of_ours_stay(directory):
    directory.create()
    (directory.pictures / "notes.txt").write_bytes(b"mine")

    with hold(directory) as held:
        assert held.quarantined == ()
    assert (directory.pictures / "notes.txt").exists()


def test_a_name_that_stands_for_another_picture_is_not_given_again(build_, directory):
    with hold(directory) as held:
        published = held.publish(
            [build_.fresh(directory, build_.job(1), "same"), build_.fresh(directory, build_.job(2), "same")]
        )

    assert [done.id for done in published.done] == [build_.job(1).id]
    assert "holds something else" in published.refused[build_.job(2).id]
    assert directory.picture("same").read_bytes() == build_.png(build_.job(1))


def test_a_failure_is_told_until_the_picture_is_made(build_, directory):
    job = build_.job()
    with hold(directory) as held:
        held.fail(job.id, "not finite", 3)
    assert history(directory).failed == {job.id: "not finite"}

    publish(build_, directory, job)

    assert history(directory).failed == {}


def test_a_second_holder_is_refused(directory):
    with hold(directory), pytest.raises(TryLater, match="held by another run"), hold(directory):
        pass


def test_a_directory_that_cannot_be_made_is_an_error_in_words(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreError, match="Not a directory"), hold(RunDirectory(tmp_path / "file" / "herons")):
        pass


def test_what_was_asked_for_is_saved_whole_and_only_when_it_changed(directory):
    with hold(directory) as held:
        held.save(manifest="name: herons\n", settings=None, plan={"batch": 4})
        before = directory.manifest.stat()
        held.save(manifest="name: herons\n", settings="a: ${b}\n", plan={"batch": 4})

    assert directory.manifest.stat() == before
    assert directory.settings.read_text() == "a: ${b}\n"
    assert '"batch": 4' in directory.plan.read_text()
