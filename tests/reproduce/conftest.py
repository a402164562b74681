import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from batchgen.errors import ModelError
from batchgen.fake import picture_of
from batchgen.job import Model, make_job
from batchgen.reproduce import Original
from batchgen.store import images
from batchgen.store.record import Asked, Making, build, read, to_text


def model(name="toy", digest=None, family="sd15"):
    digest = digest or hashlib.sha256(name.encode()).hexdigest()
    return Model(digest=digest, family=family, name=name, path=f"/models/{name}")


def job(seed=0, of=None, **changes):
    values = {"prompt": "a heron", "seed": seed, "width": 64, "height": 48}
    sampling = {"sampler": "euler", "schedule": "normal", "steps": 3, "guidance_scale": 2.0}
    return make_job(of or model(), values | sampling | changes)


def record(of, size=1, pixels=None, **facts):
    making = Making(
        batch=(of.id,) * size,
        attempt=1,
        degradations=(),
        environment={"python": "3.11", "threads": 1},
        manifest=None,
        started="2026-01-01T00:00:00.000+00:00",
        seconds=0.5,
    )
    pixels = picture_of(of) if pixels is None else pixels
    return read(to_text(build(Asked(job=of), making, 0, facts, images.look(pixels))), "here")


def original(of, size=1, file="one.png", **changes):
    made = {**record(of, size), **changes}
    promised = made["output"]["pixel_sha256"]
    return Original(file=Path(file), record=made, size=size, promised=promised, seen=promised)


@dataclass
class Confs:
    """A conf/ whose models are these; `asked` counts what was hashed."""

    models: dict[str, Model | str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def model_names(self):
        return tuple(sorted(self.models))

    def model(self, name):
        found = self.models[name]
        return SimpleNamespace(name=name, family="sd15" if isinstance(found, str) else found.family, recommended={})

    def resolve(self, name):
        self.asked.append(name)
        found = self.models[name]
        if isinstance(found, str):
            raise ModelError(found)
        return found


@pytest.fixture(scope="session")
def a():
    """Small builders."""
    return SimpleNamespace(model=model, job=job, record=record, original=original, confs=Confs)
