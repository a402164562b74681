"""An attacker's tools: files as nobody means them to be, and somebody who runs batchgen on them."""

import os
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from batchgen.settings import load_settings, parse_words
from batchgen.store import images


@dataclass(frozen=True)
class Person:
    """Somebody in a folder, with a home of their own and a secret in the environment."""

    folder: Path

    def environment(self):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHGEN_", "HF_", "XDG_"))}
        return clean | {"HOME": str(self.folder), "OMP_NUM_THREADS": "1", "COLUMNS": "120", "SECRET": "canary-4711"}

    def types(self, *words):
        command = [sys.executable, "-m", "batchgen", *words]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def writes(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


@pytest.fixture
def person(tmp_path):
    return Person(tmp_path)


@pytest.fixture
def settings_in(tmp_path, monkeypatch):
    """Load settings in an empty folder, with a secret in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SECRET", "canary-4711")
    (tmp_path / "work").mkdir()

    def load(*words, saved=None):
        return load_settings(parse_words(words), cwd=tmp_path / "work", saved=saved)

    return load


@pytest.fixture(scope="session")
def chunk():
    """Return a PNG chunk with a right checksum."""

    def made(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return made


@pytest.fixture(scope="session")
def small_png():
    """A whole picture of 8 x 8 pixels with an empty record."""
    return images.encode(np.zeros((8, 8, 3), np.uint8), "{}", "p", 1)
