"""A real Chromium, headless, on galleries that the real command line wrote.

Whatever a page complains of, and whatever it asks for outside of its run directory, fails its test. Without a Chromium
the tests are skipped, with a word; where `BATCHGEN_BROWSER=required` is set, as in CI, a skipped test has failed.
"""

import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from trials.chromium import PROGRAMS, chromium, running

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "build/axe/node_modules/axe-core/axe.min.js"
PATIENCE = 30_000
"""Milliseconds until what never comes is given up; a page that works is not measured by it."""
LISTENS = """
globalThis.ran = [];
globalThis.alert = globalThis.confirm = globalThis.prompt = (...words) => { ran.push(words.join()); };
addEventListener('securitypolicyviolation', event =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
"""Runs before anything of a page: `ran` is what a script that should not run leaves."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("BATCHGEN_BROWSER") == "required":
        report.outcome = "failed"
        report.longrepr = f"a browser test must not be skipped here: {call.excinfo.value}"
    return report


@pytest.fixture(scope="package")
def browser():
    from playwright.sync_api import expect

    program = chromium()
    if program is None:
        pytest.skip(f"no Chromium here: none of {', '.join(PROGRAMS)} on PATH, and BATCHGEN_CHROMIUM names none")
    expect.set_options(timeout=PATIENCE)
    with running(program) as one:
        yield one


@dataclass
class Guard:
    """Hears everything that a browser's context complains of or asks for."""

    allowed: tuple[str, ...]
    """What an address must begin with."""
    complaints: list[str] = field(default_factory=list)
    waiting: set = field(default_factory=set)
    """Requests that have neither come nor failed."""

    def watch(self, context):
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("requestfinished", self._came)
        context.on("response", self._response)

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _dialog(self, dialog):
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request):
        self.waiting.add(request)
        if not request.url.startswith(self.allowed):
            self.complaints.append(f"asked for {request.url[:200]}")

    def _came(self, request):
        self.waiting.discard(request)

    def _failed(self, request):
        self.waiting.discard(request)
        # A picture that is scrolled away is not loaded to its end.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.failure}: {request.url[:200]}")

    def _response(self, response):
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.url[:200]}")


@contextmanager
def _visited(browser, address, *, ready="html[data-ready]", before=None, **how):
    """Open `address`, that of a gallery's index.html, with a guard that allows what lies in the run's directory.

    Args:
        browser: Chromium.
        address: Where the page is.
        ready: What is there once the page can be used.
        before: Called with the page before it is opened.
        how: What kind of window it is.
    """
    guard = Guard((address.rsplit("/", 2)[0] + "/", "data:", "blob:"))
    with browser.new_context(**how) as context:
        context.set_default_timeout(PATIENCE)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.add_init_script(LISTENS)
        guard.watch(context)
        page = context.new_page()
        if before:
            before(page)
        page.goto(address)
        page.wait_for_selector(ready, state="attached")
        yield page, guard
        # What was said last is on its way still.
        for _ in range(50):
            page.wait_for_timeout(20)
            if not guard.waiting:
                break


@pytest.fixture(scope="session")
def visited():
    return _visited


@pytest.fixture
def visit(browser):
    """Open a page in a window of its own, like a person without history; at the end nothing must have been wrong."""
    open_ones = []

    def opened(address, **how):
        one = _visited(browser, address, **how)
        page, guard = one.__enter__()
        open_ones.append((one, guard))
        return page

    yield opened
    for one, _ in open_ones:
        one.__exit__(None, None, None)
    assert [guard.complaints for _, guard in open_ones] == [[]] * len(open_ones)


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        """Say nothing: requests that matter are the guard's."""


class _Host(ThreadingHTTPServer):
    def handle_error(self, request, client):
        """Say nothing of pictures that a page no longer waits for."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client)


@pytest.fixture(scope="package")
def served():
    """Serve a folder on this machine; return where."""
    servers = []

    def serve(folder):
        server = _Host(("127.0.0.1", 0), partial(_Silent, directory=str(folder)))
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def address(request, served):
    """Return the address of a run's gallery: on the disk or, where a test is parametrized so, on a static host."""

    def of(run):
        page = "gallery/index.html"
        return f"{served(run)}/{page}" if getattr(request, "param", "file") == "http" else (run / page).as_uri()

    return of


@pytest.fixture(scope="package")
def axe():
    """Return a look at a page with axe-core: what it finds serious or worse, as `rule: place`."""
    if not AXE.exists():
        pytest.skip("no axe-core here: `make browser` fetches it")
    source = AXE.read_text(encoding="utf-8")

    def look(page, *rules):
        page.evaluate(source)
        # Without `preload` it would read style sheets by requests of its own, which the page's policy forbids.
        how = {"resultTypes": ["violations"], "preload": False} | ({"runOnly": rules} if rules else {})
        found = page.evaluate("how => axe.run(document, how)", how)["violations"]
        bad = [each for each in found if each["impact"] in ("serious", "critical")]
        return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in bad for node in each["nodes"]]

    return look


