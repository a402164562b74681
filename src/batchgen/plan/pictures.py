"""`prompts: [{pictures: old/**/*.png}]`: what other programs, or batchgen, wrote into pictures becomes entries.

What a picture says of itself is a field of its entry, but for what is swept: an axis, a bundle, `seeds` or a word of
the command line would otherwise have no say about any of them.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from batchgen.errors import ManifestError
from batchgen.interop.files import read_file
from batchgen.interop.imported import Imported, Unreadable
from batchgen.interop.pictures import SUFFIXES
from batchgen.interop.shelf import settled
from batchgen.manifest import Entry, Manifest
from batchgen.manifest.reading import text_problem
from batchgen.models.shelf import in_natural_order
from batchgen.plan.fields import Confs
from batchgen.shipped import at_home, matching

_SAME: Final[Mapping[str, tuple[str, ...]]] = {"size": ("width", "height"), "seeds": ("seed",)}


def with_pictures(manifest: Manifest, words: Collection[str], confs: Confs) -> Manifest:
    """Return a manifest with an entry for every picture that its `pictures:` stand for.

    Args:
        manifest: As it was read.
        words: Names that the command line gives values for.
        confs: Where weights are found.

    Raises:
        ManifestError: there is no such picture, or one tells of nothing and is not passed over.
    """
    if "prompt" in words or not any(entry.kind == "pictures" for entry in manifest.prompts):
        return manifest
    opening = _Opening(manifest, words, confs)
    entries = tuple(each for entry in manifest.prompts for each in opening.entries(entry))
    return replace(manifest, prompts=entries, told=(*manifest.told, *opening.told()))


class _Opening:
    """Reads pictures, and remembers what is to be said of them."""

    def __init__(self, manifest: Manifest, words: Collection[str], confs: Confs) -> None:
        self._folder = manifest.folder
        self._taken = _swept(manifest, words)
        self._weights = confs.weights()
        self._said: dict[str, int] = {}

    def entries(self, entry: Entry) -> Iterator[Entry]:
        """Yield the entries of pictures, or the entry itself if it stands for none."""
        if entry.kind != "pictures":
            yield entry
            return
        failed: list[str] = []
        empty = True
        for path in self._paths(entry):
            try:
                found = self._read(path, lenient=entry.lenient)
            except Unreadable as error:
                failed.append(str(error))
                continue
            empty = False
            yield from (self._entry(each, entry) for each in found)
        if failed and not entry.lenient:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            message = f"pictures: {failed[0]}{more}; `lenient: true` beside it passes over such"
            raise ManifestError(message, where=entry.where)
        if empty:
            raise ManifestError(f"pictures: none of {entry.text!r} tells how it was made", where=entry.where)
        if failed:
            self._say(f"pictures: {len(failed)} that tell nothing were passed over, the first is {failed[0]}")

    def told(self) -> Iterator[str]:
        """Yield what pictures made known, each once."""
        for text, count in self._said.items():
            yield f"{count} pictures: {text}" if count > 1 else text

    def _say(self, text: str) -> None:
        self._said[text] = self._said.get(text, 0) + 1

    def _paths(self, entry: Entry) -> list[Path]:
        named = self._folder / at_home(entry.text)
        found = [named] if named.is_file() else matching(named / "*" if named.is_dir() else named)
        kept = in_natural_order(each for each in found if each.suffix.lower() in SUFFIXES and each.is_file())
        if not kept:
            raise ManifestError(f"pictures: there is none at {entry.text!r}", where=entry.where)
        return kept

    def _read(self, path: Path, *, lenient: bool) -> list[Imported]:
        found = read_file(path)
        refused = list(dict.fromkeys(str(each) for one in found for each in one.refused))
        if refused and not lenient:
            raise Unreadable("; ".join(refused), where=str(path))
        for each in refused:
            self._say(f"left out: {each}")
        return [settled(each, self._weights) for each in found]

    def _entry(self, found: Imported, entry: Entry) -> Entry:
        for warning in found.warnings:
            self._say(warning)
        taken = self._taken | _fields_of(entry.fields)
        own: dict[str, Any] = {name: value for name, value in found.recipe.items() if name not in taken}
        text = own.pop("prompt", "")
        if problem := text_problem(text):
            raise ManifestError(f"pictures: {problem}", where=found.source)
        return Entry(kind="prompt", text=text, fields={**own, **entry.fields}, name=found.name, where=found.source)


def _swept(manifest: Manifest, words: Collection[str]) -> frozenset[str]:
    """Return the fields that something beside the entry says."""
    names = {*words, *manifest.sweep, *(["seed"] if manifest.seeds is not None else [])}
    names |= {name for options in manifest.bundles.values() for sets in options.values() for name in sets}
    return _fields_of(names)


def _fields_of(names: Collection[str]) -> frozenset[str]:
    return frozenset(each for name in names for each in _SAME.get(name, (name,)))
