import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from batchgen.errors import ModelError, TryLater
from batchgen.models.find import Source
from batchgen.models.option import ModelConf
from batchgen.models.pull import TOKENIZERS, pull, wanted

BASE = Source(hub="base/model", revision="v1", include=("*.json",))


def conf(source: Source, name: str = "mine") -> ModelConf:
    return ModelConf(name=name, family="sdxl", source=source, recommended={}, where="conf/model/mine.yaml")


@pytest.mark.parametrize(
    ("source", "tokenizers_only", "found"),
    [
        (Source(hub="o/n", revision="v2", include=("*.json",)), False, [("o/n", "v2", ("*.json",))]),
        (Source(hub="o/n"), True, [("o/n", "main", TOKENIZERS)]),
        (Source(file=("a.safetensors",)), False, [("base/model", "v1", TOKENIZERS)]),
        (
            Source(file=("a.safetensors",), hub="o/n"),
            False,
            [("o/n", "main", ("a.safetensors",)), ("base/model", "v1", TOKENIZERS)],
        ),
        (Source(file=("a.safetensors",), hub="o/n"), True, [("base/model", "v1", TOKENIZERS)]),
        (Source(parts={"unet": "u"}), False, [("base/model", "v1", TOKENIZERS)]),
    ],
)
def test_what_a_model_needs_is_fetched_and_no_more(
    source: Source, tokenizers_only: bool, found: list[tuple[str, str, Sequence[str]]]
) -> None:
    wishes = wanted(conf(source), conf(BASE, "base"), tokenizers_only=tokenizers_only)
    fetched: list[tuple[str, str, Sequence[str]]] = []

    def download(hub: str, revision: str, files: Sequence[str]) -> Path:
        fetched.append((hub, revision, files))
        return Path(hub)

    assert pull(wishes, download) == [Path(each[0]) for each in found]
    assert fetched == found


@pytest.mark.parametrize("source", [Source(builtin="demo_shapes"), Source(folder="/mine")])
def test_a_model_of_no_repository_cannot_be_fetched(source: Source) -> None:
    with pytest.raises(ModelError, match=r"conf/model/mine\.yaml: model 'mine' "):
        wanted(conf(source), conf(BASE, "base"), tokenizers_only=False)


COMMIT = "a" * 40
FILES = {"model_index.json": b"{}", "tokenizer/vocab.json": b'{"a": 0}', "unet/w.safetensors": b"weights"}


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a download asks for: one repository, `o/n`."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/o/n"):
            siblings = [{"rfilename": name} for name in FILES]
            content = json.dumps({"id": "o/n", "modelId": "o/n", "sha": COMMIT, "siblings": siblings}).encode()
            if "/tree/" in path:
                entries = [
                    {"type": "file", "path": name, "size": len(each), "oid": name} for name, each in FILES.items()
                ]
                content = json.dumps(entries).encode()
        else:
            content = FILES.get(path.partition("/resolve/")[2].partition("/")[2], b"")
        found = bool(content)
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(content)))
        if found:
            self.send_header("ETag", f'"{abs(hash(content))}"')
            self.send_header("X-Repo-Commit", COMMIT)
        else:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a hub on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as running:
        thread = threading.Thread(target=functools.partial(running.serve_forever, poll_interval=0.05))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


FETCH = """
import sys
from batchgen.errors import BatchgenError
from batchgen.models.pull import from_hub
try:
    print(from_hub(sys.argv[1], "main", sys.argv[2:]))
except BatchgenError as error:
    print(type(error).__name__, error)
"""


def fetched(tmp_path: Path, endpoint: str, *words: str) -> str:
    """Fetch in a process of its own: the hub's library reads its settings once, as it is imported."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "TRANSFORMERS_"))}
    clean |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    clean |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    words = (sys.executable, "-c", FETCH, *words)
    return subprocess.run(words, env=clean, capture_output=True, text=True, check=True).stdout.strip()


def test_files_by_pattern_go_into_the_cache_of_the_hub(tmp_path: Path, server: str) -> None:
    said = fetched(tmp_path, server, "o/n", *TOKENIZERS)
    snapshot = tmp_path / "hf/hub/models--o--n/snapshots" / COMMIT
    assert said == str(snapshot)
    assert (snapshot / "tokenizer/vocab.json").read_bytes() == FILES["tokenizer/vocab.json"]
    assert not (snapshot / "unet").exists()


def test_a_repository_that_is_not_there_is_a_wrong_word(tmp_path: Path, server: str) -> None:
    said = fetched(tmp_path, server, "o/other", "*")
    assert said == "ModelError o/other (revision main): there is no such repository or revision on the hub"


def test_without_a_network_it_is_for_later_in_a_line(tmp_path: Path) -> None:
    said = fetched(tmp_path, "http://127.0.0.1:9", "o/n", "*")
    assert said.startswith(f"{TryLater.__name__} o/n (revision main): cannot be fetched now: ")
    assert "\n" not in said
