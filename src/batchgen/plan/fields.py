"""What a person may set, checked: a name and a value -> recipe fields, or an error that says what to write."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from batchgen.engine import Runtime
from batchgen.errors import ManifestError, UsageError, unknown_name
from batchgen.interop.shelf import Shelf
from batchgen.job import File, Model
from batchgen.manifest.reading import text_problem
from batchgen.manifest.shape import CHOICES, KEYS
from batchgen.parts import FIELDS, check_field
from batchgen.plan.sweep import is_range, label, read_seed
from batchgen.sampling.names import FIELD_ALIASES, SCHEDULES, explain_field, explain_sampler, explain_schedule
from batchgen.wishes import WISHES, read_wish


def _text_fields() -> Iterator[str]:
    for name in FIELDS:
        with suppress(ValueError):
            check_field(name, "7")
            yield name


VARIABLE: Final = re.compile(r"[^\W\d][\w-]*")
"""What the name of a prompt variable looks like."""

_ALMOST_A_RANGE: Final = re.compile(r"\.\.|…")
_SIZE: Final = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")
TEXTS: Final = frozenset((*_text_fields(), *WISHES)) - {"lora_scale"}
"""Fields that take any text, so that `7` and `0..3` are texts there."""

_RUNTIME: Final = frozenset(each.name for each in fields(Runtime)) - FIELDS.keys()


class ModelOption(Protocol):
    """What planning asks of a model in conf/."""

    @property
    def name(self) -> str:
        """The name of the option."""
        ...

    @property
    def family(self) -> str:
        """A key of `models.families.FAMILIES`."""
        ...

    @property
    def recommended(self) -> Mapping[str, Any]:
        """Fields that fit this model; they fill what a person leaves open."""
        ...


class Beside(Protocol):
    """What planning asks of adapters, autoencoders, embeddings, upscalers and pictures."""

    def file(self, kind: str, name: str, /) -> File:
        """Find and hash a `lora`, `vae` or `embedding`; ModelError: it is not here."""
        ...

    def embedding_names(self) -> Sequence[str]:
        """Return the embeddings that there are: with A1111's emphasis, their names are words of a prompt."""
        ...

    def misfit(self, file: File, model: Model, /) -> str | None:
        """Say why an adapter does not fit a model, or None."""
        ...

    def upscaler(self, name: str) -> Model:
        """Find and hash an upscaling model; ModelError: it is not here."""
        ...

    def upscaling(self, model: Model) -> float:
        """Return by how much an upscaling model enlarges by itself."""
        ...

    def picture(self, path: Path, /) -> File:
        """Hash a picture; ManifestError: it is not here."""
        ...

    def picture_size(self, path: Path, /) -> tuple[int, int]:
        """Return width and height of a picture as it is looked at; ManifestError: it is not here, or no picture."""
        ...

    def file_of(self, digest: str, name: str, pictures: Iterable[Path]) -> File | None:
        """Return the file of a SHA-256, among those beside models and `pictures`."""
        ...

    def upscaler_of(self, digest: str, name: str) -> Model | None:
        """Return the upscaling model of a digest."""
        ...

    def files(self, name: str, pattern: str, folder: Path) -> Sequence[Path]:
        """Return the files that a pattern of the field `name` stands for, in natural order."""
        ...


