"""`on_finish`: who is told that a run has ended; `output.metrics`: a program of the person's that judges pictures.

Both start programs, and the first speaks to other machines, so they count only from the person's own conf/ and the
command line: they are never saved with a run, and never read from a run directory, which may be a stranger's. What
`on_finish` holds may be secrets, so that no message shows it.
"""

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from pydantic import Field

from batchgen.errors import ConfError
from batchgen.settings.conf import Conf, Tree, blaming, resolved
from batchgen.settings.words import SETTINGS
from batchgen.strict import Misread, Types, read_value

SECTION = "on_finish"
_Text = Annotated[str, Field(min_length=1)]

_Command = _Text | Annotated[list[_Text], Field(min_length=1)] | None

TYPES: Types = {"command": _Command, "post": _Text | None}
"""Its keys, and what they hold as written."""

METRICS = "metrics"
"""The key of `output` that names a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFinish:
    """What is done with the summary of a run that has ended."""

    command: tuple[str, ...] = field(default=(), repr=False)
    """A program, absolute or to be looked for on PATH, and its arguments: it reads the summary. Empty: none."""

    post: str | None = field(default=None, repr=False)
    """The http or https URL that the summary is posted to."""


def load_hooks(words: Iterable[tuple[str, Any]], tree: Tree, conf: Conf, *, saved: bool) -> OnFinish:
    """Return what conf/ and the command line say.

    Args:
        words: What the command line says of settings; `${...}` in it is text.
        tree: What was composed, which holds the section of conf/, or what a run `saved`, which counts for nothing.
        conf: conf/ as it is now.
        saved: Whether `tree` is from a run directory.

    Raises:
        ConfError: a key or a value is wrong, or the conf/ lies in a run directory.
    """
    composed = _of_conf(conf) if saved else tree
    with blaming(partial(conf.place, "job")):
        values = _filled(_own(composed, conf), composed)
    with blaming(partial(conf.place, "job", SECTION)):
        found = {str(key): _check(str(key), value) for key, value in values.items()}
    found |= _of_words(words)
    command = found.get("command") or []
    return OnFinish(command=_anchored(_split(command), conf.cwd), post=found.get("post"))


def load_metrics(words: Iterable[tuple[str, Any]], output: Tree, conf: Conf) -> tuple[str, ...]:
    """Return the program of `output.metrics` with its arguments; none if nobody names one.

    Args:
        words: What the command line says of settings.
        output: What the person's conf/ says of `output`; what a run saved is none of it.
        conf: conf/ as it is now.

    Raises:
        ConfError: the value is wrong, or the conf/ lies in a run directory.
    """
    with blaming(partial(conf.place, "output/default")):
        command = read_value({METRICS: _Command}, METRICS, output.get(METRICS), "key of output")
        found = _split(command) if command else []
        _refuse_strangers(METRICS, found, conf)
    for name, value in words:
        if name == f"output.{METRICS}":
            try:
                said = read_value({METRICS: _Command}, METRICS, value, "key of output")
                found = _split(said) if said else []
            except Misread as error:
                raise ConfError(str(error), where=name) from None
    return _anchored(found, conf.cwd)


def _own(composed: Tree, conf: Conf) -> Tree:
    values = composed.get(SECTION) or {}
    if not isinstance(values, Mapping):
        raise Misread(SECTION, f"{SECTION} is no mapping of keys to values")
    _refuse_strangers(SECTION, any(values.values()), conf)
    return values


def _refuse_strangers(key: str, said: object, conf: Conf) -> None:
    if said and (conf.cwd / ".batchgen").is_dir():
        # Whoever made the run directory chose the program.
        raise Misread(key, f"{key} is not taken from a conf/ inside a run directory; work in another folder")


def _filled(values: Tree, composed: Tree) -> Tree:
    if "${" not in (text := repr(values)) and "???" not in text:
        return values
    # Beside other settings, since these may refer to the environment, as fields of a recipe may not.
    settings = {section: composed[section] for section in SETTINGS if section in composed}
    return cast("Tree", resolved(settings | {SECTION: values})[SECTION])


def _of_conf(conf: Conf) -> Tree:
    """Return what conf/ says of it, for a run that takes all else from its run directory."""
    file = conf.file("job")
    # Only a file that speaks of it is composed: what a run saved holds, whatever became of the rest of conf/.
    if file.is_relative_to(conf.came) or not _speaks_of_it(file):
        return {}
    return conf.job({})[0]


def _of_words(words: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found = {}
    for name, value in words:
        section, _, key = name.partition(".")
        if section == SECTION:
            try:
                found[key] = _check(key, value)
            except Misread as error:
                raise ConfError(str(error), where=name) from None
    return found


def _check(key: str, value: Any) -> Any:
    """Return `value` if `key` may have it; what is said of another does not show it."""
    try:
        found = read_value(TYPES, key, value, f"key of {SECTION}")
    except Misread as error:
        raise Misread(key, str(error).partition(", not ")[0]) from None
    if key == "command" and found is not None:
        _split(found)
    if key == "post" and found is not None and not _is_address(found):
        raise Misread(key, "post: must be an address that begins with http:// or https://")
    return found


def _speaks_of_it(file: Path) -> bool:
    try:
        return SECTION in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _split(text: str | list[str]) -> list[str]:
    if isinstance(text, list):
        return text
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Misread("command", f"command: cannot be split into words: {str(error).lower()}") from None
    if not words:
        raise Misread("command", "command: has no words")
    return words


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _anchored(words: list[str], cwd: Path) -> tuple[str, ...]:
    """Return the command with `~` filled in, and its program by its whole path where it is given by one.

    It is started in the run directory, where a path of these words could lead to a stranger's program.
    """
    # As a shell does it: a word that begins with nobody's home stays as it is, and Path.expanduser() raises.
    home = [os.path.expanduser(word) for word in words]  # noqa: PTH111 - for that reason
    return (str(Path(cwd, home[0])), *home[1:]) if home and "/" in home[0] else tuple(home)
