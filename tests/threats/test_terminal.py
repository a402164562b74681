"""What a terminal obeys, what a browser runs, what the environment keeps secret: none of it gets through."""

import json
import os
import pty
import subprocess
import sys
import unicodedata

import pytest

from batchgen.store.journal import Journal
from batchgen.store.layout import RunDirectory

EVIL = (
    "a \x1b]0;title\x07\x1b[31mred\x1b[2J \x9b31m \u202egnp.exe\u202c <script>alert(1)</script> {a|b} ${oc.env:SECRET}"
)
MANIFEST = {
    "set": {"model": "demo_shapes", "steps": 1, "negative_prompt": EVIL},
    "prompts": [{"prompt": EVIL, "note": EVIL}],
}


def on_a_terminal(person, *words):
    """Return what a command writes to a terminal, the line feeds as the program said them."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "batchgen", *words],
        cwd=person.folder,
        env=person.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux says that nobody writes any more
            break
        said += piece
        if not piece:
            break
    process.wait()
    os.close(ours)
    return said.decode(errors="replace").replace("\r\n", "\n")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A run of hostile prompts on the fake engine, by somebody with a secret."""
    from types import SimpleNamespace

    folder = tmp_path_factory.mktemp("run")
    environment = {**os.environ, "HOME": str(folder), "SECRET": "canary-4711"}
    (folder / "m.json").write_text(json.dumps(MANIFEST))
    command = [sys.executable, "-m", "batchgen", "run", "m.json", "runtime.engine=fake"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(folder=folder, environment=lambda: environment, said=done.stdout + done.stderr)


def test_no_secret_of_the_environment_is_in_anything_that_was_written(rendered):
    files = [path for path in rendered.folder.rglob("*") if path.is_file()]

    assert any(path.suffix == ".png" for path in files)
    assert [path for path in files if b"canary-4711" in path.read_bytes()] == []
    assert "canary" not in rendered.said


def test_markup_and_orders_in_a_prompt_are_text_in_record_and_picture(rendered):
    (record,) = (rendered.folder / "outputs/m/records").glob("*.json")

    found = json.loads(record.read_bytes())

    assert (found["recipe"]["prompt"], found["recipe"]["negative_prompt"], found["note"]) == (EVIL, EVIL, EVIL)


def test_the_name_of_a_picture_has_nothing_of_it_but_letters(rendered):
    (picture,) = (rendered.folder / "outputs/m/pictures").glob("*.png")

    assert not set("<>\x1b\x07\x9b\u202e/\\${}") & set(picture.name)


@pytest.mark.parametrize("option", [[], ["--parameters"]])
def test_a_terminal_is_shown_a_prompt_and_gets_no_orders_from_it(rendered, option):
    (picture,) = (rendered.folder / "outputs/m/pictures").glob("*.png")

    said = on_a_terminal(rendered, "show", str(picture), *option)

    assert "<script>alert(1)</script>" in said
    assert {unicodedata.category(each) for each in said} & {"Cc"} == ({"Cc"} if "\n" in said else set())
    assert not set("\x1b\x07\x9b\u202e\u202c") & set(said)


def test_a_file_gets_every_byte_that_a_terminal_does_not(rendered):
    (picture,) = (rendered.folder / "outputs/m/pictures").glob("*.png")
    command = [sys.executable, "-m", "batchgen", "show", str(picture), "--parameters"]

    done = subprocess.run(command, cwd=rendered.folder, env=rendered.environment(), capture_output=True, check=True)

    assert EVIL.encode() in done.stdout


def test_the_reason_of_a_failure_in_a_strangers_journal_gives_no_orders(person):
    directory = RunDirectory(person.folder / "run")
    directory.create()
    directory.plan.write_text(json.dumps({"jobs": ["ab" * 32], "batch": 1}))
    journal = Journal(directory.journal)
    journal.append("failed", id="ab" * 32, reason="\x1b]0;owned\x07\x1b[2Jno memory", attempts=3)
    journal.close()

    said = on_a_terminal(person, "status", "run")

    assert "no memory" in said
    assert not set("\x1b\x07") & set(said)


def test_half_a_character_in_a_strangers_journal_is_said_as_json_escapes_it(person):
    directory = RunDirectory(person.folder / "run")
    directory.create()
    directory.plan.write_text(json.dumps({"jobs": ["ab" * 32], "batch": 1}))
    journal = Journal(directory.journal)
    journal.append("failed", id="ab" * 32, reason="no \ud800 memory", attempts=3)
    journal.close()

    said = person.types("status", "run", "--json")

    assert json.loads(said.stdout)["failed"] == {"ab" * 32: "no \ud800 memory"}
    assert said.returncode == 1


@pytest.mark.parametrize(
    "words", [["status", "\x1b[31mx\x07"], ["plan", "m\x1b[2J.yaml"], ["run", "a\nb"], ["run", "--\x1b[31m"]]
)
def test_an_error_is_one_line_without_orders_whatever_the_word_was(person, words):
    said = person.types(*words)

    assert said.returncode == 2
    assert said.stderr.startswith("batchgen: ")
    assert said.stderr.endswith("\n")
    assert said.stderr[:-1].isprintable()


def test_an_error_is_never_as_long_as_what_is_wrong(person):
    person.writes("c.csv", "prompt" + "," * 100_000)
    person.writes("m.yaml", "set: {model: demo_shapes}\nprompts: [{file: c.csv}]\n")
    person.writes("n.json", json.dumps({"prompts": [{"prompt": "x", "negative_prompt": "n" * 1_000_001}]}))

    for name in ("m.yaml", "n.json"):
        said = person.types("plan", name)
        assert said.returncode == 2
        assert len(said.stderr) < 4100


WRONG = {
    "an option that is none": (["run", "--nope"], "--nope"),
    "a command that is none": (["rn"], "did you mean 'run'?"),
    "a missing word": (["show"], "Missing argument 'FILE'"),
    "no number": (["run", "--max-jobs", "x"], "'x' is not a valid integer"),
    "a key of manifests": (["run", "--prompt", "x", "order=breadth"], "'order' is a key of a manifest itself"),
    "a list in brackets": (["run", "--prompt", "x", "steps=[4,6]"], "several values are written steps=4,6"),
    "three dots": (["run", "--prompt", "x", "steps=4...20"], "one is written 4..20, or 4..20/8"),
}


@pytest.mark.parametrize(("words", "right"), WRONG.values(), ids=WRONG)
def test_a_wrong_word_is_answered_in_one_line_that_says_what_is_right(person, words, right):
    said = person.types(*words)

    assert said.returncode == 2
    assert said.stderr.startswith("batchgen: ")
    assert said.stderr.count("\n") == 1
    assert right in said.stderr