def _typed(folder, *words, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHGEN_", "HF_", "XDG_"))}
    clean |= {"HOME": str(folder), "COLUMNS": "120", "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, "-m", "batchgen", *words]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=600, check=False)


@dataclass(frozen=True)
class Told:
    """What a page was told, read from the disk."""

    data: dict

    def coordinates(self, cell):
        """Return the values of the axes, as a page shows them."""
        axes = {axis["name"]: axis for axis in self.data["axes"]}
        return {name: axis["values"][axis["at"][cell]] for name, axis in axes.items() if axis["at"][cell] >= 0}

    def cells(self, **wanted):
        """Return the cells that have these coordinates, in the manifest's order."""
        found = ((cell, self.coordinates(cell)) for cell in range(self.data["count"]))
        return [cell for cell, has in found if wanted.items() <= has.items()]

    def cell(self, **wanted):
        (found,) = self.cells(**wanted)
        return found

    def state(self, cell):
        return self.data["states"][self.data["state"][cell]]


@pytest.fixture(scope="session")
def told():
    """Read the data of a run's gallery."""

    def read(run):
        text = (run / "gallery/data.js").read_text(encoding="utf-8")
        # A text within a text, as JavaScript reads it.
        return Told(json.loads(json.loads(text[text.index('"') : text.rindex('"') + 1])))

    return read


@pytest.fixture(scope="session")
def typed():
    """Type a command of batchgen's in a folder."""
    return _typed


@pytest.fixture(scope="session")
def ran(tmp_path_factory):
    """Run a manifest on the fake engine, in a folder of its own; return the run's directory."""

    def made(manifest, *words, **environment):
        folder = tmp_path_factory.mktemp("person")
        name = manifest["name"]
        (folder / f"{name}.json").write_text(json.dumps(manifest), encoding="utf-8")
        said = _typed(folder, "run", f"{name}.json", "runtime.engine=fake", *words, **environment)
        assert said.returncode in (0, 1), said.stderr
        return folder / "outputs" / name

    return made


class Seen:
    """What is seen of a picture, enlarged by the browser, to be held against files."""

    def __init__(self, screenshot):
        self.pixels = self._read(io.BytesIO(screenshot))

    @staticmethod
    def _read(file):
        with Image.open(file) as picture:
            return np.asarray(picture.convert("RGB")).astype(int)

    def as_is(self, path):
        """Return the pixels of a file as large as what is seen: nearest neighbours."""
        pixels = self._read(path)
        height, width = self.pixels.shape[:2]
        rows = ((np.arange(height) + 0.5) * pixels.shape[0] / height).astype(int)
        columns = ((np.arange(width) + 0.5) * pixels.shape[1] / width).astype(int)
        return pixels[rows][:, columns]

    def where(self, wanted, tolerance=4):
        """Return which pixels are as wanted, within what rounding makes."""
        return np.abs(self.pixels - wanted).max(axis=2) <= tolerance

    def agrees(self, path):
        """Return the share of pixels that are as in a file. At the edges of pixels a browser may round otherwise."""
        return self.where(self.as_is(path)).mean()


@pytest.fixture(scope="session")
def seen():
    return Seen


COMPARED = {
    "name": "compared",
    "prompts": [{"prompt": "a red circle on a white background", "name": "circle"}, 'a blue square, "quoted" & $HOME'],
    "seeds": [0, 1, 7],
    "sweep": {"sampler": ["euler", "heun", "dpmpp_2m"], "steps": [2, 4, 8], "schedule": ["simple", "karras"]},
    "exclude": [{"sampler": "heun", "steps": 8}],
    "compare": {"x": "steps", "y": "sampler", "page": "prompt"},
}
FAULTS = json.dumps({"faults": [{"do": "error", "seed": 7}]})


@pytest.fixture(scope="session")
def compared(ran):
    """A run of 96 places: 32 failed, those of seed 7; and of the others one picture was removed."""
    run = ran(COMPARED, BATCHGEN_FAKE_FAULTS=FAULTS)
    next((run / "pictures").glob("circle_euler_2_simple_s1_*")).unlink()
    _compare(run)
    return run


@pytest.fixture(scope="session")
def compare():
    return _compare


def _compare(run, *words):
    """Let batchgen write the gallery of a run."""
    said = _typed(run.parents[1], "compare", str(run), *words)
    assert said.returncode == 0, said.stderr
    return said
