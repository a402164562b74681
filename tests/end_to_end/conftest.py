"""The real command line, in processes of its own, on the embedded model or the fake engine."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Person:
    """Somebody at a terminal in a folder, with a home of their own."""

    folder: Path

    def types(self, *words: str, **environment: str) -> Said:
        return self._runs("-m", "batchgen", *words, **environment)

    def types_in(self, program: str, *words: str, **environment: str) -> Said:
        """The same in a Python that runs `program`, which has to call the command line."""
        return self._runs("-c", program, *words, **environment)

    def _runs(self, *words: str, **environment: str) -> Said:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHGEN_", "HF_", "XDG_"))}
        clean |= {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / ".cache"), "HF_HUB_OFFLINE": "1"}
        clean |= {"OMP_NUM_THREADS": "1", "COLUMNS": "120", **environment}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=clean,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def writes(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def records(self, run: str) -> list[dict]:
        return [json.loads(path.read_bytes()) for path in sorted((self.folder / run / "records").glob("*.json"))]

    def pictures(self, run: str) -> list[Path]:
        return sorted((self.folder / run / "pictures").glob("*.png"))


@pytest.fixture(scope="session")
def person_in():
    """Somebody in a folder of your choice."""
    return Person


@pytest.fixture
def person(tmp_path):
    return Person(tmp_path)


@pytest.fixture
def without_torch(tmp_path_factory):
    """An environment in which any process that imports torch leaves a mark and fails, children included."""
    folder = tmp_path_factory.mktemp("poison")
    mark = folder / "imported"
    for name in ("torch", "diffusers", "transformers"):
        (folder / f"{name}.py").write_text(
            f"import pathlib\npathlib.Path({str(mark)!r}).write_text({name!r})\nraise ImportError({name!r})\n"
        )
    return {"PYTHONPATH": str(folder)}, mark


@pytest.fixture
def copied(rendered, tmp_path, person_in):
    """The folder that a module has `rendered`, to be changed at will."""
    shutil.copytree(rendered[0].folder, tmp_path / "copy")
    return person_in(tmp_path / "copy")
