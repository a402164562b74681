"""Who is told that a run has ended, by real programs and a real server."""

import base64
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from batchgen.run.finish import tell
from batchgen.settings import OnFinish

FACTS = {"ended": "complete", "made": 8, "failed": [{"name": "ein Reiher – 鷺", "reason": "none"}]}
SECRET = "s3cr3t-canary"


def told(folder, *command, post=None, longest=30.0):
    return list(tell(OnFinish(command=command, post=post), FACTS, folder, longest=longest))


def python(code):
    return (sys.executable, "-c", code)


@pytest.fixture
def server(monkeypatch):
    """A server that keeps what it was sent, and answers with `status`; it never answers where that is None."""
    monkeypatch.setenv("NO_PROXY", "*")
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            here.posted.append((self.path, dict(self.headers), json.loads(body)))
            if here.status is None:
                released.wait(60)
                return
            self.send_response(here.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - http.server looks for this name

        def log_message(self, *_):
            pass

    here = HTTPServer(("127.0.0.1", 0), Handler)
    here.posted, here.status = [], 200
    thread = threading.Thread(target=here.serve_forever)
    thread.start()
    yield here
    released.set()
    here.shutdown()
    thread.join()
    here.server_close()


def at(server, path="/", who=""):
    return f"http://{who}127.0.0.1:{server.server_port}{path}"


def test_where_nobody_is_to_be_told_nobody_is(tmp_path):
    assert told(tmp_path) == []


def test_a_program_reads_the_summary_and_where_the_run_lies_and_works_there(tmp_path):
    code = "import os, pathlib, sys; pathlib.Path('got').write_bytes(sys.stdin.buffer.read()); print(os.getcwd())"

    assert told(tmp_path, *python(code)) == []

    assert json.loads((tmp_path / "got").read_bytes()) == {**FACTS, "directory": str(tmp_path)}


def test_a_program_need_not_read_it(tmp_path):
    assert told(tmp_path, "true") == []


def test_what_it_prints_is_not_seen(tmp_path, capfd):
    told(tmp_path, *python("import sys; print('out'); print('err', file=sys.stderr)"))

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (("sh", "-c", f"exit 3 # {SECRET}"), "on_finish: sh ended with exit status 3"),
        (("sh", "-c", "kill -9 $$"), "on_finish: sh ended with exit status -9"),
        (("no-such-program", SECRET), "on_finish: no-such-program is no program that can be started"),
        ((f"/{SECRET}/tell", SECRET), "on_finish: tell is no program that can be started"),
        (("sh\0", SECRET), "on_finish: sh\0 "),
    ],
)
def test_a_program_that_fails_is_one_line_without_its_arguments(tmp_path, command, line):
    (said,) = told(tmp_path, *command)

    assert said.startswith(line)
    assert SECRET not in said


def test_a_program_that_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path):
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    (said,) = told(tmp_path, "sh", "-c", "exec 3>alive; echo >&3; sleep 1000 & wait", longest=1.0)

    assert said == "on_finish: sh took longer than 1 s"
    os.set_blocking(reader, True)
    while os.read(reader, 100):  # ends when nobody has it open any more
        pass
    os.close(reader)


def test_a_program_of_the_run_directory_is_never_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    (tmp_path / "notify").write_text("#!/bin/sh\ntouch mark\n")
    (tmp_path / "notify").chmod(0o755)

    (said,) = told(tmp_path, "notify")

    assert "is no program" in said
    mine = tmp_path / "where-the-person-is"
    mine.mkdir()
    (mine / "notify").write_text("#!/bin/sh\ntouch mine\n")
    (mine / "notify").chmod(0o755)
    monkeypatch.chdir(mine)
    assert told(tmp_path, "notify") == []
    assert (tmp_path / "mine").exists()
    assert not (tmp_path / "mark").exists()


def test_the_same_is_posted_as_json(tmp_path, server):
    assert told(tmp_path, post=at(server, "/topic?a=b#c")) == []

    ((path, headers, body),) = server.posted
    assert path == "/topic?a=b"
    assert headers["Content-Type"] == "application/json"
    assert body == {**FACTS, "directory": str(tmp_path)}


def test_who_one_is_may_stand_in_the_address(tmp_path, server):
    assert told(tmp_path, post=at(server, who="me:p%40ss@")) == []

    ((_, headers, _),) = server.posted
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'me:p@ss').decode()}"
    assert headers["Host"] == f"127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("status", [302, 307, 403, 500])
def test_an_answer_that_is_no_yes_is_one_line_without_the_address(tmp_path, server, status):
    server.status = status

    said = told(tmp_path, post=at(server, f"/{SECRET}?{SECRET}", who=f"{SECRET}:{SECRET}@"))

    assert said == [f"on_finish: 127.0.0.1 answered with status {status}"]
    assert len(server.posted) == 1  # sent on nowhere


def test_a_server_that_does_not_answer_is_not_waited_for(tmp_path, server):
    server.status = None

    said = told(tmp_path, post=at(server, f"/{SECRET}"), longest=0.5)

    assert said == ["on_finish: 127.0.0.1 did not answer within 0.5 s"]


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:1/{SECRET}",
        f"https://me:{SECRET}@127.0.0.1:1/",
        f"http://127.0.0.1:1/{SECRET} with a space",
        f"http://127.0.0.1:1/ü{SECRET}",
        f"http://me:{SECRET}@no-such-host.invalid/",
        f"http://{'x' * 70}.invalid/{SECRET}",
    ],
)
def test_what_cannot_be_reached_is_one_line_without_the_address(tmp_path, monkeypatch, address):
    monkeypatch.setenv("NO_PROXY", "*")

    (said,) = told(tmp_path, post=address)

    assert said.startswith("on_finish: ")
    assert SECRET not in said
    assert "\n" not in said


def test_a_program_that_fails_keeps_nobody_else_from_being_told(tmp_path, server):
    (said,) = told(tmp_path, "false", post=at(server))

    assert said == "on_finish: false ended with exit status 1"
    assert len(server.posted) == 1


def test_what_is_secret_is_not_shown_by_accident():
    assert SECRET not in repr(OnFinish(command=("curl", SECRET), post=f"https://example.org/{SECRET}"))
