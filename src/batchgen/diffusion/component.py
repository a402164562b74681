"""A component of a pipeline, as its family names it."""

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One component of a pipeline: a subfolder, and the class that reads it."""

    name: str
    kind: Any
    """A diffusers or transformers class with `from_pretrained`."""

    weights: bool = True
    """Has weights; a tokenizer has none."""

    dtype: torch.dtype | None = None
    """Number format, when it is another than the rest of the model has."""
