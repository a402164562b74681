"""conf/ on disk: a person's own files before those that came with batchgen.

`./conf` of the working directory shadows the shipped conf/ file by file; a file shadows whole, nothing is merged into
it. Hydra composes `job.yaml` and option files that have a defaults list of their own. Other option files are read one
by one, since composing each of fifteen samplers would take longer than everything else before the first picture.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from batchgen.errors import ConfError, unknown_name
from batchgen.settings.words import SETTINGS
from batchgen.shipped import shipped
from batchgen.strict import Misread, place

Tree = Mapping[str, Any]
"""Plain values as they stand in files: `${...}` is not filled in."""

Origin = Callable[..., str]
"""Nested keys -> the place where they are written, `FILE:LINE`."""

_MOST_VALUES = 10_000
_DEEPEST = 32
_MOST_REFERENCES = 24
"""`${a}${a}` doubles what `a` says. From so many references at most 3^8 copies of a text can come."""

_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*\$\{(?!oc\.env:)")
"""Behind an odd number of backslashes `${` is text."""
_BEYOND_FIELDS = re.compile(rf"(?<!\\)(?:\\\\)*\$\{{(?!(?!(?:{'|'.join(SETTINGS)})\}})[a-z_]+\}})")
"""Any `${...}` but `${width}` and the like."""


@dataclass(frozen=True, kw_only=True)
class Conf:
    """The folders that make up conf/."""

    cwd: Path
    """The working directory, absolute; its conf/ is the person's own."""

    came: Path = field(default_factory=partial(shipped, "conf"))
    """The folder that came with batchgen."""

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """The person's folder, if there is one, before the shipped one."""
        own = self.cwd / "conf"
        return (own, self.came) if own.is_dir() and not own.samefile(self.came) else (self.came,)

    def names(self, group: str) -> tuple[str, ...]:
        """Return the options of `group`, sorted."""
        return tuple(sorted({file.stem for folder in self.folders for file in (folder / group).glob("*.yaml")}))

    def check(self, group: str, name: object, where: str | None = None) -> str:
        """Return `name` if `group` has such an option. Only then may it become part of a path.

        Raises:
            ConfError: there is no such option.
        """
        names = self.names(group)
        if name not in names:
            raise ConfError(unknown_name(group, str(name), names), where=where)
        return str(name)

    def file(self, config: str) -> Path:
        """Return the file that `config` (`job`, `model/sdxl`) is read from."""
        files = [folder / f"{config}.yaml" for folder in self.folders]
        return next((file for file in files if file.is_file()), files[-1])

    def place(self, config: str, *keys: str) -> str:
        """Return `FILE:LINE` of the nested `keys` in `config`, the file as a person here would type it."""
        file = self.file(config)
        shown = file.relative_to(self.cwd) if file.is_relative_to(self.cwd) else file
        return place(file, str(shown), *keys)

    def job(self, choices: Mapping[str, str]) -> tuple[Tree, Mapping[str, str]]:
        """Compose job.yaml with the group `choices`; return the values, and which option every group has.

        Raises:
            ConfError: a file cannot be read or composed.
        """
        from batchgen.settings.composing import composed  # noqa: PLC0415 - Hydra: 0.2 s that `--help` does not pay

        overrides = [f"{group}={name}" for group, name in choices.items()]
        return composed(self.folders, "job", overrides, self.place("job"))

    def option(self, group: str, name: str) -> Tree:
        """Return what the option `name` of `group` says.

        Raises:
            ConfError: there is no such option, or it cannot be read.
        """
        from batchgen.settings.composing import composed, load  # noqa: PLC0415 - as above

        config = f"{group}/{self.check(group, name)}"
        values = load(self.file(config), self.place(config))
        if "defaults" in values:
            values, _ = composed(self.folders, config, [], self.place(config))
            # Without `@package _global_` Hydra puts an option under the name of its group.
            values = values[group] if isinstance(values.get(group), dict) else values
        return values


def literal(value: Any) -> Any:
    r"""Return `value` so that OmegaConf reads every text in it as it stands: `${x}` becomes `\${x}`."""
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda match: f"{match[1] * 2}\\${{", value)
    return [literal(each) for each in value] if isinstance(value, list) else value


def resolved(tree: Tree, key: str | None = None) -> Tree:
    """Return `tree`, or what stands at its `key`, with every `${...}` filled in.

    The values of recipe fields stand in every record. So they may refer to each other, as `${width}`, and to nothing
    that may hold a secret: not to the environment, a path or a resolver.

    Raises:
        Misread: what a `${...}` refers to is not there or not allowed, a value is still `???`, or the tree would grow
            without end. It may be a stranger's, from a run directory.
    """
    _small_enough(tree)
    part: Tree = tree if key is None else tree[key]
    text = repr(part)
    if "${" not in text and "???" not in text:
        return part
    _refers_to_fields_alone(part, key)
    from batchgen.settings.composing import filled_in  # noqa: PLC0415 - as above, and few files have any

    return filled_in(tree, key)


def _small_enough(tree: Tree) -> None:
    """Refuse what a few bytes of YAML can become: an alias stands for its value, and the value for others."""
    references = 0
    for count, (value, depth) in enumerate(_within(tree)):
        references += len(_REFERENCE.findall(value)) if isinstance(value, str) else 0
        if count > _MOST_VALUES or depth > _DEEPEST:
            raise Misread("", f"more than {_MOST_VALUES} values, or {_DEEPEST} of them inside one another")
        if references > _MOST_REFERENCES:
            raise Misread("", f"more than {_MOST_REFERENCES} references such as ${{name}}; write some of them out")


def _within(tree: Any) -> Iterator[tuple[Any, int]]:
    """Yield every value in `tree`, as often as it stands there, and how deep."""
    todo = [(tree, 0)]
    while todo:
        value, depth = todo.pop()
        yield value, depth
        inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        todo += [(each, depth + 1) for each in inside]


def _refers_to_fields_alone(part: Tree, key: str | None) -> None:
    if key == "model":
        recommended = part.get("recommended")
        fields: Tree = recommended if isinstance(recommended, Mapping) else {}
    else:
        fields = {name: value for name, value in part.items() if key or name not in SETTINGS}
    for name, value in fields.items():
        if any(isinstance(each, str) and _BEYOND_FIELDS.search(each) for each, _ in _within(value)):
            said = "stands in every record, so it may refer to another field alone, as ${width}"
            raise Misread(f"recommended.{name}" if key == "model" else str(name), f"{name}: {said}, not to {value!r}")


@contextmanager
def blaming(origin: Origin, *keys: str) -> Iterator[None]:
    """Turn a Misread into a ConfError about the place that `origin` gives for its keys, which stand below `keys`."""
    try:
        yield
    except Misread as error:
        below = error.key.split(".") if error.key else []
        raise ConfError(str(error), where=origin(*keys, *below)) from error
