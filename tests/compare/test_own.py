"""Columns from a program of the person's own: real programs, well behaved and not."""

import json
import os
import sys

import pytest

from batchgen.compare.own import measured_by
from batchgen.compare.results import Result, Results
from batchgen.store.layout import RunDirectory

COUNT = 5


@pytest.fixture
def directory(tmp_path):
    found = RunDirectory(tmp_path / "run")
    found.create()
    return found


@pytest.fixture
def ask(tmp_path, directory):
    """Ask a program, given as its text in Python, about five pictures and one that is missing."""

    def asking(text, *, results=None, reference=None, **others):
        program = tmp_path / "score.py"
        program.write_text("import json, sys\n" + text)
        results = results or run_of(directory)
        reference = reference or (*(0,) * COUNT, -1)
        return measured_by([sys.executable, str(program)], results, reference, directory, **others)

    return asking


def run_of(directory, *, pixels="pixels"):
    made = [
        Result(
            coordinates={"seed": seed},
            id=f"{seed:064x}",
            state="made",
            prompt=f"prompt ☕ {seed}\n",
            picture=directory.pictures / f"{seed}.png",
            recipe={"steps": 4, "seed": seed},
            pixel_sha256=f"{pixels} {seed}",
        )
        for seed in range(COUNT)
    ]
    missing = Result(coordinates={"seed": COUNT}, id=f"{COUNT:064x}", state="missing", prompt="")
    return Results(name="run", axes={"seed": range(COUNT + 1)}, places=(*made, missing), environments={})


ECHO = """
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"rank": asked["recipe"]["seed"], "half": asked["recipe"]["seed"] / 2}), flush=True)
"""


def test_each_picture_has_what_the_program_said_of_it(ask):
    own = ask(ECHO)

    assert own.columns == {"rank": (0, 1, 2, 3, 4, None), "half": (0, 0.5, 1, 1.5, 2, None)}
    assert own.warning == ""


def test_the_program_is_started_once_and_told_all_of_each_picture(ask, tmp_path, directory):
    log = tmp_path / "asked"

    ask(f"open({str(log)!r}, 'a').write('started\\n' + sys.stdin.read())\nprint('{{}}\\n' * {COUNT})")

    started, *asked = log.read_text(encoding="utf-8").splitlines()
    assert started == "started"
    assert [json.loads(line) for line in asked] == [
        {
            "id": f"{seed:064x}",
            "path": str(directory.pictures / f"{seed}.png"),
            "reference": str(directory.pictures / "0.png"),
            "prompt": f"prompt ☕ {seed}\n",
            "recipe": {"steps": 4, "seed": seed},
        }
        for seed in range(COUNT)
    ]


def test_a_picture_without_a_reference_is_asked_about_without(ask, tmp_path):
    text = "for line in sys.stdin: print(json.dumps({'alone': int(json.loads(line)['reference'] is None)}))"

    own = ask(text, reference=(-1, 0, 5, 0, 0, -1))

    # The sixth is missing.
    assert own.columns["alone"] == (1, 0, 1, 0, 0, None)


def test_a_program_that_answers_before_it_has_read_all_is_no_deadlock(ask, directory):
    pictures = [
        Result(
            coordinates={},
            id=f"{n:064x}",
            state="made",
            prompt="x" * 1000,
            picture=directory.root / "a.png",
            pixel_sha256=f"{n}",
        )
        for n in range(2000)
    ]
    results = Results(name="", axes={}, places=tuple(pictures), environments={})

    own = ask(
        "for line in sys.stdin: print(json.dumps({'n': 1, **{}}) + ' ' * 2000)", results=results, reference=(-1,) * 2000
    )

    assert own.columns["n"] == (1,) * 2000


def test_nobody_is_asked_twice(ask, tmp_path, directory):
    log = tmp_path / "asked"
    text = f"open({str(log)!r}, 'a').write('started ')" + ECHO
    first = ask(text)

    assert ask(text) == first
    assert log.read_text() == "started "
    ask(text, results=run_of(directory, pixels="others"))
    ask(text, reference=(1,) * COUNT + (-1,))
    assert log.read_text() == "started started started "


