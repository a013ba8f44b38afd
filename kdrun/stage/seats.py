"""Where losses read networks: from roles and paths to places and shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from kdrun import model
from kdrun.core.config import Network
from kdrun.core.taps import place_taps, tap_shapes
from kdrun.core.types import TapShapes
from kdrun.dataset.data import Data
from kdrun.loss.base import Loss
from kdrun.model.committee import Committee
from kdrun.stage.base import Stage

Member = tuple[str, Network]  # a network's place in the config, and its part of it


@dataclass(frozen=True)
class Seat:
    """Where a loss reads one network: its taps' module paths, and their shapes."""

    places: dict[str, str]
    shapes: TapShapes


def seat(
    role: str, config: Network, network: nn.Module, request: Mapping[str, str], data: Data
) -> Seat:
    roles = config.taps.over(model.roles(network))
    places = place_taps(role, request, roles, network, data.info)
    return Seat(places, TapShapes(tap_shapes(network, places, data.info), network, places))


def seat_student(
    stage: Stage,
    members: Sequence[Member],
    network: nn.Module,
    loss: Loss,
    data: Data,
) -> Seat:
    """Where a loss reads the network that learns; of a committee, it names each member's taps."""
    asked = loss.taps().student
    if isinstance(network, Committee):
        return _seat_members(members, network, asked, data)
    return seat(stage.role, stage.network, network, asked, data)


def seat_teachers(
    stages: Sequence[Stage], networks: Sequence[nn.Module], loss: Loss, data: Data
) -> tuple[nn.Module, Seat]:
    """The network that a loss learns from, and where it reads it.

    Of several, it is their committee, and the loss names the taps of each: `0/NAME`, `1/NAME`.
    """
    asked = loss.taps().teacher
    if len(networks) == 1:
        stage = stages[0]
        return networks[0], seat(stage.role, stage.network, networks[0], asked, data)
    committee = Committee(networks)
    members = [(stage.role, stage.network) for stage in stages]
    return committee, _seat_members(members, committee, asked, data)


def _seat_members(
    members: Sequence[Member],
    committee: Committee,
    asked: Mapping[str, str],
    data: Data,
) -> Seat:
    places: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (role, config) in enumerate(members):
        start = f"{number}/"
        own = {
            name.removeprefix(start): place
            for name, place in asked.items()
            if name.startswith(start)
        }
        found = seat(role, config, committee.members[number], own, data)
        places |= {
            start + name: committee.path_of(number, place) for name, place in found.places.items()
        }
        shapes |= {start + name: shape for name, shape in found.shapes.shapes.items()}
    return Seat(places, TapShapes(shapes, committee, places))
