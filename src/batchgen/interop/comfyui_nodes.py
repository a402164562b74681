"""Every class of ComfyUI's nodes that is read: its inputs -> what it gives at each output. Nothing is computed."""

from dataclasses import replace
from typing import Any, Final

from batchgen.interop import comfyui_values as v
from batchgen.interop.comfyui_evaluation import Evaluation, Kinds
from batchgen.interop.comfyui_graph import Node
from batchgen.interop.imported import posix
from batchgen.sampling.names import ALIASES, SAMPLERS, SCHEDULES

_IMAGE: Final = (v.Loaded, v.Resized, v.Enlarged, v.Decoded)
_LATENT: Final = (v.Empty, v.Encoded, v.Resized, v.Picked, v.Sampled)
_SINGLE_STEP: Final = frozenset({"euler", "ddim", "heun", "dpm_2"})
"""Samplers that keep nothing from step to step and draw no noise: cut in two they give the same."""

_LARGEST_BATCH: Final = 4096
"""ComfyUI's own limit."""


def _checkpoint(at: Evaluation, node: Node) -> tuple[Any, ...]:
    name = posix(at.literal(node, "ckpt_name", str))
    return v.ModelValue(checkpoint=name), v.ClipValue(checkpoint=name), v.VaeValue(checkpoint=name)


def _unet(at: Evaluation, node: Node) -> tuple[Any, ...]:
    if (kind := at.literal(node, "weight_dtype", str, "default")) != "default":
        at.refuse(node, f"weight_dtype {kind!r}: weights are not cut to it here")
    return (v.ModelValue(checkpoint=posix(at.literal(node, "unet_name", str))),)


def _clip(at: Evaluation, node: Node) -> tuple[Any, ...]:
    names = [value for name, value in node.inputs.items() if name.startswith("clip_name")]
    at.warn(node, f"text encoders are the model's own here, not {', '.join(str(name) for name in names)}")
    return (v.ClipValue(checkpoint=None),)


def _vae(at: Evaluation, node: Node) -> tuple[Any, ...]:
    return (v.VaeValue(file=posix(at.literal(node, "vae_name", str))),)


def _lora(at: Evaluation, node: Node) -> tuple[Any, ...]:
    model = at.value(node, "model", v.ModelValue)
    name, scale = posix(at.literal(node, "lora_name", str)), at.literal(node, "strength_model", float, 1.0)
    changed = replace(model, loras=(*model.loras, v.Adapter(node=node.id, name=name, scale=scale)))
    if node.kind == "LoraLoaderModelOnly":
        return (changed,)
    clip = at.value(node, "clip", v.ClipValue)
    own = v.Adapter(node=node.id, name=name, scale=at.literal(node, "strength_clip", float, 1.0))
    return changed, replace(clip, loras=(*clip.loras, own))


def _last_layer(at: Evaluation, node: Node) -> tuple[Any, ...]:
    clip, layer = at.value(node, "clip", v.ClipValue), at.literal(node, "stop_at_clip_layer", int, -1)
    if not -12 <= layer <= -1:
        at.refuse(node, f"stop_at_clip_layer {layer}: here at most 11 layers are left out")
        return (clip,)
    return (replace(clip, skip=-layer),)


def _text(at: Evaluation, node: Node) -> tuple[Any, ...]:
    return (v.Conditioning(text=at.literal(node, "text", str), clip=at.value(node, "clip", v.ClipValue)),)


def _flux_text(at: Evaluation, node: Node) -> tuple[Any, ...]:
    short, long = at.literal(node, "clip_l", str), at.literal(node, "t5xxl", str)
    if short != long:
        at.refuse(node, "clip_l and t5xxl say different things; here one prompt goes to both")
    guidance = at.literal(node, "guidance", float, 3.5)
    return (v.Conditioning(text=long, clip=at.value(node, "clip", v.ClipValue), guidance=guidance),)


def _flux_guidance(at: Evaluation, node: Node) -> tuple[Any, ...]:
    return (replace(at.value(node, "conditioning", v.Conditioning), guidance=at.literal(node, "guidance", float, 3.5)),)


