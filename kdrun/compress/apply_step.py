"""What a compression step promises, and how one is done to a network that has steps behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import nn

from kdrun.compress.quantize.requantize import QUANTIZING, STATIC, again, in_float
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import Change, Ranges, zeros, zeros_of


@dataclass(frozen=True)
class Changed:
    """What a step made of a network.

    Attributes:
        network: as it is now.
        changes: what rebuilds its structure, in order.
        notes: what the user should know, in sentences.
        ranges: of each activation that was calibrated, what was seen and what is kept of it.
    """

    network: nn.Module
    changes: Sequence[Change] = ()
    notes: Sequence[str] = ()
    ranges: Ranges = field(default_factory=dict)


class Changing(Protocol):
    """A step that changes a network without training."""

    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        """Change a network, which may be done in place; answers its own changes alone.

        Raises:
            UserError: it can't be done.
        """
        ...


def change(
    step: Changing,
    network: nn.Module,
    changes: Sequence[Change],
    build: Callable[[Sequence[Change]], nn.Module],
    material: StepInputs,
) -> Changed:
    """Do a step to a network that was changed before; answers all changes together.

    Quantization stays last: a step after it works on what the numbers stand for, and what it
    leaves is rounded again; of single layers, those that a later step doesn't round itself.

    Args:
        step: what is done.
        network: with its weights, on the device.
        changes: what was done to it.
        build: the network with the structure of some changes, with weights of no meaning.
        material: samples and a seed.

    Raises:
        UserError: it can't be done.
    """
    rounding = [one for one in changes if one["name"] in QUANTIZING]
    earlier = [one for one in changes if one["name"] not in QUANTIZING]
    if rounding:
        device = material.sample.device
        network = in_float(network, build(earlier).to(device).eval())
    names = {name for name, _ in network.named_parameters()}
    made = step.apply(network, material)
    own, notes = list(made.changes), list(made.notes)
    taken = [one["name"] for one in own if one["name"] in QUANTIZING]
    if not taken:
        names = {name for name, _ in made.network.named_parameters()}
    for one in rounding:
        if taken and STATIC in (one["name"], *taken):
            continue  # of a whole network, the later takes the place of the earlier
        rounded = again(made.network, one, material)
        if rounded is None:
            continue
        made, own = Changed(rounded.network, ranges=rounded.ranges), [*own, rounded.change]
        notes += [] if taken else [*rounded.notes, "what was rounded was rounded again"]
    gone = [name for name in zeros_of(earlier) if name not in names]
    if gone:
        notes.append(f"zeros of {len(gone)} pruned layers are gone: these layers are others now")
    kept = [_still(one, names) for one in (*earlier, *own)]
    return Changed(made.network, kept, notes, made.ranges)


def _still(one: Change, names: set[str]) -> Change:
    """Of weights with zeros those that are still there."""
    if one["name"] != "zeros":
        return one
    return zeros([name for name in one["weights"] if name in names])
