"""Disks that fill up at random moments of real runs: exit 75, nothing only looks done, and with room it goes on."""

import random
import resource
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from batchgen.store import journal
from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, untouched
from trials.command import FAKE, LONGEST, Shell, children, faults
from trials.volumes import refusal, resize, tmpfs
from trials.watching import Watch, pictures, whole

_PAGE = 4096
_PICTURES = 48
_FAKE = ("--prompt", "a red circle", "--seeds", f"0..{_PICTURES - 1}", FAKE, "steps=3", "runtime.batch=1")
_EMBEDDED = ("--prompt", "a red circle", "--seeds", f"0..{_PICTURES - 1}", "model=demo_shapes", "steps=4")


class _Disk(Protocol):
    """Somewhere to write that can become too small."""

    folder: Path

    def fill(self, child: subprocess.Popen[str], directory: RunDirectory, draw: random.Random) -> None:
        """Leave next to no room to the run in `directory`."""

    def empty(self) -> None:
        """Leave plenty of room again."""


@dataclass(slots=True)
class _Memory:
    """A tmpfs that is made smaller."""

    folder: Path

    def fill(self, child: subprocess.Popen[str], directory: RunDirectory, draw: random.Random) -> None:  # noqa: ARG002 - as the protocol has it
        """Leave a few pages: a picture and its record take one each."""
        pages = draw.randrange(12)
        for _ in range(100):
            with suppress(subprocess.CalledProcessError):  # more was written meanwhile
                return resize(self.folder, shutil.disk_usage(self.folder).used + pages * _PAGE)
        raise AssertionError("the run wrote faster than it could be stopped")

    def empty(self) -> None:
        """Give it 64 MB again."""
        resize(self.folder, 64 << 20)


@dataclass(slots=True)
class _Limit:
    """A limit on the size of files, for who may not mount anything."""

    folder: Path

    def fill(self, child: subprocess.Popen[str], directory: RunDirectory, draw: random.Random) -> None:
        """Let the journal grow by two lines at most."""
        most = directory.journal.stat().st_size + draw.randrange(720)
        for pid in (child.pid, *children(child.pid)):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))

    def empty(self) -> None:
        """It held for that process only."""


@contextmanager
def _disk(folder: Path) -> Iterator[tuple[_Disk, str]]:
    reason = refusal("tmpfs", folder)
    if reason is None:
        with tmpfs(folder / "disk") as memory:
            yield _Memory(memory), "tmpfs made smaller"
    else:
        (folder / "disk").mkdir()
        yield _Limit(folder / "disk"), f"a limit on file sizes, because {reason}"


def full(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Fill the disk at `count` moments, a tenth of them under the embedded model."""
    draw, found, begun = random.Random(seed), Counter[str](), time.monotonic()
    shell = Shell(folder=folder, extra=faults({"do": "sleep", "value": 10}))
    with _disk(folder) as (disk, how):
        for number in range(count):
            directory = RunDirectory(disk.folder / f"run-{number}")
            words = _EMBEDDED if number % 10 == 9 else _FAKE
            found.update(_filled(shell, disk, directory, ("run", *words, "output.sheets=false"), draw, meddle))
            shutil.rmtree(directory.root)
    wrong = ("false done", "torn", "incomplete with room")
    ok = found["exit 75"] == count and not any(found[name] for name in wrong)
    names = ("exit 75", "other ends", "done before", *wrong)
    note = f"{how}; {time.monotonic() - begun:.0f} s"
    return Row(name="disk full", tried=count, counts={name: found[name] for name in names}, ok=ok, note=note)


def _filled(
    shell: Shell, disk: _Disk, directory: RunDirectory, words: tuple[str, ...], draw: random.Random, meddle: Meddle
) -> Counter[str]:
    command = (*words, "--into", str(directory.root))
    moment = draw.randrange(_PICTURES // 2)
    with shell.start(*command) as child:
        while child.poll() is None and not (directory.journal.exists() and len(_done(directory)) >= moment):
            time.sleep(0.005)
        disk.fill(child, directory, draw)
        child.communicate(timeout=LONGEST)
    meddle(directory)
    done = _done(directory)
    found = Counter({"exit 75" if child.returncode == 75 else "other ends": 1, "done before": len(done)})
    found["false done"] = sum(whole(directory.root / path) != id_ for id_, path in done.items())
    found["torn"] = sum(whole(path) is None for path in pictures(directory))
    disk.empty()
    watch = Watch(directory)
    watch.look()
    ended = shell.types(*command)
    judged = watch.judged(_done(directory))
    found["incomplete with room"] = int(ended.code != 0 or len(_done(directory)) != _PICTURES or any(judged.values()))
    return found


def _done(directory: RunDirectory) -> dict[str, str]:
    entries = journal.read(directory.journal).entries
    return {entry["id"]: entry["path"] for entry in entries if entry["event"] == "done"}
