"""Which number format weights are held in: the rule, without the library that holds them."""

BYTES: dict[str, int] = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Bytes of one number."""

_MADE_FOR_FP16 = ("sd15", "sdxl")
"""Families that precede bf16; transformers overflow in fp16."""


def held_in(asked: str, machine: str, family: str, device: str) -> str:
    """Return `fp32`, `fp16` or `bf16`: what a job asks for, else what the machine's settings say.

    `auto` is fp32 on a CPU, where half precision is slow. On a GPU it is the format a family's weights are made for.

    >>> held_in("auto", "auto", "sdxl", "cpu"), held_in("auto", "auto", "flux", "cuda"), held_in("fp32", "fp16", "", "")
    ('fp32', 'bf16', 'fp32')
    """
    asked = machine if asked == "auto" else asked
    if asked != "auto":
        return asked
    if device == "cpu":
        return "fp32"
    return "fp16" if family in _MADE_FOR_FP16 else "bf16"
