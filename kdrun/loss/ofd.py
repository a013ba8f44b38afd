"""Responses before the activation, where what the teacher rejects need only be low enough."""

from math import pi, sqrt

import torch
from torch import Tensor, nn

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.adapters import aligned, channel_adapter, grid_shape
from kdrun.loss.base import to_float32
from kdrun.loss.feature_loss import Paired

_NORMS = nn.BatchNorm1d | nn.BatchNorm2d
_RARE = 0.001  # share of negative responses below which the margin is 3 deviations


class Overhaul(Paired):
    """Heo et al. 2019 (arXiv:1904.01866), equations 2 to 5, as in the authors' code.

    sum_l 2^(l - L) (1 / B) sum_i d_i over places l = 1..L and all neurons i of a place, with
    d = 0 where s <= t' <= 0, else (s - t')^2, and t' = max(t, m). m is the mean of a channel's
    negative responses, of the normal distribution that the teacher's norm before the activation
    makes; without such a norm, of the batch. s is adapted to the teacher's channels.
    """

    auto = "stages[*]:pre"
    copies_teacher_weights = True

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        super().bind(student, teacher, data)
        self.adapters, self.told = nn.ModuleList(), super().notes()
        for number, pair in enumerate(self.joined):
            own, other = grid_shape(pair.student_shape)[1], grid_shape(pair.teacher_shape)[1]
            self.adapters.append(channel_adapter(own, other))
            place = teacher.paths[pair.teacher] if teacher else ""
            norm = _norm_before(teacher.network, place, other) if teacher else None
            self.register_buffer(f"margin{number}", None if norm is None else _margin(norm))
            if norm is None:
                self.told.append(f"no batch norm before {place}: margins are those of each batch")

    def notes(self) -> list[str]:
        return self.told

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        found = []
        for number, (pair, adapter) in enumerate(zip(self.joined, self.adapters, strict=True)):
            own, other = aligned(student.taps[pair.student], teacher.taps[pair.teacher])
            margin = getattr(self, f"margin{number}")
            margin = _batch_margin(other) if margin is None else margin.to(other)
            distance = _partial(to_float32(adapter(own)), other.maximum(margin[:, None, None]))
            found.append(distance * 2.0 ** (number + 1 - len(self.joined)))
        return {"ofd": sum(found[1:], found[0])}


def _partial(student: Tensor, target: Tensor) -> Tensor:
    """The sum over neurons of maps (B, C, H, W), a mean over the batch."""
    counts = (student > target) | (target > 0)
    return ((student - target).square() * counts).sum() / len(student)


def _batch_margin(maps: Tensor) -> Tensor:
    """Each channel's mean negative response (C,); 0 where none is negative."""
    count = (maps < 0).sum(dim=(0, 2, 3)).clamp_min(1)
    return maps.clamp_max(0).sum(dim=(0, 2, 3)) / count


def _margin(norm: nn.Module) -> Tensor:
    """E[x | x < 0] (C,) of normal x with a norm's weight as deviation and its bias as mean."""
    weight, bias = norm.get_parameter("weight"), norm.get_parameter("bias")
    deviation = weight.detach().double().abs().clamp_min(1e-12)
    mean = bias.detach().double()
    away = mean / deviation
    negative = torch.special.ndtr(-away)
    density = torch.exp(-away.square() / 2) / sqrt(2 * pi)
    expected = mean - deviation * density / negative.clamp_min(_RARE)
    return torch.where(negative > _RARE, expected, -3 * deviation).float()


def _norm_before(network: nn.Module, place: str, channels: int) -> nn.Module | None:
    """The batch norm beside an activation that makes what enters it, as far as names tell.

    In a sequence, the layer just before; else the block's last norm with as many channels: that
    of the way beside the shortcut. None where the place is no activation's entrance.
    """
    if not place.endswith(":in"):
        return None
    above, _, name = place.removesuffix(":in").rpartition(".")
    parent = network.get_submodule(above)
    parts = dict(parent.named_children())
    if isinstance(parent, nn.Sequential):
        names = list(parts)
        parts = {at: parts[at] for at in names[max(0, names.index(name) - 1) : names.index(name)]}
    fitting = [
        part
        for part in parts.values()
        if isinstance(part, _NORMS) and part.num_features == channels and part.affine
    ]
    return fitting[-1] if fitting else None
