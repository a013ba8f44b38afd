"""Overhaul of feature distillation."""

from math import pi, sqrt
from typing import Unpack

import torch
from torch import Tensor, nn

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.adapters import channel_adapter
from kdrun.loss.base import require_teacher
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import sum_terms, to_float32
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights

_NORMS = nn.BatchNorm1d | nn.BatchNorm2d
_RARE = 0.001  # share of negative responses below which the margin is -3 standard deviations


class OFD(FeatureLoss):
    """Overhaul of features: responses before the activation.

    Formula:
        ofd = sum_l 2^(l - L) (1 / B) sum_i d_i over layers l = 1..L and neurons i
        d = 0 where s <= t' <= 0, else (s - t')^2
        t' = max(t, m), m: a channel's mean negative response
        s, t: values before the activation, the student's adapted to the teacher's channels

    Paper:
        Heo et al., A Comprehensive Overhaul of Feature Distillation, ICCV 2019, arXiv:1904.01866,
        equations 2 to 5, as in the authors' code

    Needs:
        - feature maps of both before their activation (any networks)
        - batch norms before the teacher's activations, for its margins

    Notes:
        - It reads the input of the activation at the end of a stage or, in pre-activation networks,
          at the beginning of the next one. If this activation is no module, it reads the stage's
          output.
        - m is computed from the normal distribution that the weight and bias of the teacher's norm
          before the activation define; without a norm, m is the mean of the negative responses in
          the batch. If a shortcut is added between norm and activation, the norm before the sum is
          used, as in the authors' code.
        - In texts, B is the number of tokens of a batch.
        - Maps of two sizes are averaged to the smaller one.
    """

    auto = "stages[*]:pre"
    copies_teacher_weights = True

    def __init__(self, pairs: TapPairs, **weights: Unpack[TermWeights]) -> None:
        super().__init__(pairs, **weights)
        self.adapters = nn.ModuleList()
        self._notes: list[str] = []

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        super().bind(student, teacher, data)
        teacher = require_teacher(teacher)
        self.adapters = nn.ModuleList()
        self._notes = super().notes()
        for number, (pair, channels) in enumerate(
            zip(self.tap_pairs, self.channels(), strict=True)
        ):
            self.adapters.append(channel_adapter(*channels))
            path = teacher.paths[pair.teacher]
            norm = _norm_before(teacher.network, path, channels.teacher)
            self.register_buffer(f"margin{number}", None if norm is None else _margin(norm))
            if norm is None:
                self._notes.append(f"no batch norm before {path}: margins are those of each batch")

    def notes(self) -> list[str]:
        return self._notes

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        distances = []
        layers = zip(self.aligned(student, teacher), self.adapters, strict=True)
        for number, (maps, adapter) in enumerate(layers):
            margin = getattr(self, f"margin{number}")
            margin = _batch_margin(maps.teacher) if margin is None else margin.to(maps.teacher)
            target = maps.teacher.maximum(margin[:, None, None])
            distance = _partial_distance(to_float32(adapter(maps.student)), target)
            distances.append(distance * 2.0 ** (number + 1 - len(self.tap_pairs)))
        return {"ofd": sum_terms(distances)}


def _partial_distance(student: Tensor, target: Tensor) -> Tensor:
    """Return sum_i d_i of maps (B, C, H, W), averaged over the batch."""
    is_counted = (student > target) | (target > 0)
    return ((student - target).square() * is_counted).sum() / len(student)


def _batch_margin(maps: Tensor) -> Tensor:
    """Return each channel's mean negative response (C,); 0 for a channel without any."""
    count = (maps < 0).sum(dim=(0, 2, 3)).clamp_min(1)
    return maps.clamp_max(0).sum(dim=(0, 2, 3)) / count


def _margin(norm: nn.Module) -> Tensor:
    """Return E[x | x < 0] (C,) for normal x with a norm's bias as mean and weight as deviation."""
    weight, bias = norm.get_parameter("weight"), norm.get_parameter("bias")
    deviation = weight.detach().double().abs().clamp_min(1e-12)
    mean = bias.detach().double()
    ratio = mean / deviation
    negative = torch.special.ndtr(-ratio)  # the share of x < 0
    density = torch.exp(-ratio.square() / 2) / sqrt(2 * pi)
    expected = mean - deviation * density / negative.clamp_min(_RARE)
    return torch.where(negative > _RARE, expected, -3 * deviation).float()


def _norm_before(network: nn.Module, path: str, channels: int) -> nn.Module | None:
    """Return the batch norm whose output enters an activation; None if there is none.

    It is guessed from the module names: in an `nn.Sequential` it is the module just before the
    activation; else the last norm with as many channels in the same block, which is the norm of the
    branch beside the shortcut.

    Args:
        network: the teacher.
        path: the tap path of the activation's input, which ends in `:in`; None is returned for
            other paths.
        channels: number of channels of the tap.
    """
    if not path.endswith(":in"):
        return None
    parent_path, _, name = path.removesuffix(":in").rpartition(".")
    parent = network.get_submodule(parent_path)
    siblings = list(parent.named_children())
    if isinstance(parent, nn.Sequential):
        position = [sibling for sibling, _ in siblings].index(name)
        siblings = siblings[max(0, position - 1) : position]
    norms = [
        module
        for _, module in siblings
        if isinstance(module, _NORMS) and module.num_features == channels and module.affine
    ]
    return norms[-1] if norms else None