def test_another_program_is_asked_anew(ask, tmp_path, directory):
    ask(ECHO)

    own = measured_by(
        ["sh", "-c", "while read line; do echo '{\"n\": 7}'; done"], run_of(directory), (-1,) * 6, directory
    )

    assert own.columns == {"n": (7, 7, 7, 7, 7, None)}


def test_a_program_that_was_mended_is_asked_anew(ask):
    ask("for line in sys.stdin: print('{\"n\": 1}')")

    assert ask("for line in sys.stdin: print('{\"n\": 2}')").columns == {"n": (2,) * COUNT + (None,)}


def test_no_number_is_none(ask):
    own = ask('print(\'{"a": NaN}\\n{"a": null}\\n{"a": Infinity}\\n{}\\n{"a": 1e999}\')')

    assert own.columns == {"a": (None,) * 6}
    assert own.warning == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sys.exit('no model')", "ended after 0 answers: no model; 5 pictures asked about"),
        (
            "print('{\"a\": 1}'); sys.stdout.flush(); raise ValueError('broken')",
            "ended after 1 answers: ValueError: broken",
        ),
        ("print('a: 1')", "says in its answer 1 what is no JSON"),
        ("print('[1]')", "says in its answer 1 what is no object"),
        ("print('{\"a\": true}')", "says in its answer 1 of 'a' what is no number"),
        ('print(\'{"a": "1"}\')', "says in its answer 1 of 'a' what is no number"),
        ("print('{\"A b\": 1}')", "names a column 'A b'; a name is of a-z, 0-9 and _"),
        ("print('{\"psnr\": 1}')", "names a column 'psnr', and there is one already"),
        ("print('{\"seed\": 1}')", "names a column 'seed', and there is one already"),
        ("print(json.dumps({f'c{n}': n for n in range(33)}))", "names more than 32 columns"),
        ("for n in range(33): print(json.dumps({f'c{n}': n}))", "ended after"),
        ("print('x' * 10_000_000)", "says more than 65,536 bytes in its answer 1"),
        ("import time; print('{\"a\": 1}', flush=True); time.sleep(60)", "took longer than 0.5 s for its answer 2"),
        ("print('[' * 100_000)", "says "),
    ],
)
def test_a_program_that_fails_is_one_warning(ask, text, said):
    longest = 0.5 if "sleep" in text else 60.0

    own = ask(text, longest=longest)

    if said == "ended after":  # five columns are few enough
        assert own.warning == ""
        assert len(own.columns) == COUNT
        return
    assert own.warning.startswith(f"output.metrics: {sys.executable.rpartition('/')[2]} {said}")
    assert "\n" not in own.warning


def test_what_was_said_before_a_failure_counts_and_is_not_asked_again(ask, tmp_path):
    log = tmp_path / "asked"
    text = f"""
for number, line in enumerate(sys.stdin):
    if number == 2:
        sys.exit("two are enough")
    open({str(log)!r}, "a").write(line)
    print('{{"n": 1}}', flush=True)
"""

    first, second = ask(text), ask(text)

    assert first.columns == {"n": (1, 1, None, None, None, None)}
    assert second.columns == {"n": (1, 1, 1, 1, None, None)}
    assert [json.loads(line)["recipe"]["seed"] for line in log.read_text().splitlines()] == [0, 1, 2, 3]


def test_a_program_that_is_none_is_a_warning(directory):
    own = measured_by(["no-such-program"], run_of(directory), (-1,) * 6, directory)

    assert own.columns == {}
    assert own.warning == "output.metrics: no-such-program is no program that can be started; 5 pictures asked about"


def test_a_program_does_not_outlive_its_failure(ask, tmp_path):
    pid = tmp_path / "pid"

    ask(f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); print('no', flush=True); time.sleep(600)")

    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
