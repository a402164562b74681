"""Models: what lies in the models folders, and which options of conf/model/ can be rendered with."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from batchgen.errors import ConfError, ModelError
from batchgen.models.families import FAMILIES
from batchgen.models.find import checkpoints, find
from batchgen.models.folder import INDEX
from batchgen.models.resolve import files_of
from batchgen.preflight.finding import Finding, State, size
from batchgen.settings import Settings

_NAMED = 8
"""Files of a folder that are named; the rest is counted."""


def folders(settings: Settings) -> Iterator[Finding]:
    """Look into the models folders."""
    for folder in settings.paths.models:
        if folder.is_dir():
            yield Finding(state="ok", about="models", says=f"{folder}: {_inside(folder)}")
        else:
            mend = "say where your models are: paths.models=[~/ComfyUI/models], or in conf/job.yaml"
            yield Finding(state="warning", about="models", says=f"{folder}: no such folder", mend=mend)


def options(settings: Settings) -> Iterator[Finding]:
    """Look for the model of each option, and read the headers of its weights."""
    for name in settings.model_names():
        yield _option(settings, name)


def _inside(folder: Path) -> str:
    files = [f"{file.name} ({size(file.stat().st_size)})" for file in checkpoints(folder)]
    indices = (index for below in ("*", "diffusers/*") for index in folder.glob(f"{below}/{INDEX}"))
    found = files + [f"{index.parent.name}/" for index in sorted(indices)]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more if found else "no models in it"


def _option(settings: Settings, name: str) -> Finding:
    about, needed = f"model {name}", name == settings.default_model
    try:
        conf = settings.model(name)
    except ConfError as error:
        return Finding(state="wrong", about=about, says=str(error), mend="mend that file")
    try:
        path = find(conf.source, settings.paths.models, name=name)
    except ModelError as error:
        says, _, mend = error.message.rpartition("; ")
        state: State = "wrong" if needed or conf.source.builtin else "warning"
        return Finding(state=state, about=about, says=says or mend, mend=mend if says else "install batchgen again")
    try:
        files = files_of(conf, path.absolute(), settings.paths.models)
    except ModelError as error:
        return Finding(state="wrong", about=about, says=str(error), mend="get the file again")
    title, bytes_ = FAMILIES[conf.family].title, _bytes(files.values())
    return Finding(state="ok", about=about, says=f"{title}, {size(bytes_)} at {path}")


def _bytes(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)
