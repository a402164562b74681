"""Marks that a gallery exported. The file may have been written by anybody."""

import json
import os

import pytest

from batchgen.errors import UsageError
from batchgen.store.marks import LARGEST, Mark, read_marks

ID = "0123456789abcdef"


def text(**changes):
    return json.dumps({"batchgen": "marks", "format": 1, "run": "herons", "marks": {}} | changes)


def marks(**mark):
    return text(marks={ID: mark})


@pytest.fixture
def file(tmp_path):
    return tmp_path / "marks.json"


def test_what_a_person_marked_is_read(file):
    all_of_them = {ID: {"verdict": "keep", "stars": 4}, "f" * 16: {"verdict": None, "stars": 0}, "a" * 16: {}}
    file.write_text(text(marks=all_of_them))

    found = read_marks(file)

    assert found.run == "herons"
    assert found.marks == {ID: Mark(verdict="keep", stars=4), "f" * 16: Mark(), "a" * 16: Mark()}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "is not JSON"),
        ("\x00\xff", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "another kind"),
        (text(batchgen="votes"), "another kind"),
        (text(format=2), "another kind or version"),
        (text(more=1), "other keys"),
        (text(marks=[]), "other keys"),
        (text(run=3), "`run` is no name"),
        (text(run="x" * 256), "`run` is no name"),
        (text(marks={"0123456789ABCDEF": {}}), "not the first 16 digits of an id"),
        (text(marks={ID + "\n": {}}), "not the first 16 digits of an id"),
        (text(marks={"x" * 1_000_000: {}}), "not the first 16 digits of an id"),
        (text(marks={ID: 4}), f"the mark of {ID}"),
        (marks(verdict="keep", path="/etc/passwd"), f"the mark of {ID}"),
        (marks(verdict="maybe"), "neither keep nor reject"),
        (marks(verdict=["keep"]), "neither keep nor reject"),
        (marks(stars=6), "no number from 0 to 5"),
        (marks(stars=-1), "no number from 0 to 5"),
        (marks(stars=True), "no number from 0 to 5"),
        (marks(stars=4.5), "no number from 0 to 5"),
        (marks(stars=None), "no number from 0 to 5"),
        (marks(stars=10**400), "no number from 0 to 5"),
        (marks(stars=0).replace("0}", "9" * 5000 + "}"), "is not JSON"),
        (marks(stars=0).replace("0}", "NaN}"), "no number from 0 to 5"),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_no_file_of_marks_is_refused_in_a_line_that_names_it(file, written, said):
    file.write_text(written, encoding="latin-1")

    with pytest.raises(UsageError) as error:
        read_marks(file)

    assert str(error.value).startswith(f"{file}: is no file of marks")
    assert said in str(error.value)
    assert len(str(error.value)) < 500


def test_a_file_of_any_size_or_kind_is_not_read(file):
    os.truncate(os.open(file, os.O_CREAT | os.O_WRONLY), LARGEST + 1)
    with pytest.raises(UsageError, match="too large"):
        read_marks(file)

    file.unlink()
    with pytest.raises(UsageError, match="No such file"):
        read_marks(file)

    os.mkfifo(file)
    with pytest.raises(UsageError, match="is no file"):
        read_marks(file)


def test_a_million_wrong_marks_are_answered_by_the_first(file):
    file.write_text(marks(**{f"{number}": 1 for number in range(1_000_000)}))

    with pytest.raises(UsageError) as error:
        read_marks(file)

    assert len(str(error.value)) < 500
