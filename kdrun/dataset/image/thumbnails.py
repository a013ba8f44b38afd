"""Small copies of images for reports."""

import numpy as np
from torch import Tensor, nn

_SIDE = 64  # pixels of an image's longer side, at most


def thumbnails(images: Tensor) -> np.ndarray:
    """Return images (B, H, W, C) uint8, made smaller where a side is above the limit."""
    images = images.cpu()
    height, width = images.shape[1:3]
    factor = _SIDE / max(height, width)
    if factor >= 1:
        return images.numpy()
    size = [max(1, round(height * factor)), max(1, round(width * factor))]
    resized = nn.functional.interpolate(
        images.permute(0, 3, 1, 2).float(), size=size, mode="bilinear", antialias=True
    )
    return resized.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
