"""Textual inversions (arXiv:2208.01618): vectors that stand in a prompt where a text encoder has tokens.

A prompt names them: `embedding:name`, as in ComfyUI, or by the bare name with A1111's emphasis. Each vector counts as a
token, weighs what its name weighs, and is put behind the encoder's table of words while a text is read; the table
itself is never touched. Among token ids, vectors are numbers below 0.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from batchgen.diffusion.emphasis import Emphasis, Segment
from batchgen.errors import ModelError
from batchgen.job import File
from batchgen.models.header import read_header
from batchgen.parts import Text

Run = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Token ids of shape (rows, tokens) to states (rows, tokens, width), and a summary of each row (rows, width)."""

_WHOLE = ("emb_params", "*")
"""What the vectors are called in files for one encoder, by A1111 and by the first trainer."""

_STOOD_IN = 0
"""A token that every vocabulary has and that ends no text; a vector takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """The inversions that a text may name, as one text encoder takes them."""

    named: Mapping[str, Tensor] = field(default_factory=dict)
    """Name -> shape (vectors, width)."""
    emphasis: Emphasis = "none"

    def apart(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        """Return `segments` with every name that is one of these in a segment of its own, without what is around it."""
        if not self.named:
            return tuple(segments)
        return tuple(each for segment in segments for each in self._apart(segment))

    def _apart(self, segment: Segment) -> Iterator[Segment]:
        parts = _written(self.named, self.emphasis).split(segment.text)
        if len(parts) == 1:
            yield segment
            return
        new_chunk = segment.new_chunk
        for part in filter(None, map(str.strip, parts)):
            yield replace(segment, text=part, new_chunk=new_chunk)
            new_chunk = False

    def ids(self, text: str) -> Sequence[int] | None:
        """Return numbers below 0 for the vectors that a segment of `apart` names; None: it is text."""
        start = -1
        for name, vectors in self.named.items():
            if _written([name], self.emphasis).fullmatch(text):
                return range(start, start - len(vectors), -1)
            start -= len(vectors)
        return None

    def behind(self, table: nn.Module, run: Run) -> Run:
        """Return `run`, which reads tokens through `table`, with these vectors in place of numbers below 0."""
        if not self.named:
            return run
        rows = torch.cat(list(self.named.values()))

        def reading(ids: Tensor) -> tuple[Tensor, Tensor | None]:
            def place(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
                placed = output.clone()
                placed[(ids < 0).to(output.device)] = rows[-1 - ids[ids < 0]].to(output)
                return placed

            hook = table.register_forward_hook(place)
            try:
                return run(ids.where(ids >= 0, _STOOD_IN))
            finally:
                hook.remove()

        return reading


class Inversions:
    """The files of textual inversions that a model has read; they are small, and stay."""

    def __init__(self) -> None:
        """None is read yet."""
        self._read: dict[str, Mapping[str, Tensor]] = {}

    def vectors(self, files: Sequence[File], emphasis: Emphasis, *, key: str, width: int) -> Vectors:
        """Return what an encoder with `width` numbers a token takes of `files`.

        Args:
            files: By name; a text names what it takes of them.
            emphasis: How the text names them.
            key: What the encoder's part is called in files for several: `clip_l`, `clip_g`, `t5xxl`.
            width: Of the encoder.

        Raises:
            ModelError: a file cannot be read, or its vectors are for another encoder.
        """
        if len({each.name.casefold(): each for each in files}) < len(set(files)):
            raise ModelError(f"two embeddings have one name: {', '.join(each.name for each in files)}")
        return Vectors(named={each.name: self._fitting(each, key, width) for each in files}, emphasis=emphasis)

    def _fitting(self, file: File, key: str, width: int) -> Tensor:
        if file.digest not in self._read:
            self._read[file.digest] = read_inversion(Path(file.path))
        parts = self._read[file.digest]
        whole = next((parts[name] for name in _WHOLE if name in parts), None)
        found = parts.get(key, whole)
        if found is None and len(parts) == 1:
            found = next(iter(parts.values()))  # diffusers calls it as the word that it was trained for
        if found is None:
            raise ModelError(f"has vectors for {', '.join(parts)}, and none for {key}", where=file.path)
        if found.shape[-1] != width:
            said = f"its vectors have {found.shape[-1]} numbers, and a text encoder of this model takes {width}"
            raise ModelError(said, where=file.path)
        return found


def all_are_named(files: Sequence[File], text: Text) -> None:
    """See that each of `files` is named by a prompt: what a job has, but nobody names, would be missing in silence.

    Raises:
        ModelError: one is not, for its file has another name by now.
    """
    for each in files:
        named = _written([each.name], text.emphasis)
        if not named.search(text.prompt) and not named.search(text.negative_prompt):
            raise ModelError(f"embedding {each.name!r} is named by neither prompt", where=each.path)


def read_inversion(path: Path) -> Mapping[str, Tensor]:
    """Return the vectors in a file, by name: each of shape (vectors, width), fp32.

    Raises:
        ModelError: it cannot be read, or holds no vectors.
    """
    tensors = _tensors(path)
    if not tensors or any(each.ndim not in (1, 2) or not each.numel() for each in tensors.values()):
        raise ModelError("holds no vectors of a textual inversion", where=str(path))
    found = {name: each.detach().float().reshape(-1, each.shape[-1]) for name, each in tensors.items()}
    if len({len(each) for each in found.values()}) > 1:
        raise ModelError("has more vectors for one text encoder than for another", where=str(path))
    if not all(bool(each.isfinite().all()) for each in found.values()):
        raise ModelError("has vectors that are not finite", where=str(path))
    return found


def _tensors(path: Path) -> Mapping[str, Tensor]:
    if path.suffix.lower() == ".safetensors":
        read_header(path)  # which says in words what is wrong with a file
        try:
            found: Mapping[str, Tensor] = load_file(path)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot be read: {error}", where=str(path)) from error
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how a pickle was written
            held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(f"cannot be read as weights alone: {reason}", where=str(path)) from error
    held = held.get("string_to_param", held) if isinstance(held, Mapping) else None
    items = held.items() if isinstance(held, Mapping) else ()
    return {str(name): each for name, each in items if isinstance(each, Tensor)}


def _written(names: Sequence[str] | Mapping[str, Any], emphasis: Emphasis) -> re.Pattern[str]:
    """Return how these names stand in a text, as the only group; the longest first."""
    each = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    prefix, end = ("(?:embedding:)?" if emphasis == "a1111" else "embedding:"), r"(?:\.(?:safetensors|pt|pth|bin))?"
    folders = r"(?:[\w.-]+/)*" if emphasis == "comfy" else ""
    return re.compile(rf"(?<!\w)({prefix}{folders}(?:{each}){end})(?!\w)", re.IGNORECASE)
