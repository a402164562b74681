"""Chromium from the distribution, headless and quiet. Playwright brings no browser here, but the words to steer one."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

_QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)
"""As root in a container there is no sandbox; without the others Chromium asks for hosts of its own accord."""


def chromium() -> str | None:
    """Return the program: what `BATCHGEN_CHROMIUM` names, or else the first that is on PATH."""
    found = (shutil.which(name) for name in PROGRAMS)
    return os.environ.get("BATCHGEN_CHROMIUM") or next(filter(None, found), None)


@contextmanager
def running(program: str) -> "Iterator[Browser]":
    """Have it run, and leave nothing of it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as steers:
        # Signals are for whoever started this process.
        signals = {"handle_sigint": False, "handle_sigterm": False, "handle_sighup": False}
        browser = steers.chromium.launch(executable_path=program, args=_QUIET.split(), **signals)
        yield browser
        browser.close()


def until(page: "Page", expression: str, argument: object = None, seconds: float = 30) -> object:
    """Return what `expression` is in a page, as soon as that is something.

    Playwright's own `wait_for_function` evaluates a text in the page, which the page's policy forbids.

    Raises:
        TimeoutError: it was nothing for so many seconds; the message says what was waited for.
    """
    end = time.monotonic() + seconds
    while not (found := page.evaluate(expression, argument)):
        if time.monotonic() > end:
            raise TimeoutError(f"still not: {expression}")
        page.wait_for_timeout(20)
    return found
