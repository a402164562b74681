"""diffusers, imported without two optional packages that cost a third of its import and that rendering does not use.

diffusers imports peft and scipy.stats wherever they are installed: a second or more at the start of every run. To a
module that is imported here they look absent, which Python does for names that `sys.modules` maps to None. So diffusers
takes no LoRA from here on, and its schedulers make no beta schedule; batchgen makes its own.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _looking_absent(*packages: str) -> Iterator[None]:
    """Let these packages look as if they were not installed, unless they are imported already."""
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # documented, but not in the types
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _looking_absent("peft", "scipy"):
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.utils import logging as diffusers_logging
    from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection
    from transformers.models.clip.tokenization_clip import CLIPTokenizer
    from transformers.utils import logging as transformers_logging

__all__ = [
    "AutoencoderKL",
    "CLIPTextModel",
    "CLIPTextModelWithProjection",
    "CLIPTokenizer",
    "UNet2DConditionModel",
    "diffusers_logging",
    "transformers_logging",
]
