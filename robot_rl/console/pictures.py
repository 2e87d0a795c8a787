"""Pictures for a browser."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

QUALITY = 85
"""Of JPEG [1..95]: no difference to be seen on a page."""


def jpeg(image: np.ndarray) -> bytes:
    """A picture (h, w, 3) uint8 RGB as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
