"""Small builders for planning: settings without files, manifests from text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from batchgen.errors import ModelError, unknown_name
from batchgen.job import Model
from batchgen.manifest import Manifest, read_manifest
from batchgen.plan.expand import DEFAULT_LIMIT, Sweep, expand
from batchgen.sampling.names import SAMPLERS


@dataclass(frozen=True, kw_only=True)
class FakeModel:
    name: str
    family: str = "sd15"
    recommended: Mapping[str, Any] = field(default_factory=dict)


SMALL = {"width": 64, "height": 64, "steps": 20, "guidance_scale": 4.0, "sampler": "euler", "schedule": "karras"}


class FakeConfs:
    """conf/ as a table. `resolved` lists the models whose files were asked for."""

    def __init__(self) -> None:
        self.recipe: dict[str, Any] = {"precision": "auto"}
        self.default_model = "small"
        self.models = {
            "small": FakeModel(name="small", recommended=SMALL),
            "large": FakeModel(name="large", family="sdxl", recommended=SMALL | {"width": 128, "steps": 30}),
            "flow": FakeModel(name="flow", family="flux", recommended=SMALL | {"schedule": "simple"}),
            "bare": FakeModel(name="bare"),
            "absent": FakeModel(name="absent", recommended=SMALL),
        }
        self.resolved: list[str] = []

    def model_names(self) -> Sequence[str]:
        return tuple(self.models)

    def sampler_names(self) -> Sequence[str]:
        return tuple(SAMPLERS)

    def model(self, name: str) -> FakeModel:
        return self.models[name]

    def sampler(self, name: str) -> Mapping[str, Any]:
        return {"sampler": name, "schedule": SAMPLERS[name].default_schedule}

    def resolve(self, name: str) -> Model:
        if name == "absent":
            raise ModelError(unknown_name("file", name, ["small"]))
        self.resolved.append(name)
        return Model(digest=f"{name:0>64}", family=self.models[name].family, name=name, path=f"/models/{name}")


@pytest.fixture
def confs() -> FakeConfs:
    return FakeConfs()


class Workplace:
    """A folder with a manifest in it, and the sweep that the manifest asks for."""

    def __init__(self, folder: Path, confs: FakeConfs) -> None:
        self.folder = folder
        self.confs = confs

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def manifest(self, text: str) -> Manifest:
        return read_manifest(self.write("m.yaml", dedent(text)))

    def sweep(
        self, text: str, words: Mapping[str, tuple[Any, ...]] | None = None, *, limit: int = DEFAULT_LIMIT
    ) -> Sweep:
        return expand(self.manifest(text), words or {}, self.confs, limit=limit)

    def jobs(self, text: str, words: Mapping[str, tuple[Any, ...]] | None = None) -> list[dict[str, Any]]:
        """Return the recipe of each cell, with the model by name."""
        cells = self.sweep(text, words).cells
        return [{**cell.job.recipe, "model": cell.job.model.name} for cell in cells]


@pytest.fixture
def place(tmp_path: Path, confs: FakeConfs) -> Workplace:
    return Workplace(tmp_path, confs)


@pytest.fixture(scope="session")
def somewhere(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """One folder for all the examples that hypothesis thinks of."""
    return Workplace(tmp_path_factory.mktemp("somewhere"), FakeConfs())
