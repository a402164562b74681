"""A manifest: what one run shall make, as its author wrote it.

This module knows the shape of the file: which keys there are, and what kind of thing stands under each. What the words
mean (whether there is such a sampler, whether two axes quarrel) is judged by `plan.expand`, which knows conf/ and the
command line.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from batchgen.errors import ManifestError, unknown_name
from batchgen.manifest.checks import Checks, shown
from batchgen.manifest.comparing import read_comparing
from batchgen.manifest.manifest import KINDS, Entry, Manifest, Subset
from batchgen.manifest.reading import Document, Location, parse_json, parse_yaml, read_text
from batchgen.parts import FIELDS
from batchgen.sampling.names import explain_field
from batchgen.wishes import WISHES

KEYS: Final = (
    *("name", "set", "prompts", "seeds", "sweep", "bundles", "zip"),
    *("exclude", "subset", "order", "compare", "join"),
)
"""Every key of a manifest, in the order in which people write them."""

CHOICES: Final = (*sorted({*FIELDS, *WISHES} - {"mask_alpha"}), "model", "size")
"""What a prompt's entry may say: recipe fields, the model, and `size` for width and height together. `set` and bundles
may say the same, but for the two that are always axes."""

_AXES: Final[Mapping[str, str]] = {"prompt": "prompts", "prompts": "prompts", "seed": "seeds", "seeds": "seeds"}
"""What is always an axis, and the key under which it is written."""

_NOT_HERE: Final[Mapping[str, str]] = {
    "runtime": "how a machine works comes from conf/runtime or `runtime.…=` on the command line",
    "output": "where pictures go comes from conf/output, `output.…=` or --into",
    "paths": "folders come from conf/ or `paths.…=` on the command line",
    "hooks": "nothing that runs comes from a manifest",
}
"""A manifest may be a stranger's; these belong to the person who runs it."""

_NESTED: Final = frozenset((*WISHES, "model"))
"""Fields whose values may be lists or mappings."""

_INCOMPATIBLE: Final = "incompatible"

_NAME: Final = re.compile(r"[^\W_][\w .-]{0,63}")
_NAME_BYTES: Final = 160
"""Of a run's name in UTF-8: a letter may have four, and file systems take 255."""


_RESERVED: Final = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"))
)
"""What Windows keeps for devices, with any ending."""


def is_reserved(name: str) -> bool:
    """Return whether Windows would take a file's name for a device: `con`, `NUL.txt`.

    >>> [is_reserved(name) for name in ("con", "NUL.txt", "console")]
    [True, True, False]
    """
    return name.partition(".")[0].rstrip().lower() in _RESERVED


def read_manifest(path: Path) -> Manifest:
    """Read a manifest from a YAML or JSON file.

    Raises:
        ManifestError: it cannot be read, or does not have the shape of a manifest; with file and line.
    """
    parsers = {".json": parse_json, ".yaml": parse_yaml, ".yml": parse_yaml}
    parse = parsers.get(path.suffix.lower())
    if parse is None:
        raise ManifestError("a manifest's name ends in .yaml, .yml or .json", where=str(path))
    return manifest_of(parse(read_text(path, kind="manifest"), str(path)))


def manifest_of(document: Document) -> Manifest:
    """Give a document the shape of a manifest.

    Raises:
        ManifestError: it has another shape; with file and line.
    """
    shape = _Shape(document)
    top = shape.mapping((), document.value)
    shape.known_keys(top)
    path = Path(document.file)
    return Manifest(
        name=shape.name(top.get("name"), path.stem),
        file=document.file,
        folder=path.parent,
        set=shape.choices(("set",), top.get("set", {})),
        prompts=shape.entries(top.get("prompts")),
        seeds=top.get("seeds"),
        sweep=shape.sweep(top.get("sweep", {})),
        bundles=shape.bundles(top.get("bundles", {})),
        zip=shape.zip(top.get("zip", [])),
        exclude=shape.exclude(top.get("exclude", [])),
        incompatible=shape.incompatible(top.get("exclude")),
        subset=shape.subset(top.get("subset")),
        order=shape.order(top.get("order", "grouped")),
        compare=read_comparing(shape, top.get("compare", {})),
        join=shape.join(top["join"]) if "join" in top else (),
        lines=document.lines,
    )


def entry_of(document: Document) -> Entry:
    """Read one line of a prompt file as an entry.

    Raises:
        ManifestError: it is neither a text nor a mapping with a prompt or template.
    """
    shape = _Shape(document)
    entry = shape.entry((), document.value)
    if entry.kind in ("file", "pictures"):
        shape.fail((), f"{entry.kind}: inside a prompt file there are prompts alone; name it in the manifest")
    return entry


