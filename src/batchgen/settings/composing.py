"""What Hydra and OmegaConf do for batchgen: read option files, compose `job.yaml`, fill in `${...}`.

Imported only when something is composed. Hydra's own state is put back afterwards: no working directory is changed, no
log is configured, nothing is instantiated.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from batchgen.errors import ConfError
from batchgen.strict import Misread

_PERSON: ContextVar[Path | None] = ContextVar("person", default=None)
"""The person's conf folder while something is composed: Hydra asks its plugins, and gives them no argument."""

_REFUSALS = (HydraException, OmegaConfBaseException, OSError, UnicodeError, yaml.YAMLError)
"""What files can make Hydra raise; anything else is a mistake in a program."""


class _PersonSearchPath(SearchPathPlugin):
    """Puts the person's conf folder before the shipped one. `hydra.searchpath` cannot: it only adds after it."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if person := _PERSON.get():
            search_path.prepend("person", f"file://{person}", "main")


@cache
def _register() -> None:
    Plugins.instance().register(_PersonSearchPath)


def load(file: Path, where: str) -> dict[str, Any]:
    """Return what the YAML `file` says, `${...}` as written.

    Raises:
        ConfError: it cannot be read, or is no mapping.
    """
    try:
        found = OmegaConf.load(file)
    except _REFUSALS as error:
        raise _explained(error, where) from error
    if not isinstance(found, DictConfig):
        raise ConfError("is no mapping of keys to values", where=where)
    return _plain(found)


def composed(
    folders: Sequence[Path], config: str, overrides: Sequence[str], where: str
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Compose `config` with its defaults list from `folders`, the first of which comes first.

    Return the values, `${...}` as written, and the option that each group has.

    Raises:
        ConfError: a file cannot be read or composed.
    """
    try:
        with _hydra(folders):
            found = compose(config, list(overrides), return_hydra_config=True)
    except _REFUSALS as error:
        raise _explained(error, where) from error
    choices = {str(group): str(name) for group, name in found.hydra.runtime.choices.items() if name is not None}
    with open_dict(found):
        del found["hydra"]
    return _plain(found), choices


@contextmanager
def _hydra(folders: Sequence[Path]) -> Iterator[None]:
    """Have Hydra look into `folders` for as long as this lasts, also inside a program that uses Hydra itself."""
    _register()
    token = _PERSON.set(folders[0] if len(folders) > 1 else None)
    theirs = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folders[-1]), job_name="batchgen", version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = theirs
        _PERSON.reset(token)


def filled_in(tree: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    """Return `tree`, or what stands at its `key`, with every `${...}` resolved.

    Raises:
        Misread: what a `${...}` refers to is not there, or a value is still `???`.
    """
    try:
        root = OmegaConf.create(dict(tree))
        plain = OmegaConf.to_container(root if key is None else root[key], resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        place = (error.full_key or "").removeprefix(f"{key}.")
        raise Misread(place, f"{place}: {str(error).splitlines()[0]}") from error
    return {str(name): value for name, value in plain.items()} if isinstance(plain, dict) else {}


def _plain(found: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(found, resolve=False)
    return {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {}


def _explained(error: Exception, where: str) -> ConfError:
    """Return a ConfError with one line of what Hydra, OmegaConf or YAML say of a file."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        file = mark.name if Path(mark.name).is_file() else where
        return ConfError(f"is no YAML: {error.problem}", where=f"{file}:{mark.line + 1}")
    return ConfError(_one_line(error), where=where)


def _one_line(error: Exception) -> str:
    """Return the first paragraph of what `error` says; what follows are Hydra's search paths and hints."""
    return re.sub(r"\s+", " ", str(error).strip().split("\n\n")[0]) or type(error).__name__