def _zero(at: Evaluation, node: Node) -> tuple[Any, ...]:
    return (replace(at.value(node, "conditioning", v.Conditioning), zero=True),)


def _flux_shift(at: Evaluation, node: Node) -> tuple[Any, ...]:
    shifts = at.literal(node, "max_shift", float, 1.15), at.literal(node, "base_shift", float, 0.5)
    if shifts != (1.15, 0.5):
        at.refuse(node, f"max_shift and base_shift {shifts}: here they are 1.15 and 0.5")
    size = at.literal(node, "width", int), at.literal(node, "height", int)
    return (replace(at.value(node, "model", v.ModelValue), shift_of=size),)


def _empty(at: Evaluation, node: Node) -> tuple[Any, ...]:
    width, height = at.literal(node, "width", int), at.literal(node, "height", int)
    batch = at.literal(node, "batch_size", int, 1)
    if not 1 <= batch <= _LARGEST_BATCH:
        at.refuse(node, f"batch_size {batch} is not from 1 to {_LARGEST_BATCH}")
        batch = 1
    return (v.Empty(width=width, height=height, batch=batch),)


def _names(at: Evaluation, node: Node) -> tuple[str, str]:
    return _sampler_name(at, node), _schedule_name(at, node)


def _sampler_name(at: Evaluation, node: Node) -> str:
    said = at.literal(node, "sampler_name", str)
    if said in SAMPLERS:
        return said
    name, _ = ALIASES.get(said, (said, None))
    if said.endswith("_gpu") and name in SAMPLERS:
        at.warn(node, f"{said} draws its noise on the GPU, {name} on the CPU: pixels will differ")
        return name
    at.refuse(node, f"sampler {said!r} is not known here")
    return "euler"


def _schedule_name(at: Evaluation, node: Node) -> str:
    said = at.literal(node, "scheduler", str)
    if said in SCHEDULES:
        return said
    at.refuse(node, f"scheduler {said!r} is not known here")
    return "normal"


def _told(at: Evaluation, node: Node, guidance: float) -> v.Guider:
    negative = at.value(node, "negative", v.Conditioning)
    if negative.zero and guidance != 1:
        at.refuse(node, "its negative is zeroes, which no prompt says")
    return v.Guider(
        model=at.value(node, "model", v.ModelValue),
        positive=_positive(at, node, "positive"),
        negative=v.Conditioning(text="", clip=None) if negative.zero else negative,
        guidance=guidance,
    )


def _positive(at: Evaluation, node: Node, name: str) -> v.Conditioning:
    found: v.Conditioning = at.value(node, name, v.Conditioning)
    if found.zero:
        at.refuse(node, "its positive is zeroes, which no prompt says")
    return found


def _ksampler(at: Evaluation, node: Node) -> tuple[Any, ...]:
    sampler, schedule = _names(at, node)
    return (
        v.Sampled(
            node=node.id,
            told=_told(at, node, at.literal(node, "cfg", float)),
            seed=at.literal(node, "seed", int),
            sampler=sampler,
            schedule=schedule,
            steps=at.literal(node, "steps", int),
            strength=at.literal(node, "denoise", float, 1.0),
            latent=at.value(node, "latent_image", _LATENT),
        ),
    )


def _advanced(at: Evaluation, node: Node) -> tuple[Any, ...]:
    """Read KSamplerAdvanced: the whole of a schedule, its end, or one of two halves that make a whole."""
    sampler, schedule = _names(at, node)
    steps, start = at.literal(node, "steps", int), at.literal(node, "start_at_step", int, 0)
    end = min(at.literal(node, "end_at_step", int, 10_000), steps)
    noisy, leaves = (at.literal(node, name, str) == "enable" for name in ("add_noise", "return_with_leftover_noise"))
    latent = at.value(node, "latent_image", _LATENT)
    made = v.Sampled(
        node=node.id,
        told=_told(at, node, at.literal(node, "cfg", float)),
        seed=at.literal(node, "noise_seed", int),
        sampler=sampler,
        schedule=schedule,
        steps=steps,
        strength=1.0,
        latent=latent,
    )
    if noisy and not leaves and end == steps and start < steps:
        return (_later(at, node, made, start),)
    if noisy and leaves and start == 0 and 0 < end < steps:
        return (replace(made, half=(steps, end)),)
    if not noisy and not leaves and end == steps and (whole := _joined(made, start)):
        return (whole,)
    at.refuse(node, f"takes steps {start} to {end} of {steps} in a way that no KSampler does")
    return (made,)


