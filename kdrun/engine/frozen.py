"""The teacher as it stands beside a student: no graph, norms folded, in a fast precision."""

from collections.abc import Collection, Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from kdrun.compress.fold_batch_norm import FoldablePair, fold_pair, foldable_pairs
from kdrun.core.device import Hardware, place_network
from kdrun.core.errors import UserError
from kdrun.core.taps import TappedNetwork, module_path
from kdrun.core.types import Inputs

_AGREEMENT = 0.98  # of a batch's decisions, for a cast to count as leaving the answers


def freeze(
    network: nn.Module, places: Collection[str], hardware: Hardware, images: Inputs
) -> tuple[nn.Module, str]:
    """A copy of the teacher that answers faster, and a sentence on what was done to it.

    Norms are folded into convolutions where that leaves the answers as they are, and the weights
    are cast once to the run's precision where the teacher decides as before.

    Args:
        network: the trained teacher.
        places: tapped module paths, whose activations must stay what they are.
        hardware: the run's device and precision.
        images: a training batch (B, C, H, W) on the device, on which the copy is held against
            the original.
    """
    teacher = place_network(deepcopy(network), hardware.device)
    teacher.eval().requires_grad_(False)
    expected = _answers(teacher, places, images)
    folded, pairs = fold_norms(teacher, places)
    if not _equal(_answers(folded, places, images), expected):
        folded, pairs = teacher, 0
    fast, precision = _cast(folded, hardware, images, expected[0])
    return fast, f"teacher runs without gradients, {pairs} norms folded, in {precision}"


def fold_norms(network: nn.Module, keep: Collection[str] = ()) -> tuple[nn.Module, int]:
    """A copy with each batch norm merged into the layer that it alone reads.

    The norm's place holds an identity, so that module paths stay and its output is the same.

    Args:
        network: in eval mode; one that can't be traced is answered as it is.
        keep: module paths whose output (or, with `:in`, input) must stay what it is.

    Returns:
        The copy and how many norms were folded.
    """
    folded = deepcopy(network)
    free = [
        (layer, norm)
        for layer, norm in _pairs(folded)
        if not any(_falls_between(place, layer, norm) for place in keep)
    ]
    for layer, norm in free:
        fold_pair(folded, layer, norm)
        folded.get_submodule(layer).requires_grad_(False)
    return folded, len(free)


def _falls_between(place: str, layer: str, norm: str) -> bool:
    """Whether a tap may read what the layer answers, which folding changes."""
    path = module_path(place)
    has_layer, has_norm = (f"{inner}.".startswith(f"{path}.") for inner in (layer, norm))
    if place.endswith(":in"):
        return has_norm and not has_layer
    return has_layer and not has_norm


def _pairs(network: nn.Module) -> list[FoldablePair]:
    """Paths of (layer, norm) where the norm alone reads the layer; none without a graph."""
    try:
        return foldable_pairs(network)
    except UserError:
        return []


def _cast(
    network: nn.Module, hardware: Hardware, images: Inputs, expected: Tensor
) -> tuple[nn.Module, str]:
    if hardware.precision == "fp32":
        return network, "fp32"
    low = _fed_with(deepcopy(network).to(hardware.dtype), hardware.dtype)
    same = _fed_with(network, torch.float32)
    try:
        answers = _answers(low, (), images)[0].float()
    except RuntimeError as error:
        return same, f"fp32 ({hardware.precision} fails: {str(error).splitlines()[0]})"
    agreement = (answers.argmax(1) == expected.argmax(1)).float().mean().item()
    if agreement >= _AGREEMENT and bool(torch.isfinite(answers).all()):
        return low, f"{hardware.precision} (decides as in fp32 on {agreement:.1%} of a batch)"
    return same, f"fp32 ({hardware.precision} decides as fp32 on {agreement:.1%} of a batch)"


def _fed_with(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The network, its inputs cast to this type first: batches come in the run's precision."""
    network.register_forward_pre_hook(lambda module, inputs: (_as_type(inputs[0], dtype),))
    return network


def _as_type(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    if isinstance(inputs, Mapping):
        return {name: _float_as(value, dtype) for name, value in inputs.items()}
    return _float_as(inputs, dtype)


def _float_as(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


@torch.no_grad()
def _answers(network: nn.Module, places: Collection[str], images: Inputs) -> list[Tensor]:
    """The logits and whatever is tapped."""
    tapped = TappedNetwork(network, {place: place for place in places})
    output = tapped(images)
    tapped.close()
    taps = [value for value in output.taps.values() if isinstance(value, Tensor)]
    return [output.logits, *taps]


def _equal(answers: list[Tensor], expected: list[Tensor]) -> bool:
    return all(
        bool((found - wanted).abs().max() <= 1e-4 * wanted.abs().max().clamp(min=1e-6))
        for found, wanted in zip(answers, expected, strict=True)
    )
