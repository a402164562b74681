"""Small builders for planning: settings without files, manifests from text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from batchgen.errors import ManifestError, ModelError, unknown_name
from batchgen.job import UPSCALER, File, Model
from batchgen.manifest import Manifest, read_manifest
from batchgen.plan.expand import DEFAULT_LIMIT, Sweep, expand
from batchgen.sampling.names import EVERY_SAMPLER


@dataclass(frozen=True, kw_only=True)
class FakeModel:
    name: str
    family: str = "sd15"
    recommended: Mapping[str, Any] = field(default_factory=dict)


SMALL = {"width": 64, "height": 64, "steps": 20, "guidance_scale": 4.0, "sampler": "euler", "schedule": "karras"}


def digest_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


class FakeBeside:
    """Files by name, none of them on a disk; their digests are of their names.

    `named` lists those that were asked for, `globbed` the paths that patterns stand for.
    """

    def __init__(self) -> None:
        self.known = {
            "lora": ["grain", "outlined", "striped", "misfit"],
            "vae": ["clear"],
            "embedding": ["cosy", "ugly"],
        }
        self.scales = {"sharp": 2.0, "soft": 4.0}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.globbed: dict[str, list[str]] = {}
        self.named: list[str] = []

    def file(self, kind: str, name: str, /) -> File:
        self.named.append(name)
        if name not in self.known[kind]:
            raise ModelError(unknown_name(kind, name, self.known[kind]))
        return File(digest=digest_of(name), name=name, path=f"/models/{kind}/{name}.safetensors")

    def embedding_names(self) -> Sequence[str]:
        return self.known["embedding"]

    def misfit(self, file: File, model: Model, /) -> str | None:
        return f"{file.name} is of another family than {model.name}" if file.name == "misfit" else None

    def upscaler(self, name: str) -> Model:
        if name not in self.scales:
            raise ModelError(unknown_name("upscaler", name, self.scales))
        return Model(digest=digest_of(name), family=UPSCALER, name=name, path=f"/models/upscaler/{name}.pth")

    def upscaling(self, model: Model) -> float:
        return self.scales[model.name]

    def picture(self, path: Path, /) -> File:
        self.picture_size(path)
        return File(digest=digest_of(path.name), name=path.name, path=str(path))

    def picture_size(self, path: Path, /) -> tuple[int, int]:
        if path.name not in self.sizes:
            raise ManifestError("init_image: there is no such picture", where=str(path))
        return self.sizes[path.name]

    def file_of(self, digest: str, name: str, pictures: Iterable[Path]) -> File | None:
        raise NotImplementedError

    def upscaler_of(self, digest: str, name: str) -> Model | None:
        raise NotImplementedError

    def files(self, name: str, pattern: str, folder: Path) -> Sequence[Path]:
        assert name in ("loras", "model", "vae", "init_image", "mask_image")
        return [folder / path for path in self.globbed.get(pattern, [])]


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
        self.beside = FakeBeside()
        self.checkpoints: list[str] = []

    def is_file(self, model: str) -> bool:
        return model in self.checkpoints

    def model_names(self) -> Sequence[str]:
        return tuple(self.models)

    def sampler_names(self) -> Sequence[str]:
        return tuple(EVERY_SAMPLER)

    def model(self, name: str) -> FakeModel:
        return self.models.get(name) or FakeModel(name=name, recommended=SMALL)

    def sampler(self, name: str) -> Mapping[str, Any]:
        return {"sampler": name, "schedule": EVERY_SAMPLER[name].default_schedule}

    def resolve(self, name: str) -> Model:
        if name == "absent":
            raise ModelError(unknown_name("file", name, ["small"]))
        self.resolved.append(name)
        return Model(digest=f"{name:0>64}", family=self.model(name).family, name=name, path=f"/models/{name}")


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