class _Shape(Checks):
    """The keys of a manifest, and what stands under each."""

    def known_keys(self, top: Mapping[str, Any]) -> None:
        """Refuse keys that a manifest does not have, with the reason or the right place."""
        for key, value in top.items():
            if key not in KEYS:
                self.fail((key,), _wrong_key(key))
            if value is None:
                self.fail((key,), f"nothing stands under {key!r}; give it a value, or leave the key out")

    def name(self, value: Any, stem: str) -> str:
        """Return the run's name: a folder will have it."""
        if value is None:
            kept = re.sub(r"[^\w .-]", "-", stem).lstrip("._- ")[:64]
            kept = kept.encode()[:_NAME_BYTES].decode(errors="ignore").rstrip(" .") or "manifest"
            return f"run-{kept}" if is_reserved(kept) else kept
        text = self.text(("name",), value)
        if not _NAME.fullmatch(text) or text[-1] in " ." or len(text.encode()) > _NAME_BYTES:
            right = "letters, digits, spaces and . _ - (at most 64, a letter or digit first)"
            self.fail(("name",), f"name: a folder gets this name, so it is made of {right}, not {text[:80]!r}")
        if is_reserved(text):
            self.fail(("name",), f"name: {text!r} is a device for Windows, and no folder there; choose another")
        return text

    def choices(self, at: Location, value: Any) -> Mapping[str, Any]:
        """Return field -> value of `set` or of a bundle's option."""
        found = self.mapping(at, value)
        for key in found:
            self.no_axis((*at, key), key)
        return {key: self.value((*at, key), key, each) for key, each in found.items()}

    def value(self, at: Location, name: str, value: Any) -> Any:
        """Return what stands under a field: one value, but for those that have parts of their own."""
        return self.scalar(at, value) if value is None or name not in _NESTED else value

    def entries(self, value: Any) -> tuple[Entry, ...]:
        """Return the items of `prompts`."""
        if value is None:
            return ()
        items = self.list(("prompts",), value, "[a red circle, a blue star]")
        if not items:
            self.fail(("prompts",), "prompts: there is none; write at least one")
        return tuple(self.entry(("prompts", i), item) for i, item in enumerate(items))

    def entry(self, at: Location, value: Any) -> Entry:
        """Return one item of `prompts`."""
        if not isinstance(value, dict):
            return Entry(kind="prompt", text=self.text(at, value), where=self.where(at))
        kinds = [key for key in KINDS if key in value]
        if len(kinds) != 1:
            keys = ", ".join(value) or "nothing"
            hint = "" if kinds else "; a text with a colon in it needs quotes"
            self.fail(at, f"needs exactly one of prompt, template, file, pictures; it has: {keys}{hint}")
        kind = kinds[0]
        rest = {key: each for key, each in value.items() if each is not None}
        for key, each in rest.items():
            self.value((*at, key), key, each)
        text = self.text((*at, kind), rest.pop(kind, None))
        sample, sample_seed = self.draw(at, rest) if kind == "template" else (None, 0)
        labels = {key: self.text((*at, key), rest.pop(key)) for key in ("name", "note") if key in rest}
        if labels and kind in ("file", "pictures"):
            whose = "lines of the file, not to the file" if kind == "file" else "pictures, not to all of them"
            self.fail(at, f"name and note belong to the {whose}")
        lenient = self.truth((*at, "lenient"), rest.pop("lenient", False)) if kind == "pictures" else False
        return Entry(
            kind=kind,
            text=text,
            fields=rest,
            name=labels.get("name"),
            note=labels.get("note"),
            sample=sample,
            sample_seed=sample_seed,
            lenient=lenient,
            where=self.where(at),
        )

    def draw(self, at: Location, rest: dict[str, Any]) -> tuple[int | None, int]:
        """Take `mode`, `count` and the draw's `seed` out of a template's keys."""
        mode = rest.pop("mode", "all")
        if mode not in ("all", "sample"):
            self.fail((*at, "mode"), f"mode: must be all or sample, not {shown(mode)}")
        if mode == "all":
            if "count" in rest:
                self.fail((*at, "count"), "count: goes with `mode: sample`; `mode: all` makes every prompt")
            return None, 0
        if "count" not in rest:
            self.fail(at, "mode: sample needs a count, such as `count: 8`")
        count = self.whole((*at, "count"), rest.pop("count"), least=1)
        return count, self.whole((*at, "seed"), rest.pop("seed", 0), least=0)

    def sweep(self, value: Any) -> Mapping[str, tuple[Any, ...]]:
        """Return axis -> values as written; a range is one text."""
        found: dict[str, tuple[Any, ...]] = {}
        for name, values in self.mapping(("sweep",), value).items():
            at = ("sweep", name)
            self.no_axis(at, name)
            items = values if isinstance(values, list) else [values]
            if not items:
                self.fail(at, f"{name}: an axis without values would make no picture; give it one or leave it out")
            found[name] = tuple(self.value((*at, i), name, item) for i, item in enumerate(items))
        return found

    def no_axis(self, at: Location, name: str) -> None:
        """Refuse a prompt or seed where it could not have a say, because the axis of its name has it."""
        if name in _AXES:
            self.fail(at, f"{name!r} is always an axis; write `{_AXES[name]}:`, outside of `{at[0]}:`")

    def bundles(self, value: Any) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """Return axis -> option -> field -> value."""
        found: dict[str, Mapping[str, Mapping[str, Any]]] = {}
        for name, options in self.mapping(("bundles",), value).items():
            at = ("bundles", name)
            if name in CHOICES:
                self.fail(at, f"{name!r} is a recipe field; a bundle sets several fields and has a name of its own")
            if not self.mapping(at, options):
                self.fail(at, f"{name}: a bundle without options would make no picture")
            found[name] = {option: self.choices((*at, option), fields) for option, fields in options.items()}
        return found

    def zip(self, value: Any) -> tuple[tuple[str, ...], ...]:
        """Return the groups of axes that advance together."""
        example = "[[width, height]]"
        groups = [self.list(("zip", i), group, example) for i, group in enumerate(self.list(("zip",), value, example))]
        seen: set[str] = set()
        for i, group in enumerate(groups):
            if len(group) < 2:
                self.fail(("zip", i), "zip: a group needs at least two axes")
            for j, name in enumerate(group):
                if self.text(("zip", i, j), name) in seen:
                    self.fail(("zip", i, j), f"zip: {name!r} is there twice")
                seen.add(name)
        return tuple(tuple(group) for group in groups)

    def incompatible(self, value: Any) -> bool:
        """Return whether adapters that do not fit their model are left out instead of refused."""
        return value == _INCOMPATIBLE or (isinstance(value, list) and _INCOMPATIBLE in value)

    def exclude(self, value: Any) -> tuple[Mapping[str, Any], ...]:
        """Return the conditions, each with a tuple of values under a name."""
        found = []
        items = [] if value == _INCOMPATIBLE else self.list(("exclude",), value, "[{sampler: ddim, steps: '>12'}]")
        for i, item in enumerate(items):
            if item == _INCOMPATIBLE:
                continue
            if not self.mapping(("exclude", i), item):
                self.fail(("exclude", i), "exclude: an empty condition would leave nothing out, or everything")
            conditions = {}
            for name, wanted in item.items():
                values = wanted if isinstance(wanted, list) else [wanted]
                if not values:
                    self.fail(("exclude", i, name), f"exclude: nothing is said about {name!r}")
                conditions[name] = tuple(self.scalar(("exclude", i, name), each) for each in values)
            found.append(conditions)
        return tuple(found)

    def subset(self, value: Any) -> Subset | None:
        """Return the random part that is asked for."""
        if value is None:
            return None
        found = self.mapping(("subset",), value)
        for key in found:
            if key not in ("count", "seed"):
                self.fail(("subset", key), unknown_name("key of subset", key, ("count", "seed")))
        if "count" not in found:
            self.fail(("subset",), "subset: needs a count, such as `{count: 500, seed: 1}`")
        return Subset(
            count=self.whole(("subset", "count"), found["count"], least=1),
            seed=self.whole(("subset", "seed"), found.get("seed", 0), least=0),
        )

    def order(self, value: Any) -> Literal["grouped", "breadth"]:
        """Return the order of work."""
        if value not in ("grouped", "breadth"):
            self.fail(("order",), f"order: must be grouped or breadth, not {shown(value)}")
        return "grouped" if value == "grouped" else "breadth"

    def join(self, value: Any) -> tuple[str, ...]:
        """Return the options whose clips become one."""
        names = self.list(("join",), value, "[shot1, shot2]")
        found = tuple(self.text(("join", i), name) for i, name in enumerate(names))
        if len(set(found)) < max(2, len(found)):
            self.fail(("join",), "join: names at least two options of a bundle, each of them once")
        return found


def _wrong_key(key: str) -> str:
    """Say why a manifest has no such key, and what to write instead."""
    if key in _NOT_HERE:
        return f"{key!r} cannot be set by a manifest: {_NOT_HERE[key]}"
    if f"{key}s" in KEYS:
        return f"unknown key {key!r}; did you mean '{key}s'? (known: {', '.join(KEYS)})"
    if key in CHOICES:
        return f"{key!r} is a recipe field: write it under `set:` (one value) or `sweep:` (several)"
    told = explain_field(key, KEYS)
    return told if "unknown" in told else f"unknown key {key!r}: {told}"
