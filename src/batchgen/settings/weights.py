"""The weights on this machine by exact name and by hash, for those who come with other programs' names of them."""

import re
from collections.abc import Callable, Collection
from functools import cache
from typing import Final

from batchgen.errors import ModelError
from batchgen.models.digest import DigestCache
from batchgen.models.shelf import Entry, Shelf
from batchgen.models.short_hash import data_hash, noted_hash, old_hash

_HASH: Final = re.compile(r"[0-9a-f]{8}|[0-9a-f]{10}|[0-9a-f]{12}|[0-9a-f]{64}")
_OLD, _OF_DATA, _WHOLE = 8, 12, 64

DigestOf = Callable[[str, bool], str | None]
"""The digest of the model of a name; with True from memory alone. None: it is not known, or not here."""


class Weights:
    """Names and hashes -> names that a manifest may write. Nothing is taken for what it only resembles.

    Hashing takes long, so a file is hashed only if it is called as the one that is looked for, or if it is asked for.
    """

    def __init__(
        self,
        options: Collection[str],
        shelf: Shelf,
        digests: DigestCache,
        digest_of: DigestOf,
        *,
        hashing: bool = False,
    ) -> None:
        """Look among the options of conf/model/ and on `shelf`; `hashing`: hash every file that might be meant."""
        self._options = frozenset(options)
        self._shelf = shelf
        self._digests = digests
        self._digest_of = digest_of
        self._hashing = hashing
        self.by_hash = cache(self._by_hash)
        self.several = cache(self._several)

    def by_name(self, kind: str, text: str) -> str | None:
        """Return how a manifest writes the one file called exactly so; None if there is none, or more than one."""
        found = self.several(kind, text)
        return found[0] if len(found) == 1 else None

    def _several(self, kind: str, text: str) -> tuple[str, ...]:
        """Return all that are called exactly so: an option, else paths below the kind's folder, else stems."""
        if kind == "checkpoint" and text in self._options:
            return (text,)
        entries = self._entries(kind)
        found = [each for each in entries if each.name == text] or [each for each in entries if _stem(each) == text]
        if len(found) > 1:
            return tuple(str(each.path) for each in found)
        return tuple(self._written(each) for each in found)

    def _by_hash(self, kind: str, text: str, called: str) -> str | None:
        """Return how a manifest writes the file of this hash, that of the name `called` before others."""
        digits = text.lower()
        if not _HASH.fullmatch(digits):
            return None
        try:
            if kind == "checkpoint" and len(digits) == _WHOLE and (option := self._option_of(digits, called)):
                return option
            found = [each for each in self._entries(kind) if self._has(each, digits, _stem(each) == called)]
        finally:
            self._digests.save()
        same = [each for each in found if _stem(each) == called]
        # Copies of one file are as good as each other; of the old hash there are different files.
        if not same and len(digits) == _OLD and len(found) > 1:
            return None
        return self._written((same or found)[0]) if found else None

    def _option_of(self, digest: str, called: str) -> str | None:
        names = sorted(self._options, key=lambda name: (name != called, name))
        known = (name for name in names if self._digest_of(name, not self._computed(name == called)) == digest)
        return next(known, None)

    def _computed(self, likely: bool) -> bool:  # one word, in this class alone
        return likely or self._hashing

    def _has(self, entry: Entry, digits: str, likely: bool) -> bool:  # as above
        compute = self._computed(likely)
        if entry.path.is_dir():
            return compute and len(digits) == _WHOLE and self._digest_of(entry.name, False) == digits
        if len(digits) == _OLD:
            return old_hash(entry.path) == digits
        if (whole := self._sha256(entry, compute)) and whole.startswith(digits):
            return True
        if entry.kind == "lora" and len(digits) == _OF_DATA:
            noted = noted_hash(entry.path) or (data_hash(entry.path) if compute else None)
            return noted is not None and noted.startswith(digits)
        if entry.kind == "checkpoint" and len(digits) == _WHOLE and whole:
            return self._digest_of(entry.name, False) == digits
        return False

    def _sha256(self, entry: Entry, compute: bool) -> str | None:  # as above
        try:
            return self._digests.known(entry.path) or (self._digests.sha256(entry.path) if compute else None)
        except ModelError:
            return None

    def _entries(self, kind: str) -> list[Entry]:
        return [each for each in self._shelf.all(kind) if not each.refused]

    def _written(self, entry: Entry) -> str:
        """Return the shortest name that stands for this entry alone."""
        stem = _stem(entry)
        others = [each for each in self._shelf.all(entry.kind) if _stem(each) == stem]
        taken = entry.kind == "checkpoint" and stem in self._options
        return entry.name if taken or len(others) > 1 else stem


def _stem(entry: Entry) -> str:
    return entry.name.rpartition("/")[2] if entry.path.is_dir() else entry.path.stem
