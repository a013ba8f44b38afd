"""Prepares a teacher for training a student: no gradients, folded norms, a fast precision."""

from collections.abc import Collection, Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from kdrun.compress.fold_batch_norm import FoldablePair, fold_pair, foldable_pairs
from kdrun.core.device import Hardware
from kdrun.core.errors import UserError, first_line
from kdrun.core.memory_format import move_network
from kdrun.core.taps import TappedNetwork, module_path
from kdrun.core.types import Inputs

_MIN_AGREEMENT = 0.98  # share of a batch with the same decisions that a cast needs


def freeze(
    network: nn.Module, paths: Collection[str], hardware: Hardware, images: Inputs
) -> tuple[nn.Module, str]:
    """Make a faster copy of a teacher.

    Norms are folded into convolutions if that leaves the outputs the same, and the weights are
    cast to the run's precision if that leaves the decisions the same.

    Args:
        network: the trained teacher.
        paths: tapped module paths; their activations must stay the same.
        hardware: the run's device and precision.
        images: a training batch (B, C, H, W) on the device, to compare the copy with the
            original.

    Returns:
        The copy, and a sentence on what was changed.
    """
    teacher = move_network(deepcopy(network), hardware.device)
    teacher.eval().requires_grad_(False)
    expected = _outputs(teacher, paths, images)
    folded, count = fold_norms(teacher, paths)
    if not _equal(_outputs(folded, paths, images), expected):
        folded, count = teacher, 0
    cast, precision = _cast(folded, hardware, images, expected[0])
    return cast, f"teacher runs without gradients, {count} norms folded, in {precision}"


def fold_norms(network: nn.Module, keep: Collection[str] = ()) -> tuple[nn.Module, int]:
    """Return a copy in which batch norms are folded into the layer before them.

    An identity takes the place of each norm, so that module paths and outputs stay.

    Args:
        network: a network in eval mode; if it can't be traced, nothing is folded.
        keep: module paths whose output (or, with `:in`, input) must stay the same.

    Returns:
        The copy and how many norms were folded.
    """
    folded = deepcopy(network)
    pairs = [
        (layer, norm)
        for layer, norm in _foldable_pairs(folded)
        if not any(_falls_between(path, layer, norm) for path in keep)
    ]
    for layer, norm in pairs:
        fold_pair(folded, layer, norm)
        folded.get_submodule(layer).requires_grad_(False)
    return folded, len(pairs)


def _falls_between(tap: str, layer: str, norm: str) -> bool:
    """Return whether a tap reads the layer's output, which folding changes, not the norm's."""
    path = module_path(tap)
    has_layer, has_norm = (f"{inner}.".startswith(f"{path}.") for inner in (layer, norm))
    if tap.endswith(":in"):
        return has_norm and not has_layer
    return has_layer and not has_norm


def _foldable_pairs(network: nn.Module) -> list[FoldablePair]:
    """Return the layers that only a norm reads, with their norms; none if tracing fails."""
    try:
        return foldable_pairs(network)
    except UserError:
        return []


def _cast(
    network: nn.Module, hardware: Hardware, images: Inputs, expected: Tensor
) -> tuple[nn.Module, str]:
    """Cast a network if its decisions stay the same; also return a text on its precision."""
    if hardware.precision == "fp32":
        return network, "fp32"
    cast = _with_input_cast(deepcopy(network).to(hardware.dtype), hardware.dtype)
    unchanged = _with_input_cast(network, torch.float32)
    try:
        outputs = _outputs(cast, (), images)[0].float()
    except RuntimeError as error:
        return unchanged, f"fp32 ({hardware.precision} fails: {first_line(error)})"
    agreement = (outputs.argmax(1) == expected.argmax(1)).float().mean().item()
    if agreement >= _MIN_AGREEMENT and bool(torch.isfinite(outputs).all()):
        return cast, f"{hardware.precision} (decides as in fp32 on {agreement:.1%} of a batch)"
    return unchanged, f"fp32 ({hardware.precision} decides as fp32 on {agreement:.1%} of a batch)"


def _with_input_cast(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Make the network cast its inputs, as batches come in the run's precision."""
    network.register_forward_pre_hook(lambda module, inputs: (_cast_inputs(inputs[0], dtype),))
    return network


def _cast_inputs(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    if isinstance(inputs, Mapping):
        return {name: _cast_float(value, dtype) for name, value in inputs.items()}
    return _cast_float(inputs, dtype)


def _cast_float(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


@torch.no_grad()
def _outputs(network: nn.Module, paths: Collection[str], images: Inputs) -> list[Tensor]:
    """Return the logits, and the activations of the taps."""
    tapped = TappedNetwork(network, {path: path for path in paths})
    output = tapped(images)
    tapped.close()
    taps = [value for value in output.taps.values() if isinstance(value, Tensor)]
    return [output.logits, *taps]


def _equal(outputs: list[Tensor], expected: list[Tensor]) -> bool:
    return all(
        bool((actual - value).abs().max() <= 1e-4 * value.abs().max().clamp(min=1e-6))
        for actual, value in zip(outputs, expected, strict=True)
    )
