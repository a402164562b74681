import errno
import os

import pytest

from batchgen.preflight.places import LITTLE, System, cache, output


def states(findings):
    return {finding.about: finding.state for finding in findings}


def refusing(number):
    def call(*_):
        raise OSError(number, os.strerror(number))

    return call


def test_a_folder_of_this_machine_has_all_that_a_run_builds_on_and_nothing_is_left_in_it(tmp_path):
    found = states(output(tmp_path / "not" / "there" / "yet"))

    assert {about: state for about, state in found.items() if about != "disk"} == {
        "output": "ok",
        "locks": "ok",
        "links": "ok",
    }
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_no_folder_can_be_is_wrong(tmp_path):
    (tmp_path / "file").touch()

    (found,) = output(tmp_path / "file" / "outputs")

    assert (found.state, found.about) == ("wrong", "output")
    assert "Not a directory" in found.says
    assert "output.root=" in found.mend


@pytest.mark.parametrize(
    ("system", "about", "state", "says"),
    [
        (System(flock=refusing(errno.ENOLCK)), "locks", "wrong", "none here: No locks available"),
        (System(flock=lambda *_: None), "locks", "wrong", "a second lock on the same file is granted"),
        (System(link=refusing(errno.EPERM)), "links", "warning", "no hard links here"),
        (System(free=lambda _: LITTLE - 1), "disk", "warning", "only 1000.0 MB free"),
    ],
    ids=["no locks", "locks that lock nothing", "no links", "a full disk"],
)
def test_a_file_system_that_lacks_something_is_told_of(tmp_path, system, about, state, says):
    found = {finding.about: finding for finding in output(tmp_path, system)}

    assert found[about].state == state
    assert says in found[about].says
    assert found[about].mend
    assert [each.about for each in found.values() if each.state != "ok"] == [about]


def test_the_cache_folder_is_tried_and_not_made(tmp_path):
    assert cache(tmp_path / "batchgen").state == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path):
    (tmp_path / "file").touch()

    found = cache(tmp_path / "file" / "batchgen")

    assert found.state == "warning"
    assert "hashed anew" in found.says
