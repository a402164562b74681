"""What flows along the links of a ComfyUI graph, as far as a recipe can be made of it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

_Inner = TypeVar("_Inner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA in one of its two chains."""

    node: str
    name: str
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelValue:
    """MODEL: a denoiser with what was laid beside its weights."""

    checkpoint: str
    loras: tuple[Adapter, ...] = ()
    shift_of: tuple[int, int] | None = None
    """The size that ModelSamplingFlux was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipValue:
    """CLIP: text encoders."""

    checkpoint: str | None
    """None: loaded from files of their own."""
    loras: tuple[Adapter, ...] = ()
    skip: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeValue:
    """VAE: of a checkpoint, or a file of its own."""

    checkpoint: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """CONDITIONING: a prompt and who reads it."""

    text: str
    clip: ClipValue | None
    """None where nothing is said: no guidance, no negative prompt."""
    guidance: float | None = None
    """Of FLUX.1-dev."""
    zero: bool = False
    """Zeroes instead of an encoded text; without effect where there is no guidance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guider:
    """GUIDER: a model and what it is told."""

    model: ModelValue
    positive: Conditioning
    negative: Conditioning
    guidance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """SIGMAS: how noise falls."""

    model: ModelValue
    schedule: str
    steps: int
    strength: float


@dataclass(frozen=True, slots=True)
class Seed:
    """NOISE."""

    seed: int


@dataclass(frozen=True, slots=True)
class Sampler:
    """SAMPLER, by its name here."""

    name: str


@dataclass(frozen=True, slots=True)
class Enlarger:
    """UPSCALE_MODEL."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """MASK: of a file."""

    file: str
    alpha: bool
    """Where the file is transparent; else where it is white."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """IMAGE from a file."""

    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized(Generic[_Inner]):
    """IMAGE or LATENT brought to another size: to `width` x `height` (0: as the other says), or by `factor`."""

    node: str
    inner: _Inner
    method: str
    width: int = 0
    height: int = 0
    crop: bool = False
    factor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlarged:
    """IMAGE made larger by a model."""

    node: str
    inner: "Image"
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """IMAGE out of latents."""

    node: str
    latent: "Latent"
    vae: VaeValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """LATENT to begin with noise alone."""

    width: int
    height: int
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """LATENT of a picture, perhaps with a mask."""

    node: str
    image: "Image"
    vae: VaeValue
    mask: Mask | None = None
    grow: int = 0
    neutral: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """One LATENT of a batch."""

    node: str
    inner: "Latent"
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """LATENT that went through a sampler."""

    node: str
    told: Guider
    seed: int
    sampler: str
    schedule: str
    steps: int
    strength: float
    latent: "Latent"
    half: tuple[int, int] | None = None
    """All steps, and the one before which it stopped, of a sampler that leaves noise for another."""


Image = Loaded | Resized["Image"] | Enlarged | Decoded
Latent = Empty | Encoded | Resized["Latent"] | Picked | Sampled