class Confs(Protocol):
    """What planning asks of conf/."""

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Fields that conf/job.yaml sets."""
        ...

    @property
    def default_model(self) -> str:
        """The model where nobody names one."""
        ...

    def model_names(self) -> Sequence[str]:
        """The options of conf/model/."""
        ...

    def is_file(self, model: str) -> bool:
        """Say whether a model's name stands for a checkpoint in a models folder, or a path of one."""
        ...

    def sampler_names(self) -> Sequence[str]:
        """The options of conf/sampler/."""
        ...

    def model(self, name: str) -> ModelOption:
        """Return one option of conf/model/."""
        ...

    def sampler(self, name: str) -> Mapping[str, Any]:
        """Return the fields that one option of conf/sampler/ sets: `sampler`, `schedule`, ..."""
        ...

    def resolve(self, name: str) -> Model:
        """Find and hash the files of a model.

        Raises:
            ModelError: it is not on this machine, or damaged.
        """
        ...

    @property
    def beside(self) -> Beside:
        """What jobs use beside models."""
        ...

    def weights(self) -> Shelf:
        """The weights on this machine by exact name and by hash."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldReader:
    """Checks values against the recipe's fields and the options of conf/."""

    confs: Confs

    def read(self, name: str, value: Any, where: str | None) -> dict[str, Any]:
        """Return the fields that `name: value` sets: `size` sets two, anything else itself.

        Raises:
            ManifestError: no such field, or no such value of it.
        """
        try:
            return self._read(name, value)
        except ValueError as error:
            raise ManifestError(str(error), where=where) from error

    def read_all(
        self, values: Mapping[str, Any], where: str | None, wheres: Mapping[str, str | None]
    ) -> dict[str, Any]:
        """Return the fields of several settings that stand together.

        Raises:
            ManifestError: as `read`; and `size` beside `width` or `height`.
        """
        if "size" in values and (beside := values.keys() & {"width", "height"}):
            raise ManifestError(f"both size and {' and '.join(sorted(beside))}; keep one way", where=where)
        found: dict[str, Any] = {}
        for name, value in values.items():
            found |= self.read(name, value, wheres.get(name, where))
        return found

    def _read(self, name: str, value: Any) -> dict[str, Any]:
        if name == "size":
            return read_size(value)
        if name in ("model", "sampler", "schedule"):
            return {name: self._option(name, value)}
        if name == "seed":
            return {name: read_seed(value)}
        if name == "mask_image" and value == "alpha":
            return {"mask_image": None, "mask_alpha": True}
        if name in WISHES:
            return {name: read_wish(name, value)}
        if name not in FIELDS:
            raise ValueError(wrong_field(name, CHOICES))
        checked = self._checked(name, value)
        if isinstance(checked, str) and (problem := text_problem(checked)):
            raise ValueError(f"{name}: {problem}")
        return {name: checked}

    def _checked(self, name: str, value: Any) -> Any:
        try:
            return check_field(name, value)
        except ValueError as error:
            if isinstance(value, str) and name not in TEXTS and _ALMOST_A_RANGE.search(value):
                raise ValueError(f"{name}: {value!r} is no range; one is written 4..20, or 4..20/8") from error
            raise

    def _option(self, kind: str, value: Any) -> str:
        """Return a name that is known; any other never reaches Hydra."""
        known = {"model": self.confs.model_names, "sampler": self.confs.sampler_names}.get(kind, lambda: SCHEDULES)()
        if isinstance(value, str) and value in known:
            return value
        if kind == "model":
            if isinstance(value, str) and (self.confs.is_file(value)):
                return value
            raise ValueError(unknown_name(kind, str(value), known))
        raise ValueError(explain_sampler(str(value)) if kind == "sampler" else explain_schedule(str(value)))


def read_size(value: Any) -> dict[str, Any]:
    """Return width and height of `64x96`.

    >>> read_size("64x96")
    {'width': 64, 'height': 96}

    Raises:
        ValueError: it is written in another way, or a side is out of range.
    """
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"size: must be width x height in pixels such as 64x96, not {value!r}")
    sides = {"width": int(match[1]), "height": int(match[2])}
    return {name: check_field(name, pixels) for name, pixels in sides.items()}


def may_be_range(name: str, value: Any) -> bool:
    """Return whether a value of an axis stands for several: `4..20/8`, unless the field is a text of its own."""
    return is_range(value) and name not in TEXTS


def wrong_field(name: str, known: Sequence[str]) -> str:
    """Say why there is no such field, and what to write instead."""
    if name in _RUNTIME:
        return f"{name!r} is how this machine works, not what is made; say `runtime.{name}=` on the command line"
    if name in KEYS:
        return f"{name!r} is a key of a manifest itself: write `{name}:` at the left margin of one"
    return explain_field(name, known)


def read_variable(name: str, value: Any, where: str | None) -> str:
    """Return the text that a value of a prompt variable stands for.

    Raises:
        ManifestError: it cannot stand in a prompt, or `name` cannot stand in a template.
    """
    if name in FIELD_ALIASES and not VARIABLE.fullmatch(name):
        raise ManifestError(wrong_field(name, CHOICES), where=where)
    if not VARIABLE.fullmatch(name):
        raise ManifestError(f"{name!r} is no recipe field and no name for a prompt variable", where=where)
    if value is None or isinstance(value, list | dict):
        raise ManifestError(f"{name}: must be text or a number, not {value!r}", where=where)
    text = label(value)
    if problem := text_problem(text):
        raise ManifestError(f"{name}: {problem}", where=where)
    return text


def fail(message: str, where: str | None) -> NoReturn:
    """Raise a wrong word at its place."""
    raise UsageError(message, where=where)
