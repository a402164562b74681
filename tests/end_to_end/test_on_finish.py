"""Who is told that a run has ended, and that a run directory of a stranger starts nothing."""

import json
import shlex
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

FAKE = "runtime.engine=fake"
ASK = ("run", "--prompt", "a heron", "--seeds", "0..3", FAKE, "output.sheets=false")
SECRET = "s3cr3t-canary"
KEEP = "on_finish.command='sh -c \"cat >> told\"'"


def told(person, run="outputs/adhoc"):
    """What the program was told, each time."""
    text, decoder = (person.folder / run / "told").read_text(encoding="utf-8"), json.JSONDecoder()
    found = []
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def without_directory(facts):
    return {name: value for name, value in facts.items() if name != "directory"}


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            here.posted.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    here = HTTPServer(("127.0.0.1", 0), Handler)
    here.posted = []
    thread = threading.Thread(target=here.serve_forever)
    thread.start()
    yield here
    here.shutdown()
    thread.join()
    here.server_close()


def test_a_run_that_ended_is_told_of_once_for_each_directory_with_its_summary(person):
    for name in ("one", "two"):
        person.writes(f"{name}.yaml", "prompts: [a heron]\nseeds: 0..1\n")

    said = person.types("run", "one.yaml", "two.yaml", FAKE, KEEP)

    assert said.code == 0, said.err
    for name in ("one", "two"):
        (facts,) = told(person, f"outputs/{name}")
        assert facts["directory"] == str(person.folder / "outputs" / name)
        assert without_directory(facts) == json.loads((person.folder / f"outputs/{name}/summary.json").read_text())
        assert (facts["ended"], facts["made"]) == ("complete", 2)


def test_failures_and_a_time_that_is_over_are_told_of_and_nothing_to_do_is_not(person):
    faults = {"BATCHGEN_FAKE_FAULTS": json.dumps({"faults": [{"do": "error", "seed": 1}]})}

    codes = [
        person.types(*ASK, KEEP, **faults).code,
        person.types(*ASK, KEEP, "runtime.batch=1", "--limit", "1").code,
        person.types(*ASK, KEEP).code,
    ]

    assert codes == [1, 0, 0]
    failed, rest = told(person)
    assert (failed["ended"], len(failed["failed"])) == ("some are missing", 1)
    assert (rest["ended"], rest["made"]) == ("complete", 1)


def test_a_full_disk_is_told_of(person):
    program = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))"
    words = (*ASK, "size=256x256", "output.compression=0", KEEP)

    said = person.types_in(f"{program}; from batchgen.cli import main; main()", *words)

    assert said.code == 75, said.err
    (facts,) = told(person)
    assert "File too large" in facts["ended"]
    assert facts["left"] == 4


def test_the_directory_is_free_when_the_program_starts(person):
    again = shlex.join(["sh", "-c", f"cd ../.. && python -m batchgen {' '.join(ASK[:2])} 'a heron' {FAKE} > told 2>&1"])

    person.types(*ASK, f"on_finish.command=[{','.join(json.dumps(word) for word in shlex.split(again))}]")

    assert "holds it" not in (person.folder / "told").read_text()


@pytest.mark.parametrize(
    "hook", ["on_finish.command=[sh,-c,'exit 3']", "on_finish.post=http://127.0.0.1:1/s3cr3t-canary"]
)
def test_whatever_fails_there_is_one_warning_and_harms_nothing(person, hook):
    said = person.types(*ASK, hook)

    assert said.code == 0
    (line,) = [line for line in said.err.splitlines() if line.startswith("warning: ")]
    assert line.startswith("warning: on_finish: ")
    assert SECRET not in said.err + said.out
    assert len(person.pictures("outputs/adhoc")) == 4


def test_an_address_from_the_environment_is_posted_to_and_stands_in_nothing_that_is_written(person, server):
    address = f"http://127.0.0.1:{server.server_port}/{SECRET}"
    job = "defaults: [_self_, {model: demo_shapes}, {runtime: auto}, {output: default}, {sampler: null}]\n"
    person.writes("conf/job.yaml", f"{job}on_finish: {{post: '${{oc.env:NTFY_URL}}'}}\n")

    first = person.types(*ASK, "--limit", "2", NTFY_URL=address, NO_PROXY="*")
    resumed = person.types("run", "outputs/adhoc", NTFY_URL=address, NO_PROXY="*")

    assert (first.code, resumed.code) == (1, 0), resumed.err
    assert [(path, facts["made"]) for path, facts in server.posted] == [(f"/{SECRET}", 2)] * 2
    written = [path for path in (person.folder / "outputs").rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert SECRET not in first.err + first.out + resumed.err + resumed.out


def test_the_settings_of_a_strangers_run_directory_start_nothing(person, server):
    person.types(*ASK, "--limit", "1")
    settings = person.folder / "outputs/adhoc/settings.yaml"
    mark = person.folder / "mark"
    address = f"http://127.0.0.1:{server.server_port}/"
    with settings.open("a") as file:
        file.write(f"on_finish: {{command: [touch, {mark}], post: '{address}'}}\n")

    said = person.types("run", "outputs/adhoc", NO_PROXY="*")

    assert said.code == 0, said.err
    assert len(person.pictures("outputs/adhoc")) == 4
    assert not mark.exists()
    assert server.posted == []
    assert "on_finish" not in settings.read_text()


def test_a_strangers_manifest_may_not_speak_of_it(person):
    person.writes("evil.yaml", "prompts: [a heron]\nset: {on_finish: {command: [touch, mark]}}\n")
    person.writes("worse.yaml", "prompts: [a heron]\non_finish: {command: [touch, mark]}\n")

    assert person.types("run", "evil.yaml", FAKE).code == 2
    assert person.types("run", "worse.yaml", FAKE).code == 2
