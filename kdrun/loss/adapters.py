"""Adapters that bring two feature maps to the same layout, number of channels and size.

Losses read taps by `maps_of`, `rows_of` or `embeddings_of`, which leave out the padding of texts.
"""

from math import isqrt
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import DataInfo, Output
from kdrun.loss.functional import to_float32
from kdrun.loss.tap_pairs import Shape


class MapPair(NamedTuple):
    """Feature maps (B, C_s, H, W) and (B, C_t, H, W) of student and teacher."""

    student: Tensor
    teacher: Tensor


class Channels(NamedTuple):
    """The numbers of channels of the student's and the teacher's feature maps."""

    student: int
    teacher: int


def to_maps(features: Tensor) -> Tensor:
    """Return features as maps (B, C, H, W).

    Tokens (B, T, C) are arranged as a square, without the class token before them; if T is no
    square number, they become a single row. Vectors (B, C) become maps of one pixel.
    """
    if features.dim() == 4:
        return features
    if features.dim() == 2:
        return features[:, :, None, None]
    batch, tokens, width = features.shape
    side = isqrt(tokens)
    if side**2 != tokens and isqrt(tokens - 1) ** 2 == tokens - 1:
        features, side = features[:, 1:], isqrt(tokens - 1)
    height = side if side**2 == features.shape[1] else 1
    return features.transpose(1, 2).reshape(batch, width, height, -1)


def map_shape(shape: Shape) -> Shape:
    """Return the shape of the maps into which `to_maps` turns features of a shape."""
    return tuple(to_maps(torch.empty(shape, device="meta")).shape)


def count_channels(student: Shape, teacher: Shape) -> Channels:
    """Return the numbers of channels of two features, as maps."""
    return Channels(map_shape(student)[1], map_shape(teacher)[1])


def to_smaller_size(student: Tensor, teacher: Tensor) -> MapPair:
    """Return two maps (B, C, H, W), each averaged to the smaller height and width of both."""
    size = min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3])
    return MapPair(_pool(student, size), _pool(teacher, size))


def meets_in_one_pixel(student: Shape, teacher: Shape) -> bool:
    """Return whether two features, as maps, have one pixel after `to_smaller_size`."""
    first, second = map_shape(student), map_shape(teacher)
    return min(first[2], second[2]) * min(first[3], second[3]) == 1


def channel_adapter(student: int, teacher: int) -> nn.Sequential:
    """Return a 1x1 convolution with a batch norm from the student's channels to the teacher's."""
    convolution = nn.Conv2d(student, teacher, kernel_size=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(teacher))


def align(student: Tensor, teacher: Tensor) -> MapPair:
    """Return features as maps of the same size in float32 or float64, the teacher's detached."""
    return to_smaller_size(to_maps(to_float32(student)), to_maps(to_float32(teacher.detach())))


def maps_of(output: Output, tap: str) -> Tensor:
    """Return a tap as maps (B, C, H, W) in float32 or float64, for losses that average over pixels.

    Each of the M tokens of a batch of texts becomes a map of one pixel (M, C, 1, 1), so that norms
    and means see tokens alone, and no padding.
    """
    features = to_float32(output.taps[tap])
    if output.mask is None or features.dim() != 3:
        return to_maps(features)
    return features[output.mask][:, :, None, None]


def rows_of(output: Output, tap: str) -> Tensor:
    """Return a tap as maps (B, C, H, W) in float32 or float64, for losses that compare pixels.

    Each text becomes a row of pixels (B, C, 1, T), with zeros in place of padding.
    """
    features = without_padding(output, tap)
    is_text = output.mask is not None and features.dim() == 3
    return features.mT[:, :, None] if is_text else to_maps(features)


def without_padding(output: Output, tap: str) -> Tensor:
    """Return a tap (B, ...) in float32 or float64, with zeros in place of padding."""
    features = to_float32(output.taps[tap])
    if output.mask is None or features.dim() != 3:
        return features
    return features.where(output.mask[:, :, None], 0)


def adapted_rows_of(output: Output, tap: str, adapter: nn.Module) -> Tensor:
    """Return `rows_of` after an adapter with 1x1 kernels, whose norms see no padding."""
    adapted = to_float32(adapter(maps_of(output, tap)))
    if output.mask is None or output.taps[tap].dim() != 3:
        return adapted
    rows = adapted.new_zeros(*output.mask.shape, adapted.shape[1])
    return rows.masked_scatter(output.mask[:, :, None], adapted.flatten(1)).mT[:, :, None]


def pooled_maps_of(output: Output, tap: str) -> Tensor:
    """Return a tap as maps (B, C, H, W); each text becomes a pixel, the average of its tokens."""
    if output.mask is None:
        return to_maps(output.taps[tap])
    return embeddings_of(output, tap)[:, :, None, None]


def pooled_shape(shape: Shape, data: DataInfo) -> Shape:
    """Return the shape of the maps into which `pooled_maps_of` turns features of a shape."""
    return (shape[0], shape[-1], 1, 1) if data.inputs.modality == "text" else map_shape(shape)


def embeddings_of(output: Output, tap: str) -> Tensor:
    """Return a tap averaged over pixels or tokens, as vectors (B, C) in float32 or float64."""
    features = to_float32(output.taps[tap])
    if output.mask is None or features.dim() != 3:
        return to_maps(features).mean(dim=(2, 3))
    return without_padding(output, tap).sum(dim=1) / output.mask.sum(dim=1, keepdim=True)


def _pool(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return maps if tuple(maps.shape[2:]) == size else F.adaptive_avg_pool2d(maps, size)
