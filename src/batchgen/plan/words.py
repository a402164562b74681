"""The words of the command line, applied to a manifest; and the manifest as it is kept beside the pictures.

A word for a name that is an axis replaces the axis; several values make one. What `--prompt` says is taken literally.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from batchgen.errors import ManifestError, unknown_name
from batchgen.manifest import Comparing, Entry, Manifest, manifest_text
from batchgen.manifest.reading import text_problem
from batchgen.manifest.shape import CHOICES, KEYS
from batchgen.plan.fields import may_be_range, read_size, wrong_field
from batchgen.plan.prompts import written_out
from batchgen.plan.sweep import label
from batchgen.shipped import at_home, matching
from batchgen.wishes import PICTURES

Fields = Mapping[str, tuple[Any, ...]]
"""Words of the command line: a name and its values, each typed."""

_SIDES: Final = ("width", "height")


def with_words(manifest: Manifest, fields: Fields) -> Manifest:
    """Return the manifest that the command line makes of a manifest.

    Args:
        manifest: As read from its file, or empty.
        fields: Values by name. `prompt` has the texts of `--prompt`, which replace the manifest's prompts; `seeds` has
            the word of `--seeds`, such as `0..3`, or the seeds and ranges of `seeds=1,5..7`; `seed` has seeds.

    Raises:
        ManifestError: a word names no option of its bundle, or a prompt cannot be kept.
    """
    for name, values in fields.items():
        manifest = _with_word(manifest, name, values)
    return manifest


def _with_word(manifest: Manifest, name: str, values: tuple[Any, ...]) -> Manifest:
    word = f"{name}={','.join(label(value) for value in values)}"
    if name == "prompt":
        return _with_prompts(manifest, values)
    if name == "seeds":
        return _with_seeds(manifest, values, word)
    if name == "seed":
        return replace(manifest, seeds=list(values), words={**manifest.words, ("seeds",): word})
    for value in values:
        if isinstance(value, list | dict):
            several = ",".join(label(each) for each in value)
            right = wrong_field(name, CHOICES) if name in KEYS else f"several values are written {name}={several}"
            raise ManifestError(right, where=word)
    if name in manifest.bundles:
        return _with_options(manifest, name, values, word)
    is_axis = name in manifest.sweep or name not in CHOICES or len(values) > 1 or may_be_range(name, values[0])
    return _with_axis(manifest, name, values, word) if is_axis else _with_setting(manifest, name, values[0], word)


def _with_seeds(manifest: Manifest, values: tuple[Any, ...], word: str) -> Manifest:
    """Take `--seeds 0..3`, or `seeds=1,5` with its several values."""
    seeds, said = (values[0], f"--seeds {values[0]}") if len(values) == 1 else (list(values), word)
    return replace(manifest, seeds=seeds, words={**manifest.words, ("seeds",): said})


def _with_prompts(manifest: Manifest, texts: tuple[Any, ...]) -> Manifest:
    entries = []
    for text in texts:
        if not isinstance(text, str) or text_problem(text):
            reason = text_problem(text) if isinstance(text, str) else "a prompt is text"
            raise ManifestError(f"{reason}", where="--prompt")
        entries.append(Entry(kind="prompt", text=text, where="--prompt"))
    return replace(manifest, prompts=tuple(entries), words={**manifest.words, ("prompts",): "--prompt"})


def _with_options(manifest: Manifest, name: str, values: tuple[Any, ...], word: str) -> Manifest:
    """Keep some options of a bundle."""
    known = manifest.bundles[name]
    for value in values:
        if label(value) not in known:
            raise ManifestError(unknown_name(f"option of {name}", label(value), known), where=word)
    options = {label(value): known[label(value)] for value in values}
    # Of clips of which some are not asked for now, nothing is joined.
    join = () if set(manifest.join) & (known.keys() - options.keys()) else manifest.join
    changed = replace(manifest, bundles={**manifest.bundles, name: options}, join=join)
    return _unzipped(changed, name) if len(options) == 1 else changed


def _with_axis(manifest: Manifest, name: str, values: tuple[Any, ...], word: str) -> Manifest:
    changed = replace(
        manifest,
        sweep={**manifest.sweep, name: values},
        set={key: value for key, value in manifest.set.items() if key != name},
        words={**manifest.words, ("sweep", name): word, **{("sweep", name, i): word for i in range(len(values))}},
    )
    return _unzipped(changed, name) if len(values) == 1 and not may_be_range(name, values[0]) else changed


def _unzipped(manifest: Manifest, name: str) -> Manifest:
    """Take an axis that has become one value out of its zip group: it goes with every value of the others."""
    groups = (tuple(each for each in group if each != name) for group in manifest.zip)
    return replace(manifest, zip=tuple(group for group in groups if len(group) > 1))


def _with_setting(manifest: Manifest, name: str, value: Any, word: str) -> Manifest:
    kept = dict(manifest.set)
    if name == "size":
        kept = {key: each for key, each in kept.items() if key not in _SIDES}
    elif name in _SIDES and "size" in kept and not manifest.words.get(("set", "size")):
        kept |= _sides(kept.pop("size"))
    return replace(manifest, set={**kept, name: value}, words={**manifest.words, ("set", name): word})


def _sides(size: Any) -> dict[str, Any]:
    """Return the sides of a size; a wrong one is found when it is read."""
    try:
        return read_size(size)
    except ValueError:
        return {"size": size}


def saved_text(manifest: Manifest, fields: Fields) -> str:
    """Return the manifest as a run directory keeps it: words applied, prompt files written in.

    Read back and expanded without any words, it asks for the same pictures.

    Raises:
        ManifestError: as `with_words`; or a prompt file cannot be read.
    """
    return manifest_text(_document(with_words(manifest, fields)))


def _document(manifest: Manifest) -> dict[str, Any]:
    subset = manifest.subset
    parts: dict[str, Any] = {
        "name": manifest.name,
        "set": _rooted(manifest.set, manifest.folder),
        "prompts": [
            _entry(replace(entry, fields=_rooted(entry.fields, manifest.folder))) for entry in written_out(manifest)
        ],
        "seeds": list(manifest.seeds) if isinstance(manifest.seeds, tuple) else manifest.seeds,
        "sweep": {
            name: values[0] if len(values) == 1 and not isinstance(values[0], list) else list(values)
            for name, values in _rooted(manifest.sweep, manifest.folder).items()
        },
        "bundles": {
            name: {key: _rooted(each, manifest.folder) for key, each in opts.items()}
            for name, opts in manifest.bundles.items()
        },
        "zip": [list(group) for group in manifest.zip],
        "exclude": [
            *({name: list(values) for name, values in each.items()} for each in manifest.exclude),
            *(["incompatible"] if manifest.incompatible else []),
        ],
        "subset": {"count": subset.count, "seed": subset.seed} if subset else None,
        "order": manifest.order if manifest.order != "grouped" else None,
        "join": list(manifest.join),
    }
    found = {name: part for name, part in parts.items() if part is not None and part not in ({}, [])}
    return found if manifest.compare == Comparing() else {**found, "compare": _compare(manifest.compare)}


def _compare(comparing: Comparing | None) -> Any:
    if comparing is None:
        return False
    against = comparing.against if isinstance(comparing.against, str | None) else dict(comparing.against)
    said = {**comparing.sides, "against": against, "columns": comparing.columns, "cell": comparing.cell}
    kept = {key: value for key, value in said.items() if value is not None}
    return kept if comparing.grid else {**kept, "grid": False}


def _rooted(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return fields with paths from the root where they begin at the manifest, which is kept in another folder."""
    return {
        name: _from_root(value, folder) if name in PICTURES else _found_here(value, folder)
        for name, value in values.items()
    }


