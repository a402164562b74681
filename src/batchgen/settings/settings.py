"""Settings: everything that conf/ and the command line say about a run, checked.

What is asked for varies from picture to picture and is a recipe; settings hold for a whole run.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints

import yaml
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from batchgen.engine import Container, Runtime, SheetFormat
from batchgen.errors import ConfError
from batchgen.job import UPSCALER, Model
from batchgen.models.digest import OnHash
from batchgen.models.option import ModelConf
from batchgen.parts import FIELDS, check_field
from batchgen.settings.beside import Beside
from batchgen.settings.catalog import Catalog, Stored
from batchgen.settings.conf import Conf, Origin, Tree, blaming, literal, resolved
from batchgen.settings.hooks import METRICS, SECTION, OnFinish, load_hooks, load_metrics
from batchgen.settings.weights import Weights
from batchgen.settings.words import SETTINGS, Words
from batchgen.strict import Misread, Types, place, read, read_value, read_with


def _time_of_day(value: Any) -> Any:
    # YAML reads 10:00 without quotes as a number in base sixty.
    if isinstance(value, str) and re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", value):
        return value
    raise PydanticCustomError("time_of_day", 'must be a time of day in quotes, such as "07:30"')


_Text = Annotated[str, Field(min_length=1)]
_TYPES: Mapping[str, Types] = MappingProxyType(
    {
        "runtime": get_type_hints(Runtime, include_extras=True)
        | {"threads": Annotated[int, Field(ge=0, le=1024)], "batch": Annotated[int, Field(ge=0, le=1024)]}
        | {"stop_at": Annotated[str, BeforeValidator(_time_of_day)] | None}
        | {"max_gpu_temperature": Annotated[int, Field(ge=30, le=120)] | None}
        | {"checkpoint_every": Annotated[float, Field(ge=0, le=86400)]},
        "output": {"root": _Text, "compression": Annotated[int, Field(ge=0, le=9)], "sheets": bool}
        | {"gallery": bool, METRICS: Any}
        | {"sheet_format": SheetFormat}
        | {"clips": Container, "clip_quality": Annotated[int, Field(ge=0, le=100)]},
        "paths": {"models": _Text | list[_Text], "cache": _Text | None},
    }
)
"""The keys of each section, and what they hold."""

_GROUPS = ("runtime", "output")
"""Sections that are options of conf/ and may be chosen by name."""


_STORED = {"model": "models", "sampler": "samplers"}
"""Groups whose options a run saves with its settings, and the key they stand under."""


_MOST_SAVED = 1 << 20
"""Bytes of a settings.yaml. One may hold 10,000 values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """How pictures are kept. None of it changes a pixel."""

    root: Path = Path("outputs")
    """The folder of run directories, absolute."""

    compression: int = 6
    """zlib's level for PNG, 0 (fast, large) to 9 (slow, small)."""

    sheets: bool = True
    """Whether contact sheets are drawn at the end of a run."""

    sheet_format: SheetFormat = "png"
    """How they lie on the disk."""

    gallery: bool = True
    """Whether the gallery is written, now and then during a run and at its end."""

    metrics: tuple[str, ...] = ()
    """A program that judges pictures, with its arguments. Never from a run directory, and never saved."""

    clips: Container = "mp4"
    """How clips lie on the disk."""

    clip_quality: int = 80
    """Of MP4, WebM and WebP, 0 (small) to 100 (near to the frames)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where things lie on this machine."""

    models: tuple[Path, ...] = ()
    """Folders of models, absolute, laid out as ComfyUI's: `checkpoints/`, `diffusers/`, ..."""

    cache: Path
    """Where hashes of weights are remembered, absolute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for a whole run."""

    runtime: Runtime
    output: Output
    paths: Paths
    on_finish: OnFinish = field(default_factory=OnFinish)
    """Never from a run directory, and never saved."""

    recipe: Mapping[str, Any]
    """Recipe fields that conf/job.yaml sets, checked, and `model`; what it leaves to the model is not among them."""

    catalog: Catalog = field(repr=False, compare=False)
    tree: Mapping[str, Any] = field(repr=False, compare=False)
    """What was composed, as it stands in files: the text that `save` writes."""

    @property
    def default_model(self) -> str:
        """The model that is used where nobody names one."""
        return str(self.recipe["model"])

    def model_names(self) -> tuple[str, ...]:
        """Return the options of conf/model/, sorted."""
        return self.catalog.names("model")

    def is_file(self, model: str) -> bool:
        """Say whether a name that is no option stands for a checkpoint in a models folder, or is a path of one."""
        return self.catalog.is_file(model)

    def sampler_names(self) -> tuple[str, ...]:
        """Return the options of conf/sampler/, sorted."""
        return self.catalog.names("sampler")

    def model(self, name: str) -> ModelConf:
        """Return what conf/model/NAME.yaml says.

        Raises:
            ConfError: there is no such option, or it is wrong.
        """
        return self.catalog.model(name)

    def sampler(self, name: str) -> Mapping[str, Any]:
        """Return the recipe fields that conf/sampler/NAME.yaml sets: `sampler`, `schedule`, options.

        Raises:
            ConfError: there is no such option, or it is wrong.
        """
        return self.catalog.sampler(name)

    def resolve(self, name: str, on_hash: OnHash | None = None) -> Model:
        """Find the weights of a model, check and identify them; once for each name.

        For the fake engine the model is another one: what a rehearsal leaves must never count as the picture itself.

        Raises:
            ConfError: there is no such option, or it is wrong.
            ModelError: the model is not on this machine, not whole, or not what its option says.
        """
        return self.catalog.resolve(name, on_hash)

    @property
    def beside(self) -> Beside:
        """What jobs use beside models: adapters, autoencoders, embeddings, upscalers, pictures."""
        return self.catalog.beside

    def weights(self, *, hashing: bool = False) -> Weights:
        """Return the weights on this machine by exact name and by hash; `hashing`: whatever that takes."""
        return self.catalog.weights(hashing=hashing)

    def changed(self, model: Model) -> str | None:
        """Say why the files of `model`, which was resolved here, are not those that were hashed; None if they are.

        Files that were not touched are not read again.
        """
        return self.beside.changed(model) if model.family == UPSCALER else self.catalog.changed(model)

    def save(self) -> str:
        """Return the text of settings.yaml: settings as written, with the models and samplers used so far.

        `${...}` stays as it is, so no secret of the environment gets into a file. Relative paths become absolute.
        """
        head = "# What this run was made with. `batchgen run` on this folder resumes with it.\n"
        document = {"model": self.default_model, **self.tree, **self.catalog.used()}
        return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def load_settings(words: Words, *, cwd: Path, saved: Path | None = None) -> Settings:
    """Compose conf/ as it is now, or take what a run `saved`, and apply the command line's words to it.

    Args:
        words: What the command line says; of it, its settings.
        cwd: The working directory: its conf/ is the person's own, and relative paths begin here.
        saved: The settings.yaml of a run directory that is resumed.

    Raises:
        ConfError: a file or a word is wrong.
    """
    cwd = cwd.absolute()
    conf = Conf(cwd=cwd)
    choices = {group: conf.check(group, name, f"{group}={name}") for group, name in words.settings if group in _GROUPS}
    written, origin = _read_saved(saved, choices, conf) if saved else _compose(choices, conf)
    hooks = load_hooks(words.settings, written, conf, saved=saved is not None)
    own = {} if saved and "output" not in choices else written.get("output") or {}
    metrics = load_metrics(words.settings, own if isinstance(own, Mapping) else {}, conf)
    written = _without_metrics(written)
    elsewhere = {"model", SECTION, *_STORED.values()}
    tree = _applied(words, {key: value for key, value in written.items() if key not in elsewhere})
    with blaming(origin):
        plain = resolved(tree)
    sections = {section: _section(section, plain, origin) for section in _TYPES}
    runtime, output, paths = Runtime(**sections["runtime"]), sections["output"], sections["paths"]
    with blaming(origin):
        recipe = read_with(check_field, {**FIELDS, **_TYPES}, _fields(plain), "key")
    cache = Path(cwd, paths["cache"]) if paths.get("cache") else _default_cache()
    folders = tuple(Path(cwd, folder) for folder in paths.get("models", ()))
    return Settings(
        runtime=runtime,
        output=Output(**output | {"root": Path(cwd, output.get("root", "outputs")), METRICS: metrics}),
        paths=Paths(models=folders, cache=cache),
        on_finish=hooks,
        recipe=MappingProxyType({"precision": runtime.precision} | recipe | {"model": written["model"]}),
        catalog=Catalog(
            conf=conf,
            tree=tree,
            stored=_stored(written, origin),
            folders=folders,
            cache=cache,
            fake=runtime.engine == "fake",
        ),
        tree=_anchored(tree, cwd),
    )


