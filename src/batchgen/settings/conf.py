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
from batchgen.shipped import shipped
from batchgen.strict import Misread, place

Tree = Mapping[str, Any]
"""Plain values as they stand in files: `${...}` is not filled in."""

Origin = Callable[..., str]
"""Nested keys -> the place where they are written, `FILE:LINE`."""


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

    Raises:
        Misread: what a `${...}` refers to is not there, or a value is still `???`.
    """
    part: Tree = tree if key is None else tree[key]
    text = repr(part)
    if "${" not in text and "???" not in text:
        return part
    from batchgen.settings.composing import filled_in  # noqa: PLC0415 - as above, and few files have any

    return filled_in(tree, key)


@contextmanager
def blaming(origin: Origin, *keys: str) -> Iterator[None]:
    """Turn a Misread into a ConfError about the place that `origin` gives for its keys, which stand below `keys`."""
    try:
        yield
    except Misread as error:
        below = error.key.split(".") if error.key else []
        raise ConfError(str(error), where=origin(*keys, *below)) from error