def _found_here(value: Any, folder: Path) -> Any:
    """Return a pattern of models from the root if it finds something here, as `Beside.files` looks here first."""
    if isinstance(value, tuple):
        return tuple(_found_here(each, folder) for each in value)
    here = (
        isinstance(value, dict) and isinstance(value.get("files"), str) and matching(folder / at_home(value["files"]))
    )
    return _from_root(value, folder) if here else value


def _from_root(value: Any, folder: Path) -> Any:
    if isinstance(value, tuple):
        return tuple(_from_root(each, folder) for each in value)
    if isinstance(value, dict) and isinstance(value.get("files"), str):
        return {"files": _from_root(value["files"], folder)}
    if not isinstance(value, str) or value in ("none", "alpha") or value.startswith("~"):
        return value
    ending = "/" if value.endswith("/") else ""
    return f"{folder.absolute() / value}{ending}"


def _entry(entry: Entry) -> Any:
    labels = {"name": entry.name, "note": entry.note}
    draw = {"mode": "sample", "count": entry.sample, "seed": entry.sample_seed} if entry.sample else {}
    rest = {key: value for key, value in labels.items() if value is not None} | draw | dict(entry.fields)
    if entry.kind == "prompt" and not rest:
        return entry.text
    return {entry.kind: entry.text, **rest}
