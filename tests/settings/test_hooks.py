"""`on_finish` starts programs: whose word counts, and what is never written."""

from pathlib import Path

import pytest
import yaml

from batchgen.errors import ConfError
from batchgen.settings import OnFinish, load_settings, parse_words

CANARY = "s3cr3t-canary"
JOB = "defaults: [_self_, {model: demo_shapes}, {runtime: auto}, {output: default}]\n"


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def load(work):
    return lambda *words, saved=None: load_settings(parse_words(words), cwd=work, saved=saved)


@pytest.fixture
def conf(work):
    """Write what the person's own conf/job.yaml says of it."""

    def written(text):
        (work / "conf").mkdir(exist_ok=True)
        (work / "conf/job.yaml").write_text(f"{JOB}on_finish: {text}\n")

    return written


def complaint(load, *words, saved=None):
    with pytest.raises(ConfError) as caught:
        load(*words, saved=saved)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_at_first_nobody_is_told(load):
    assert load().on_finish == OnFinish()


@pytest.mark.parametrize(
    "word",
    ["on_finish.command=[notify-send,'the night is over']", "on_finish.command='notify-send \"the night is over\"'"],
)
def test_a_command_is_a_list_or_is_split_as_a_shell_does(load, word):
    assert load(word).on_finish == OnFinish(command=("notify-send", "the night is over"))


def test_the_command_line_comes_before_conf_and_may_take_it_back(load, conf):
    conf("{command: [one, two], post: 'https://example.org/a'}")

    assert load().on_finish == OnFinish(command=("one", "two"), post="https://example.org/a")
    assert load("on_finish.command=three").on_finish == OnFinish(command=("three",), post="https://example.org/a")
    assert load("on_finish.command=null", "on_finish.post=null").on_finish == OnFinish()


def test_a_program_that_is_given_by_a_path_is_looked_for_from_where_the_person_is(load, work):
    assert load("on_finish.command='./tell.sh ./a'").on_finish.command == (f"{work}/tell.sh", "./a")
    assert load("on_finish.command=/bin/true").on_finish.command == ("/bin/true",)
    assert load("on_finish.command=~/tell").on_finish.command == (str(Path.home() / "tell"),)


def test_a_secret_of_the_environment_is_used_and_never_saved(load, conf, monkeypatch):
    monkeypatch.setenv("NTFY_URL", f"https://ntfy.sh/{CANARY}")
    conf("{post: '${oc.env:NTFY_URL}', command: [tell, '${oc.env:NTFY_URL}']}")

    settings = load("output.compression=2")

    assert settings.on_finish.post == f"https://ntfy.sh/{CANARY}"
    assert settings.on_finish.command == ("tell", f"https://ntfy.sh/{CANARY}")
    for shown in (settings.save(), repr(settings), repr(settings.tree)):
        assert CANARY not in shown
        assert "on_finish" not in yaml.safe_load(settings.save())


def test_dollars_of_the_command_line_are_text(load, monkeypatch):
    monkeypatch.setenv("NTFY_URL", CANARY)

    assert load("on_finish.command=[tell,'${oc.env:NTFY_URL}']").on_finish.command == ("tell", "${oc.env:NTFY_URL}")


def test_what_a_run_directory_says_counts_for_nothing(load, tmp_path):
    saved = tmp_path / "settings.yaml"
    saved.write_text(f"{load().save()}on_finish: {{command: [rm, -rf, /], post: 'https://evil.example'}}\n")

    assert load(saved=saved).on_finish == OnFinish()
    assert load("on_finish.command=mine", saved=saved).on_finish == OnFinish(command=("mine",))
    assert "on_finish" not in load(saved=saved).save()


def test_a_run_that_is_resumed_tells_whom_conf_names_now(load, conf, tmp_path, monkeypatch):
    monkeypatch.setenv("NTFY_URL", "https://ntfy.sh/mine")
    saved = tmp_path / "settings.yaml"
    saved.write_text(load().save())
    conf("{post: '${oc.env:NTFY_URL}'}")

    assert load(saved=saved).on_finish == OnFinish(post="https://ntfy.sh/mine")


def test_what_a_run_directory_says_is_not_even_filled_into_what_conf_says(load, conf, tmp_path):
    saved = tmp_path / "settings.yaml"
    saved.write_text(load().save().replace("compression: 6", "compression: 9"))
    conf("{command: [tell, 'at ${output.compression}']}")

    assert load(saved=saved).on_finish.command == ("tell", "at 6")


def test_a_conf_that_came_with_a_run_directory_may_start_nothing(load, conf, work):
    conf("{command: [rm, -rf, /]}")
    (work / ".batchgen").mkdir()

    assert complaint(load).startswith("conf/job.yaml:2: on_finish is not taken from a conf/ inside a run directory")
    conf("{command: null, post: null}")
    assert load("on_finish.command=mine").on_finish == OnFinish(command=("mine",))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (f"on_finish.post='ftp://me:{CANARY}@example.org'", "on_finish.post: post: must be an address that begins"),
        (f"on_finish.post='/{CANARY}'", "must be an address that begins with http:// or https://"),
        (f"on_finish.post='https:///{CANARY}'", "must be an address"),
        (f"on_finish.post='https://example.org:99999/{CANARY}'", "must be an address"),
        (f"on_finish.post=[{CANARY}]", "post: must be"),
        (f"on_finish.command=['{CANARY}, not a number',1]", "command: must be"),
        ("on_finish.command=[]", "command: "),
        ("on_finish.command=''", "command: "),
        ("on_finish.command=' '", "command: has no words"),
        (f"on_finish.command='say \"{CANARY}'", "command: cannot be split into words: no closing quotation"),
        ("on_finish.comand=x", "unknown key of on_finish 'comand'; did you mean 'command'?"),
        ("on_finish=x", "unknown key of on_finish ''"),
    ],
)
def test_what_is_wrong_is_refused_without_being_shown(load, word, reason):
    said = complaint(load, word)

    assert reason in said
    assert CANARY not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{post: '${oc.env:CANARY}'}", "conf/job.yaml:2: post: must be an address"),
        ("{post: '${oc.env:NOT_THERE}'}", "conf/job.yaml:2: on_finish.post: KeyError raised"),
        ("{command: ['${oc.env:CANARY}', 1]}", "conf/job.yaml:2: command: must be"),
        ("[a]", "conf/job.yaml:2: on_finish is no mapping"),
    ],
)
def test_what_is_wrong_in_conf_is_refused_with_its_line_and_without_its_value(load, conf, monkeypatch, text, said):
    monkeypatch.setenv("CANARY", CANARY)
    conf(text)

    found = complaint(load)

    assert found.startswith(said)
    assert CANARY not in found
