"""Functions that many losses share: cross-entropy with the labels, logits, precision."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, Output
from kdrun.loss.base import require_teacher


class Logits(NamedTuple):
    """Logits (N, C) of both networks in float32 or float64, the teacher's detached."""

    student: Tensor
    teacher: Tensor


def logits_of(student: Output, teacher: Output | None) -> Logits:
    """Return the logits of both networks; half precision is converted to float32."""
    return Logits(to_float32(student.logits), teacher_logits(teacher))


def teacher_logits(teacher: Output | None) -> Tensor:
    """Return the teacher's logits (N, C), detached; half precision is converted to float32."""
    return to_float32(require_teacher(teacher).logits.detach())


def label_loss(logits: Tensor, batch: Batch, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy with the labels, averaged over labeled samples; 0 without any.

    If a batch is computed in parts, the mean of the values of the parts, weighted by their numbers
    of samples, is the value of the full batch.

    Args:
        logits: the student's logits (N, C).
        batch: the batch with the labels, which may be mixed by mixup or cutmix.
        smoothing: share of each label, 0 to 1, that is spread evenly over all classes.
    """
    logits = to_float32(logits)
    soft = batch.soft_targets
    targets = batch.targets if soft is None else soft.to(logits.dtype)
    if batch.labeled is None:
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    share = batch.labeled_share
    share = batch.labeled.float().mean() if share is None else share
    return losses.where(batch.labeled, 0).mean() / share.clamp(min=1e-12)


def sum_terms(terms: list[Tensor]) -> Tensor:
    """Return the sum of scalars, added in the order of the list."""
    return sum(terms[1:], terms[0])


def squared_error(student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean squared difference of tensors (B, ...); of texts (B, T), over their tokens.

    Args:
        student: (B, ...), or (B, T) with zeros in place of padding.
        teacher: the same.
        mask: (B, T), which positions of texts are tokens; None if they are no texts.
    """
    if mask is None:
        return F.mse_loss(student, teacher)
    return (student - teacher).square().sum() / mask.sum()


def to_float32(tensor: Tensor) -> Tensor:
    """Convert half precision to float32, as sums over many values in it are too inexact."""
    return tensor.float() if torch.finfo(tensor.dtype).bits < 32 else tensor


def no_autocast(tensor: Tensor) -> torch.autocast:
    """Return a context without autocast, for products that are too inexact in half precision."""
    return torch.autocast(tensor.device.type, enabled=False)


def find_linear(network: nn.Module, path: str) -> nn.Linear | None:
    """Return the linear layer at a module path, or the only layer of a sequence there."""
    layer = network.get_submodule(path)
    if isinstance(layer, nn.Sequential) and len(layer) == 1:
        layer = layer[0]
    return layer if isinstance(layer, nn.Linear) else None


def copy_classifier(classifier: nn.Linear, loss: nn.Module, prefix: str) -> None:
    """Copy a linear layer into buffers of a loss, `PREFIX_weight` and `PREFIX_bias`.

    They are neither trained nor saved, as a resumed run binds the loss again. A missing bias is 0.
    """
    weight, bias = classifier.weight, classifier.bias
    bias = weight.new_zeros(classifier.out_features) if bias is None else bias
    for name, value in ((f"{prefix}_weight", weight), (f"{prefix}_bias", bias)):
        loss.register_buffer(name, to_float32(value.detach()).clone(), persistent=False)