def _without_metrics(written: Tree) -> Tree:
    """Return what was composed or saved without the program that judges pictures, which is in no file of a run."""
    output = written.get("output")
    if not isinstance(output, Mapping) or METRICS not in output:
        return written
    return {**written, "output": {key: value for key, value in output.items() if key != METRICS}}


def _compose(choices: Mapping[str, str], conf: Conf) -> tuple[Tree, Origin]:
    """Return what conf/ says, with the name of the default model in place of what its option says."""
    tree, chosen = conf.job(choices)

    def origin(*keys: str) -> str:
        if keys and keys[0] in _GROUPS and keys[0] in chosen:
            return conf.place(f"{keys[0]}/{chosen[keys[0]]}", *keys[1:])
        return conf.place("job", *keys)

    if "model" not in chosen:
        raise ConfError("its defaults list names no model", where=origin())
    return {**tree, "model": chosen["model"]}, origin


def _read_saved(saved: Path, choices: Mapping[str, str], conf: Conf) -> tuple[Tree, Origin]:
    """Return what a run saved; options chosen now are read from conf/ as it is now."""

    def origin(*keys: str) -> str:
        return place(saved, str(saved), *keys)

    try:
        if saved.stat().st_size > _MOST_SAVED:
            raise ConfError("is larger than what any run saves", where=str(saved))
        tree = yaml.safe_load(saved.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ConfError("has too many values inside one another", where=str(saved)) from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfError(f"cannot be read: {str(error).splitlines()[0]}", where=str(saved)) from error
    if not isinstance(tree, dict) or not isinstance(tree.get("model"), str):
        raise ConfError("is no settings.yaml that a run has saved", where=str(saved))
    return tree | {group: conf.option(group, name) for group, name in choices.items()}, origin


def _stored(written: Tree, origin: Origin) -> Stored:
    options = {group: written.get(key) or {} for group, key in _STORED.items()}
    for group, found in options.items():
        if not isinstance(found, dict) or not all(isinstance(values, dict) for values in found.values()):
            raise ConfError(f"{_STORED[group]} holds no options by name", where=origin(_STORED[group]))
    return Stored(options=options, origin=origin)


def _applied(words: Words, tree: Tree) -> Tree:
    """Return `tree` with the values of `words` in it, where a text with `${...}` stays text."""
    found = dict(tree)
    for name, value in words.settings:
        section, _, key = name.partition(".")
        elsewhere = section == SECTION or name == f"output.{METRICS}"
        if not elsewhere and (key or section not in _GROUPS):  # else an option, and already chosen
            checked = _checked(section, key, value)
            found[section] = {**(found.get(section) or {}), key: literal(checked)}
    return found


def _checked(section: str, key: str, value: Any) -> Any:
    where = f"{section}.{key}={value}" if key else f"{section}={value}"
    if not key:
        raise ConfError(f"{section} is set key by key: {section}.{next(iter(_TYPES[section]))}=...", where=where)
    try:
        found = read_value(_TYPES[section], key, value, f"key of {section}")
        if section != "runtime":
            _at_home(key, found)  # to blame the word, and not a file, if there is no such home
    except Misread as error:
        raise ConfError(str(error), where=where) from error
    return found


def _section(section: str, plain: Tree, origin: Origin) -> dict[str, Any]:
    """Return a section's checked values; `~` is filled in, and one models folder is a list of one."""
    values = plain.get(section) or {}
    with blaming(origin, section):
        if not isinstance(values, dict):
            raise Misread("", f"{section} is no mapping of keys to values")
        found = read(_TYPES[section], values, f"key of {section}")
        if isinstance(found.get("models"), str):
            found["models"] = [found["models"]]
        return {key: _at_home(key, value) if section != "runtime" else value for key, value in found.items()}


def _at_home(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_at_home(key, each) for each in value]
    try:
        return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~") else value
    except RuntimeError as error:
        raise Misread(key, f"{key}: {value!r} begins with nobody's home") from error


def _fields(plain: Tree) -> Tree:
    return {key: value for key, value in plain.items() if key not in SETTINGS}


def _default_cache() -> Path:
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(chosen) if Path(chosen).is_absolute() else Path.home() / ".cache") / "batchgen"


def _anchored(tree: Tree, cwd: Path) -> Tree:
    """Return `tree` with its relative paths made absolute, so that a run may be resumed from another folder."""
    output, paths = dict(tree.get("output") or {}), dict(tree.get("paths") or {})
    for section, key in ((output, "root"), (paths, "models"), (paths, "cache")):
        if section.get(key):
            section[key] = _anchor(section[key], cwd)
    return {**tree, "output": output, "paths": paths}


def _anchor(value: Any, cwd: Path) -> Any:
    if isinstance(value, list):
        return [_anchor(each, cwd) for each in value]
    # What has `${...}` or `~` in it depends on more than the working directory.
    return value if "${" in value or value.startswith("~") else str(Path(cwd, value))