def _later(at: Evaluation, node: Node, made: v.Sampled, start: int) -> v.Sampled:
    """Return the sampler that begins at step `start`: as strength, of which ComfyUI makes the same schedule."""
    taken = made.steps - start
    strength = taken / made.steps
    if int(taken / strength) != made.steps:
        at.refuse(node, f"steps {start} to {made.steps} are no strength of {taken} steps")
    return replace(made, steps=taken, strength=strength)


def _joined(second: v.Sampled, start: int) -> v.Sampled | None:
    """Return the one sampler that two halves are; None if they are not exactly one."""
    first = second.latent
    if not isinstance(first, v.Sampled) or first.half != (second.steps, start) or second.sampler not in _SINGLE_STEP:
        return None
    same = replace(second, node=first.node, seed=first.seed, latent=first.latent, half=first.half)
    return replace(first, node=second.node, half=None) if same == first else None


def _custom(at: Evaluation, node: Node) -> tuple[Any, ...]:
    sampler = at.value(node, "sampler", v.Sampler).name
    levels = at.value(node, "sigmas", v.Levels)
    if sampler in SAMPLERS and SAMPLERS[sampler].drops_penultimate:
        at.refuse(node, f"{sampler} takes one level more here, as in KSampler")
    told = at.value(node, "guider", v.Guider)
    if (levels.model.checkpoint, levels.model.shift_of) != (told.model.checkpoint, told.model.shift_of):
        at.refuse(node, "its sigmas are of another model than its guider")
    made = v.Sampled(
        node=node.id,
        told=told,
        seed=at.value(node, "noise", v.Seed).seed,
        sampler=sampler,
        schedule=levels.schedule,
        steps=levels.steps,
        strength=levels.strength,
        latent=at.value(node, "latent_image", _LATENT),
    )
    return (made, made) if sampler in _SINGLE_STEP else (made,)


def _noise(at: Evaluation, node: Node) -> tuple[Any, ...]:
    return (v.Seed(at.literal(node, "noise_seed", int)),)


def _select(at: Evaluation, node: Node) -> tuple[Any, ...]:
    return (v.Sampler(_sampler_name(at, node)),)


def _levels(at: Evaluation, node: Node) -> tuple[Any, ...]:
    steps, strength = at.literal(node, "steps", int), at.literal(node, "denoise", float, 1.0)
    model = at.value(node, "model", v.ModelValue)
    return (v.Levels(model=model, schedule=_schedule_name(at, node), steps=steps, strength=strength),)


def _basic_guider(at: Evaluation, node: Node) -> tuple[Any, ...]:
    model, positive = at.value(node, "model", v.ModelValue), _positive(at, node, "conditioning")
    return (v.Guider(model=model, positive=positive, negative=v.Conditioning(text="", clip=None), guidance=1.0),)


def _cfg_guider(at: Evaluation, node: Node) -> tuple[Any, ...]:
    return (_told(at, node, at.literal(node, "cfg", float)),)


def _decode(at: Evaluation, node: Node) -> tuple[Any, ...]:
    latent, vae = at.value(node, "samples", _LATENT), at.value(node, "vae", v.VaeValue)
    return (v.Decoded(node=node.id, latent=latent, vae=vae),)


def _encode(at: Evaluation, node: Node) -> tuple[Any, ...]:
    image, vae = at.value(node, "pixels", _IMAGE), at.value(node, "vae", v.VaeValue)
    if node.kind == "VAEEncode":
        return (v.Encoded(node=node.id, image=image, vae=vae),)
    mask, grow = at.value(node, "mask", v.Mask), at.literal(node, "grow_mask_by", int, 6)
    return (v.Encoded(node=node.id, image=image, vae=vae, mask=mask, grow=grow, neutral=True),)


