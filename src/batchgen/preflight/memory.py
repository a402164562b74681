"""Whether the weights of a model fit into memory, before anything is loaded: the least that it needs."""

import math
import os
import platform
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from batchgen.engine import Runtime
from batchgen.errors import ConfError, ModelError
from batchgen.job import Job, Model
from batchgen.models.families import FAMILIES
from batchgen.models.find import find
from batchgen.models.folder import files_in_use
from batchgen.models.header import read_header
from batchgen.models.precision import BYTES, held_in
from batchgen.preflight.clip_memory import clips
from batchgen.preflight.finding import Finding, size
from batchgen.preflight.gpu import Gpu, gpus
from batchgen.settings import Settings

_NOT_LOADED = "model_ema."
"""Of a single file: averages of the weights, which are for training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Where weights go."""

    device: Literal["cuda", "mps", "cpu"]
    total: int | None
    """Bytes; None where nobody says."""
    free: int | None

    def __str__(self) -> str:
        return "the GPU's memory" if self.device == "cuda" else "this machine's memory"


def memory_of(runtime: Runtime, found: Iterable[Gpu] | None = None) -> Memory:
    """Return where a run with `runtime` holds its weights; of several GPUs the largest, since torch has its own order.

    `found` are the GPUs, if somebody has asked already.
    """
    asked = found is None and runtime.device in ("auto", "cuda")
    here = tuple(gpus() if asked else found or ())
    device = _device(runtime, here)
    if device != "cuda":
        return Memory(device=device, total=_physical(), free=_available())
    return Memory(device=device, total=_most(gpu.total for gpu in here), free=_most(gpu.free for gpu in here))


def needed(model: Model, precision: str) -> int:
    """Return how many bytes the weights of `model` take in a number format: `fp32`, `fp16` or `bf16`.

    What is computed with them comes on top.

    Raises:
        ModelError: a file is missing or damaged.
    """
    path = Path(model.path)
    files = files_in_use(path, FAMILIES[model.family]).values() if path.is_dir() else [path]
    headers = (read_header(file) for file in files if file.suffix == ".safetensors")
    tensors = (each for header in headers for each in header.tensors.items())
    return BYTES[precision] * sum(math.prod(each.shape) for name, each in tensors if not name.startswith(_NOT_LOADED))


def check_memory(jobs: Iterable[Job], runtime: Runtime, memory: Memory) -> list[str]:
    """See that the weights of every model that `jobs` need fit into `memory`; return what is to be warned of.

    Nothing is known of models that are not all on the GPU at a time (`runtime.memory`).

    Raises:
        ModelError: one does not fit.
    """
    if runtime.engine == "fake" or (memory.device == "cuda" and runtime.memory != "full"):
        return []
    warnings = []
    for job in {(job.model.digest, job.numerics.precision): job for job in jobs}.values():
        found = _look(job.model, job.numerics.precision, runtime, memory)
        if found.state == "wrong":
            raise ModelError(f"{found.says}; {found.mend}", where=found.about)
        if found.state == "warning":
            warnings.append(f"{found.about}: {found.says}; {found.mend}")
    return warnings


def tight_clips(jobs: Iterable[Job], runtime: Runtime, memory: Memory) -> list[str]:
    """Return what is to be warned of: clips that are expected to need more memory than there is, and what helps."""
    if memory.total is None:
        return []
    warnings = []
    for clip in clips(jobs, runtime, memory.device):
        how = runtime.memory if memory.device == "cuda" else "full"
        if clip.bytes[how] <= memory.total:
            continue
        says = f"{clip} takes about {size(clip.bytes[how])}, and {memory} has {size(memory.total)}"
        fitting = [f"runtime.memory={each}" for each, bytes_ in clip.bytes.items() if bytes_ <= memory.total]
        helps = fitting[:1] if memory.device == "cuda" else []
        warnings.append(f"{says}; {' or '.join([*helps, 'vae_tiling=on'])} may help")
    return warnings


def options(settings: Settings) -> Iterator[Finding]:
    """Say for each model that is here whether it fits into the memory of a GPU; nothing where there is none."""
    memory = memory_of(settings.runtime)
    for name in settings.model_names() if memory.device == "cuda" else ():
        try:
            conf = settings.model(name)
            path = find(conf.source, settings.paths.models, name=name).absolute()
            model = Model(digest="", family=conf.family, name=name, path=str(path))
            found = _look(model, settings.recipe["precision"], settings.runtime, memory)
        except (ConfError, ModelError):
            continue  # told of already, by whoever looked for its files
        bearable = found.state == "wrong" and name != settings.default_model
        yield replace(found, about=f"memory for {name}", state="warning" if bearable else found.state)


def _look(model: Model, asked: str, runtime: Runtime, memory: Memory) -> Finding:
    precision = held_in(asked, runtime.precision, model.family, memory.device)
    wants, about = needed(model, precision), f"model {model.name}"
    says = f"its weights take {size(wants)} in {precision}"
    helps = _helps(precision, memory)
    if memory.total is not None and wants > memory.total:
        return Finding(state="wrong", about=about, says=f"{says}, and {memory} has {size(memory.total)}", mend=helps)
    if memory.free is not None and wants > memory.free:
        says = f"{says}, and {size(memory.free)} of {memory} are free"
        return Finding(state="warning", about=about, says=says, mend=f"end the programs that fill it, or {helps}")
    return Finding(state="ok", about=about, says=says)


def _helps(precision: str, memory: Memory) -> str:
    halved = ["runtime.precision=bf16 takes half"] if precision == "fp32" else []
    parted = ["runtime.memory=offload takes a part at a time"] if memory.device == "cuda" else []
    return " or ".join([*parted, *halved]) or "a smaller model helps"


def _most(sizes: Iterable[int | None]) -> int | None:
    return max((each for each in sizes if each), default=None)


def _device(runtime: Runtime, here: Collection[Gpu]) -> Literal["cuda", "mps", "cpu"]:
    """Return what torch will take, as far as that can be known without it."""
    if runtime.device == "cuda" or (runtime.device == "auto" and here and _torch_takes_gpus()):
        return "cuda"
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return "mps" if runtime.device == "mps" or (runtime.device == "auto" and apple) else "cpu"


def _torch_takes_gpus() -> bool:
    try:
        built_without = version("torch").endswith("+cpu")
    except PackageNotFoundError:
        built_without = True
    return not built_without and os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1")


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _available() -> int | None:
    """Return the bytes that programs can still have; only Linux says."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None
