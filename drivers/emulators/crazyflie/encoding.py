"""The firmware's compressed numbers: quaternions in 32 bits.

The two highest bits tell which component of the unit quaternion (xyzw) is the largest; it is made positive
and left out. The others follow in order with ten bits each: a sign and nine bits of magnitude, in units of
1 / (511 sqrt 2), because no component but the largest is beyond 1 / sqrt 2.
"""

from __future__ import annotations

import math

import numpy as np

_STEPS = 511
_HALF = math.sqrt(0.5)


def compress_quaternion(quaternion: np.ndarray) -> int:
    """32 bits of a unit quaternion xyzw."""
    largest = int(np.argmax(np.abs(quaternion)))
    sign = -1.0 if quaternion[largest] < 0.0 else 1.0
    bits = largest
    for i in range(4):
        if i != largest:
            value = sign * float(quaternion[i]) / _HALF
            bits = bits << 10 | (value < 0.0) << 9 | min(round(abs(value) * _STEPS), _STEPS)
    return bits


def decompress_quaternion(bits: int) -> np.ndarray:
    """(4,) unit quaternion xyzw of 32 bits."""
    largest = bits >> 30 & 0x3
    quaternion = np.zeros(4)
    for i in reversed([i for i in range(4) if i != largest]):
        magnitude = (bits & 0x1FF) / _STEPS * _HALF
        quaternion[i] = -magnitude if bits >> 9 & 1 else magnitude
        bits >>= 10
    quaternion[largest] = math.sqrt(max(0.0, 1.0 - float(quaternion @ quaternion)))
    return quaternion