def _masked(at: Evaluation, node: Node) -> tuple[Any, ...]:
    latent = at.value(node, "samples", _LATENT)
    if not isinstance(latent, v.Encoded):
        at.refuse(node, "masks something else than an encoded picture")
        return (latent,)
    return (replace(latent, mask=at.value(node, "mask", v.Mask)),)


def _picked(at: Evaluation, node: Node) -> tuple[Any, ...]:
    index, length = at.literal(node, "batch_index", int, 0), at.literal(node, "length", int, 1)
    if length != 1:
        at.refuse(node, f"length {length}: one picture of a batch can be picked")
    return (v.Picked(node=node.id, inner=at.value(node, "samples", _LATENT), index=index),)


def _load(at: Evaluation, node: Node) -> tuple[Any, ...]:
    file = _file(at, node)
    return v.Loaded(file=file), v.Mask(file=file, alpha=True)


def _load_mask(at: Evaluation, node: Node) -> tuple[Any, ...]:
    channel = at.literal(node, "channel", str, "alpha")
    return (v.Mask(file=_file(at, node), alpha=channel == "alpha"),)


def _file(at: Evaluation, node: Node) -> str:
    """Return the file's path below ComfyUI's folder, without the folder's name that may follow in brackets."""
    name = posix(at.literal(node, "image", str))
    for folder in ("input", "output", "temp"):
        name = name.removesuffix(f" [{folder}]")
    return name


def _scaled(at: Evaluation, node: Node) -> tuple[Any, ...]:
    image = node.kind.startswith("Image")
    inner = at.value(node, "image", _IMAGE) if image else at.value(node, "samples", _LATENT)
    made = v.Resized(node=node.id, inner=inner, method=at.literal(node, "upscale_method", str))
    if node.kind.endswith("By"):
        return (replace(made, factor=at.literal(node, "scale_by", float)),)
    width, height = at.literal(node, "width", int), at.literal(node, "height", int)
    crop = at.literal(node, "crop", str, "disabled") == "center"
    return (replace(made, width=width, height=height, crop=crop),)


def _enlarger(at: Evaluation, node: Node) -> tuple[Any, ...]:
    return (v.Enlarger(posix(at.literal(node, "model_name", str))),)


def _enlarged(at: Evaluation, node: Node) -> tuple[Any, ...]:
    model = at.value(node, "upscale_model", v.Enlarger)
    return (v.Enlarged(node=node.id, inner=at.value(node, "image", _IMAGE), model=model.name),)


KINDS: Final[Kinds] = {
    "CheckpointLoaderSimple": _checkpoint,
    "UNETLoader": _unet,
    "CLIPLoader": _clip,
    "DualCLIPLoader": _clip,
    "VAELoader": _vae,
    "LoraLoader": _lora,
    "LoraLoaderModelOnly": _lora,
    "CLIPSetLastLayer": _last_layer,
    "CLIPTextEncode": _text,
    "CLIPTextEncodeFlux": _flux_text,
    "FluxGuidance": _flux_guidance,
    "ConditioningZeroOut": _zero,
    "ModelSamplingFlux": _flux_shift,
    "EmptyLatentImage": _empty,
    "EmptySD3LatentImage": _empty,
    "KSampler": _ksampler,
    "KSamplerAdvanced": _advanced,
    "SamplerCustomAdvanced": _custom,
    "RandomNoise": _noise,
    "KSamplerSelect": _select,
    "BasicScheduler": _levels,
    "BasicGuider": _basic_guider,
    "CFGGuider": _cfg_guider,
    "VAEDecode": _decode,
    "VAEEncode": _encode,
    "VAEEncodeForInpaint": _encode,
    "SetLatentNoiseMask": _masked,
    "LatentFromBatch": _picked,
    "LoadImage": _load,
    "LoadImageMask": _load_mask,
    "ImageScale": _scaled,
    "ImageScaleBy": _scaled,
    "LatentUpscale": _scaled,
    "LatentUpscaleBy": _scaled,
    "UpscaleModelLoader": _enlarger,
    "ImageUpscaleWithModel": _enlarged,
}
"""How each class is read."""
