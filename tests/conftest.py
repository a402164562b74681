"""What several rooms' tests share."""

import os
import resource
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

# No test measures time: a machine that renders beside it is slow for reasons of its own. The same examples each time,
# so that the suite passes or fails for a change's sake; `pytest --hypothesis-profile=search` looks for others.
settings.register_profile("search", deadline=None)
settings.register_profile("batchgen", deadline=None, derandomize=True)
settings.load_profile("batchgen")

# A shell that starts the suite in the background, or under nohup, has it ignore these; what the suite starts would too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

HOSTILE_PROMPTS = (
    "a red circle, on a blue background",
    "one, two,, three,",
    'she said "no"',
    "it's 'quoted'",
    "\"both' of \"them'",
    "`whoami` $(whoami) $HOME",
    "${oc.env:HOME}",
    "${colour} and $${colour}",
    "{a|b}",
    "{2$$a|b|c} __wildcard__",
    "{unclosed [and (nested",
    "a=b",
    "+key=value ~key ++key=1",
    "???",
    "a: b: c",
    "- a list item",
    "# not a comment",
    "a #ff0000 circle // not a comment /* nor this */",
    "& anchor *alias !tag <<: merge",
    "no",
    "null",
    "true",
    "1e3",
    "010",
    "-1",
    "0..3",
    "choice(a,b) range(1,3) glob(*)",
    "50% grey, 100%",
    "C:\\new\\table\\x41 \\n \\u0041",
    "a backslash at the end\\",
    "@file |pipe >fold",
    "(word:1.3) [less] <other:x:1> BREAK AND",
    "../../etc/passwd",
    "<script>alert('x')</script>",
    '<b onclick="x">&amp;&lt;</b>',
    "'; DROP TABLE pictures; --",
    "two\nlines\n\nand a blank one",
    "a\ttab",
    "  spaces before and after  ",
    "☕ 🦊 👩‍👩‍👧‍👦 🏳️‍🌈",
    "שלום עולם, مرحبا بالعالم",
    "\u202eright to left override\u202c",
    "e\u0301 \u00e9 zero\u200dwidth\u200bjoiners \u00a0 nbsp",
    "日本語のプロンプト、漢字。",
    "very long " * 200,
)
"""Prompts that some layer or other of such programs is known to change, cut or run. There are 45."""


@pytest.fixture(scope="session")
def hostile_prompts() -> tuple[str, ...]:
    """Return prompts that must come through every layer as they are."""
    return HOSTILE_PROMPTS


@contextmanager
def _room_for(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="session")
def room_for():
    """Return a context in which files may have so many bytes, as if the disk had no more.

    Around the call alone: pytest writes too, and where its output is a file the limit would hold for that.
    """
    return _room_for


@dataclass(frozen=True)
class NvidiaSmi:
    """A program of that name that prints what a file holds."""

    folder: Path

    @property
    def path(self) -> str:
        """A PATH on which it comes first."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def says(self, *lines: str) -> None:
        """Print this from now on: total and free MiB, degrees, name."""
        fresh = self.folder / "fresh"
        fresh.write_text("".join(f"{line}\n" for line in lines))
        fresh.replace(self.folder / "answer")


@pytest.fixture
def nvidia_smi(tmp_path):
    """A machine with one GPU of 24 GiB, as far as `nvidia-smi` tells; it has to be put on PATH."""
    folder = tmp_path / "driver"
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/asked"\nexec cat "{folder}/answer"\n')
    program.chmod(0o755)
    driver = NvidiaSmi(folder)
    driver.says("24576, 20000, 43, NVIDIA GeForce RTX 4090")
    return driver
