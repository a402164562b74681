"""The real command line in processes of its own, by a person with a home of their own."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[1]
_SOURCE = BENCHMARKS.parent / "src"
_HOOK = BENCHMARKS / "trials/hook"

FAKE = "runtime.engine=fake"

LONGEST = 900.0
"""Seconds that no command of a trial should take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Somebody at a terminal in `folder`."""

    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    """More of the environment."""
    program: Sequence[str] = (sys.executable, "-m", "batchgen")

    @property
    def rendered(self) -> Path:
        """Where workers write down what they have rendered."""
        return self.folder / "rendered"

    def environment(self) -> dict[str, str]:
        """Return the environment of every command."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHGEN_", "HF_", "XDG_"))}
        own = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / ".cache"), "HF_HUB_OFFLINE": "1"}
        path = os.pathsep.join(map(str, (_HOOK, _SOURCE, BENCHMARKS)))
        own |= {"OMP_NUM_THREADS": "1", "COLUMNS": "120", "PYTHONPATH": path, "TRIAL_RENDERED": str(self.rendered)}
        return clean | own | dict(self.extra)

    def start(self, *words: str, log: Path | None = None) -> subprocess.Popen[str]:
        """Start a command; what it says goes to pipes, or both streams to the end of `log`."""
        with contextlib.ExitStack() as stack:
            stream: Any = subprocess.PIPE if log is None else stack.enter_context(log.open("ab"))
            return subprocess.Popen(
                [*self.program, *words],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                text=True,
            )

    def types(self, *words: str) -> Said:
        """Run a command to its end."""
        with self.start(*words) as child:
            try:
                out, err = child.communicate(timeout=LONGEST)
            except BaseException:
                child.kill()
                raise
        return Said(code=child.returncode, out=out, err=err)


def faults(*asked: Mapping[str, Any], state: Path | None = None) -> dict[str, str]:
    """Return the environment in which the fake engine fails as `asked`, counted in the folder `state`."""
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
    return {"BATCHGEN_FAKE_FAULTS": json.dumps({"state": state and str(state), "faults": list(asked)})}


def children(pid: int) -> list[int]:
    """Return the processes that `pid` has started and that live."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(folder.name))
    return found
