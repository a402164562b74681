"""Plain values -> strict YAML that `reading` reads back equal."""

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?: [A-Za-z0-9_]+)*")
"""Texts that need no quotes in any reader of YAML, but for the words below."""
_WORDS: Final = re.compile(r"true|false|null|yes|no|on|off|y|n", re.IGNORECASE)


def manifest_text(document: Any) -> str:
    """Return `document` as YAML that a person can read and edit, keys in the order given."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


# libyaml's, where PyYAML was built with it: 20 times as fast, which tells with 100,000 prompts.
if TYPE_CHECKING:  # both have the same methods
    _Fastest = yaml.SafeDumper
else:
    _Fastest = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Fastest):
    """Quotes every text that might be read as something else, and never writes an alias."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Write equal values out, each where it stands."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    plain = _PLAIN.fullmatch(value) and not _WORDS.fullmatch(value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    word = repr(value)
    # Python writes 1e+16 and 1e-07; a number here has a dot before its exponent.
    if "." not in word:
        word = word.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", word)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _float)
