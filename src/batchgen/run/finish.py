"""Telling somebody that a run has ended: a program, or an address. Whatever fails here harms nothing.

Addresses and arguments may hold secrets: of an address only the host is ever named, of a command only the program.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from batchgen.settings import OnFinish

LONGEST = 30.0
"""Seconds that each may take."""


def tell(hooks: OnFinish, facts: Mapping[str, Any], folder: Path, *, longest: float = LONGEST) -> Iterator[str]:
    """Tell who is to be told, one after the other, and yield a line for each that could not be.

    Args:
        hooks: Who.
        facts: What came of the run, as in `summary.json`; they get its `directory` with it.
        folder: The run directory, in which the program is started.
        longest: Seconds that each may take.
    """
    told = {**facts, "directory": str(folder.absolute())}
    text = json.dumps(told, ensure_ascii=False).encode(errors="replace")
    if hooks.command:
        yield from _unless_well(Path(hooks.command[0]).name, lambda: _start(hooks.command, text, folder, longest))
    if hooks.post:
        address = hooks.post
        yield from _unless_well(str(urlsplit(address).hostname), lambda: _within(longest, lambda: _post(address, text)))


def _unless_well(whom: str, told: Callable[[], str | None]) -> Iterator[str]:
    try:
        reason = told()
    except Exception as error:  # noqa: BLE001 - the night's pictures are made; nothing that goes wrong here matters
        reason = _why(error)
    if reason:
        yield f"on_finish: {whom} {reason}"


def _start(command: Sequence[str], text: bytes, folder: Path, longest: float) -> str | None:
    """Run `command` with `text` on its standard input; return what went wrong."""
    # Found from here: in the run directory, `.` on PATH would be a stranger's.
    program = shutil.which(command[0])
    if program is None:
        return "is no program that can be started"
    with subprocess.Popen(
        [os.path.abspath(program), *command[1:]],  # noqa: PTH100 - resolve() would follow links, and busybox is one
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        process_group=0,
    ) as child:
        try:
            child.communicate(text, longest)
        except subprocess.TimeoutExpired:
            return f"took longer than {longest:g} s"
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
    return f"ended with exit status {child.returncode}" if child.returncode else None


class _NoRedirects(HTTPRedirectHandler):
    """A POST that is sent elsewhere would arrive as a GET without its text."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(address: str, text: bytes) -> None:
    parts = urlsplit(address)
    headers = {"Content-Type": "application/json", "User-Agent": "batchgen"}
    if parts.username:
        who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(who.encode()).decode()}"
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    request = Request(plain, text, headers, method="POST")  # noqa: S310 - http and https only, see settings/hooks.py
    try:
        build_opener(_NoRedirects).open(request, timeout=LONGEST).close()
    except HTTPError as error:
        error.close()
        raise


def _within(longest: float, send: Callable[[], None]) -> str | None:
    """Do it in a thread: the timeout of a socket begins anew with every byte, and looking up a name has none."""
    failed: list[Exception] = []

    def sending() -> None:
        try:
            send()
        except Exception as error:  # noqa: BLE001 - told of by whoever waits
            failed.append(error)

    thread = threading.Thread(target=sending, name="on_finish", daemon=True)
    thread.start()
    thread.join(longest)
    if failed:
        raise failed[0]
    return f"did not answer within {longest:g} s" if thread.is_alive() else None


def _why(error: Exception) -> str:
    """Say what went wrong without the words of the error, which may hold an address."""
    if isinstance(error, HTTPError):
        return f"answered with status {error.code}"
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return "did not answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return f"cannot be reached: {cause.strerror}" if isinstance(error, URLError) else f"failed: {cause.strerror}"
    if isinstance(cause, HTTPException):
        return "did not answer as a web server does"
    return f"failed: {type(cause).__name__}"
