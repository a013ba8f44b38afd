"""Where losses read networks: from roles and paths to places and shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from kdrun import model
from kdrun.core.config import Network
from kdrun.core.errors import UserError
from kdrun.core.taps import resolve_taps, tap_shapes
from kdrun.core.types import TapShapes
from kdrun.dataset.data import Data
from kdrun.loss.base import Loss
from kdrun.loss.build import build_loss
from kdrun.model.committee import Committee
from kdrun.stage.base import Stage

Member = tuple[str, Network]  # a network's place in the config, and its part of it


@dataclass(frozen=True)
class TapBinding:
    """Where a loss reads one network: its taps' module paths, and their shapes."""

    places: dict[str, str]
    shapes: TapShapes


class Learner(Stage, Protocol):
    """A stage in which a network learns."""

    @property
    def loss(self) -> Mapping[str, Any]: ...

    @property
    def teachers(self) -> Sequence[Stage]: ...

    @property
    def members(self) -> Sequence[Member]: ...


@dataclass(frozen=True)
class Bound:
    """A loss with its networks.

    Attributes:
        loss: bound.
        own: where it reads the network that learns.
        teacher: the network that it learns from, if it does.
        other: where it reads that.
    """

    loss: Loss
    own: TapBinding
    teacher: nn.Module | None
    other: TapBinding | None


def bind_taps(
    role: str, config: Network, network: nn.Module, request: Mapping[str, str], data: Data
) -> TapBinding:
    """Where a loss reads a network.

    Raises:
        UserError: a role or path leads nowhere, or to what gives no tensor.
    """
    roles = config.taps.over(model.module_roles(network))
    places = resolve_taps(role, request, roles, network, data.info)
    shapes = tap_shapes(network, places, data.info)
    for name, place in places.items():
        if name not in shapes:
            raise UserError(
                f"the {role}'s module {place!r} gives no tensor: it answers something else, or is"
                " never called by itself.",
                f"  choose another place, inside it or beside it: kdrun layers model={config.name}",
            )
    return TapBinding(places, TapShapes(shapes, network, places))


def bind_loss(
    stage: Learner, network: nn.Module, teachers: Sequence[nn.Module], data: Data
) -> Bound:
    """Build a stage's loss and bind it to the networks.

    Args:
        stage: whose loss it is.
        network: the one that learns.
        teachers: those that it learns from, if the loss uses any.
        data: the splits.

    Raises:
        UserError: the loss can't join them.
    """
    loss = build_loss(stage.loss)
    asked = loss.taps().student
    if isinstance(network, Committee):
        own = _bind_members(stage.members, network, asked, data)
    else:
        own = bind_taps(stage.role, stage.network, network, asked, data)
    original, other = None, None
    if loss.uses_teacher:
        original, other = bind_teachers(stage.teachers, teachers, loss, data)
    loss.bind(own.shapes, other.shapes if other else None, data.info)
    return Bound(loss, own, original, other)


def bind_teachers(
    stages: Sequence[Stage], networks: Sequence[nn.Module], loss: Loss, data: Data
) -> tuple[nn.Module, TapBinding]:
    """The network that a loss learns from, and where it reads it.

    Of several, it is their committee, and the loss names the taps of each: `0/NAME`, `1/NAME`.
    """
    asked = loss.taps().teacher
    if len(networks) == 1:
        stage = stages[0]
        return networks[0], bind_taps(stage.role, stage.network, networks[0], asked, data)
    committee = Committee(networks)
    members = [(stage.role, stage.network) for stage in stages]
    return committee, _bind_members(members, committee, asked, data)


def _bind_members(
    members: Sequence[Member],
    committee: Committee,
    asked: Mapping[str, str],
    data: Data,
) -> TapBinding:
    places: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (role, config) in enumerate(members):
        start = f"{number}/"
        own = {
            name.removeprefix(start): place
            for name, place in asked.items()
            if name.startswith(start)
        }
        found = bind_taps(role, config, committee.members[number], own, data)
        places |= {
            start + name: committee.path_of(number, place) for name, place in found.places.items()
        }
        shapes |= {start + name: shape for name, shape in found.shapes.shapes.items()}
    return TapBinding(places, TapShapes(shapes, committee, places))
