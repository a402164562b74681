"""One `.safetensors` file that holds a whole model, as most fine-tuned checkpoints are shared.

Such a file has neither configurations nor tokenizers: they come from a diffusers folder of the same family.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import SingleFileComponentError, create_diffusers_clip_model_from_ldm
from safetensors.torch import load_file

from batchgen.diffusion.loading import Part, tokenizer
from batchgen.errors import ModelError
from batchgen.models.folder import component

_FAULTS = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)


def load_parts(path: Path, folder: Path, parts: Sequence[Part], dtype: torch.dtype) -> dict[str, Any]:
    """Load the components in the checkpoint `path`, configured by those in `folder`.

    Raises:
        ModelError: a component is not in the file, or not as its configuration says.
    """
    weights = load_file(path)
    return {part.name: _load(part, path, folder, weights, dtype) for part in parts}


def _load(part: Part, path: Path, folder: Path, weights: dict[str, torch.Tensor], dtype: torch.dtype) -> Any:
    place = component(folder, part.name)
    if not part.weights:
        return tokenizer(part, place)
    dtype = part.dtype or dtype
    try:
        loaded = _convert(part, folder, weights, dtype).to(dtype).eval()
    except (SingleFileComponentError, NotImplementedError) as error:
        # Weights that the file does not have are left on torch's "meta" device, from which nothing can be copied.
        raise ModelError(f"holds no whole {part.name}: weights are missing", where=str(path)) from error
    except _FAULTS as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"its {part.name} cannot be loaded: {reason}", where=str(path)) from error
    return loaded


def _convert(part: Part, folder: Path, weights: dict[str, torch.Tensor], dtype: torch.dtype) -> Any:
    # The converters take out of the dictionary what they have used; each gets one of its own.
    mine = dict(weights)
    if hasattr(part.kind, "from_single_file"):
        return part.kind.from_single_file(
            mine, config=str(folder), subfolder=part.name, dtype=dtype, local_files_only=True
        )
    return create_diffusers_clip_model_from_ldm(
        part.kind, mine, subfolder=part.name, config=str(folder), torch_dtype=dtype, local_files_only=True
    )
