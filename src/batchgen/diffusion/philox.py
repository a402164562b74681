"""The normal numbers that a CUDA device draws, computed on the CPU: for pictures of A1111, whose noise is made there.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), as torch seeds and counts it for
`torch.randn(..., device="cuda")`, with Box and Muller's transform: the counter is the place in the tensor and how many
tensors came before. True for tensors that fit one wave of threads, as latents of up to some hundred thousand numbers
do; of a larger one a device lets a thread draw several numbers, while A1111's own emulation counts on as here. The last
bit may differ from a device's own logarithm and sine. Compared with numbers that others printed on a device, to four
digits; it was not run beside a device.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_Words = NDArray[np.uint64]

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_ROUNDS = 10
_TO_UNIT = np.float32(2.0**-32)
_TO_CIRCLE = np.float32(2.0**-32 * 6.2831855)


class PhiloxStream:
    """One generator; each call counts on by one, as a device does from tensor to tensor."""

    def __init__(self, seed: int, *, drawn: int = 0) -> None:
        """Begin with `seed`, 0 to 2^64 - 1, after `drawn` tensors."""
        self._key = seed
        self._offset = drawn

    def __call__(self, shape: Sequence[int]) -> Tensor:
        """Return the next standard normal noise, float32 on the CPU."""
        count = prod(shape)
        places = np.arange(count, dtype=np.uint64)
        zeros = np.zeros(count, dtype=np.uint64)
        counters = (np.full(count, self._offset, dtype=np.uint64), zeros, places, zeros)
        self._offset += 1
        first, second, *_ = _scrambled(counters, self._key)
        u = first.astype(np.float32) * _TO_UNIT + _TO_UNIT / np.float32(2)
        v = second.astype(np.float32) * _TO_CIRCLE + _TO_CIRCLE / np.float32(2)
        normal = np.sqrt(np.float32(-2) * np.log(u)) * np.sin(v)
        return torch.from_numpy(normal.astype(np.float32)).reshape(tuple(shape))


def _scrambled(counters: tuple[_Words, _Words, _Words, _Words], seed: int) -> tuple[_Words, _Words, _Words, _Words]:
    """Return four words of 32 bits for each counter."""
    a, b, c, d = counters
    low, high = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(_ROUNDS):
        left, right = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (
            (right >> np.uint64(32)) ^ b ^ np.uint64(low),
            right & _LOW,
            (left >> np.uint64(32)) ^ d ^ np.uint64(high),
            left & _LOW,
        )
        low, high = (low + _WEYL[0]) & 0xFFFFFFFF, (high + _WEYL[1]) & 0xFFFFFFFF
    return a, b, c, d
