"""The worker's process as its parent sees it: started, told, heard, ended."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from batchgen.run.messages import Command, Reply, Stop, decode, encode

WORKER = (sys.executable, "-P", "-m", "batchgen.run.worker")
"""`-P`: a `random.py` or `torch/` in the folder where somebody works must not become a part of the worker."""

_LONGEST_END = 60.0
"""Seconds that a worker which has nothing left to do may take to end."""


_LONGEST_LOG = 10_000_000
"""Bytes of a log above which a new one is begun."""

_TAIL = 1 << 16
"""Bytes at the end of the log in which its last line is looked for."""


def _not_through_a_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _begin_anew(log: Path) -> None:
    """Move a log that has grown long aside, over the one before it; a link is short, and stays for `open` to refuse."""
    # Whatever stands in the way, a long log is no reason not to render.
    with contextlib.suppress(OSError):
        if log.lstat().st_size > _LONGEST_LOG:
            log.replace(log.with_name(f"{log.name}.1"))


class Process:
    """A worker that was started. It holds the run directory's lock as long as it lives."""

    def __init__(self, lock: int, log: Path, words: Sequence[str] = WORKER) -> None:
        """Start a worker.

        Args:
            lock: Descriptor of the held lock, which the worker inherits.
            log: What its libraries print is added to this file; one of more than 10 MB becomes `NAME.1` first.
            words: The command; the number of the descriptor for replies is added to it.
        """
        self._replies, theirs = os.pipe()
        self._rest = b""
        self._log = log
        _begin_anew(log)
        with open(log, "ab", opener=_not_through_a_link) as stream:
            self._log_from = stream.tell()
            # Threads of OpenMP spin while they wait for one another. On two cores with other work the default (300,000
            # turns) once took 197 s for what takes 7 s; never spinning costs half as much again on a free machine. The
            # person's own GOMP_SPINCOUNT or OMP_WAIT_POLICY wins.
            # Popen and not multiprocessing, whose spawn closes the lock's descriptor. A process group of its own:
            # Ctrl-C on the terminal is for the supervisor, who lets the batch in hand be finished.
            self._child = subprocess.Popen(
                [*words, str(theirs)],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                pass_fds=(theirs, lock),
                env={"GOMP_SPINCOUNT": "20000"} | os.environ,
                process_group=0,
            )
        os.close(theirs)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def send(self, command: Command) -> None:
        """Tell it something; if it has died, `receive` says so."""
        assert self._child.stdin is not None  # noqa: S101 - for the type checker: it was asked for above
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(encode(command))
            self._child.stdin.flush()

    def receive(self, wake: int, seconds: float | None = None) -> list[Reply] | None:
        """Wait for replies, or until the descriptor `wake` is readable or `seconds` are over (then none).

        Returns:
            The replies in order, or None once the worker has ended and all have been returned.
        """
        ready, _, _ = select.select([self._replies, wake], [], [], seconds)
        if self._replies not in ready:
            return []
        data = os.read(self._replies, 1 << 20)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [decode(line) for line in lines]  # type: ignore[misc]  # only replies come this way

    def end(self) -> None:
        """Let it finish what it has in hand, and wait for its end."""
        self.send(Stop())
        try:
            self._child.wait(_LONGEST_END)
        except subprocess.TimeoutExpired:
            self._child.kill()
        self._close()

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()
        self._close()

    def stop(self, grace: float) -> bool:
        """End one that does not answer: by request, after `grace` seconds by force; say whether it has ended.

        What it said before is still there for `receive`.
        """
        for end, seconds in ((self._child.terminate, grace), (self._child.kill, _LONGEST_END)):
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
                return True
        return False

    def last_words(self, cause: str | None = None) -> str:
        """Why it ended, after `receive` has returned None: one line; `cause` if that is known."""
        self._close()
        cause = cause or self._cause()
        with self._log.open("rb") as stream:  # which holds what was said in every run, perhaps for weeks
            stream.seek(max(self._log_from, stream.seek(0, os.SEEK_END) - _TAIL))
            said = stream.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "")
        return f"{cause}; its log ends with: {last[:300]}" if last else cause

    def _cause(self) -> str:
        status = self._child.returncode
        if status >= 0:
            return f"the worker ended with exit status {status}"
        by_whom = " (perhaps by the system, for memory)" if status == -signal.SIGKILL else ""
        return f"the worker was ended by {signal.Signals(-status).name}{by_whom}"

    def _close(self) -> None:
        self._child.wait()
        os.close(self._replies)
        if self._child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.close()
