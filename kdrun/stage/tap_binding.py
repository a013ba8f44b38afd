"""Binds a loss to networks: finds the module paths and shapes of the taps that it requests.

A tap is a module whose output, or input, a loss reads. A role, such as `embedding`, names a tap
independent of the network.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from torch import nn

from kdrun import model
from kdrun.core.config import Network
from kdrun.core.errors import UserError
from kdrun.core.taps import resolve_taps, tap_shapes, token_mask
from kdrun.core.types import TapShapes
from kdrun.dataset.data import Data
from kdrun.loss.base import Loss
from kdrun.model.committee import Committee
from kdrun.model.table import STAGE_REVISIONS
from kdrun.stage.base import Stage

Member = tuple[str, Network]  # the config key of a network of a committee, and its config


class Learner(Stage, Protocol):
    """A stage in which a network learns."""

    @property
    def teachers(self) -> Sequence[Stage]: ...

    @property
    def members(self) -> Sequence[Member]: ...


class BoundTaps(NamedTuple):
    """The taps of a bound loss.

    Attributes:
        student: the student, with the taps that the loss reads from it.
        teacher: the same for the teacher; None if the loss uses no teacher.
    """

    student: TapShapes
    teacher: TapShapes | None


def bind_loss(
    loss: Loss, stage: Learner, student: nn.Module, teachers: Sequence[nn.Module], data: Data
) -> BoundTaps:
    """Bind a stage's loss to its networks.

    Args:
        loss: the loss.
        stage: the stage that trains with it; its config may name the module paths of roles.
        student: the network that learns.
        teachers: the networks that it learns from; unused if the loss uses no teacher.
        data: the splits; their image size decides the shapes.

    Returns:
        The taps that the loss reads.

    Raises:
        UserError: the loss cannot be bound to these networks.
    """
    request = loss.taps().student
    if isinstance(student, Committee):
        student_taps = _bind_members(stage.members, student, request, data)
    else:
        student_taps = bind_taps(stage.role, stage.network, student, request, data)
    teacher_taps = (
        bind_teachers(stage.teachers, teachers, loss, data) if loss.uses_teacher else None
    )
    loss.bind(student_taps, teacher_taps, data.info)
    return BoundTaps(student_taps, teacher_taps)


def bind_taps(
    role: str, config: Network, network: nn.Module, request: Mapping[str, str], data: Data
) -> TapShapes:
    """Resolve the taps that a loss requests of one network.

    Args:
        role: the network's key in the config, for messages.
        config: the network's config, which may map roles to other module paths.
        network: the network.
        request: the loss's name of each tap -> a role or a module path.
        data: the splits; a batch of their shape is run through the network.

    Raises:
        UserError: a role or path does not exist, or its module returns no tensor.
    """
    roles = config.taps.apply_to(model.module_roles(network))
    paths = resolve_taps(role, request, roles, network, data.info)
    shapes = tap_shapes(network, paths, data.info)
    for name, path in paths.items():
        if name not in shapes:
            raise UserError(
                f"the {role}'s module {path!r} gives no tensor: it returns something else, or is"
                " never called by itself.",
                f"  choose a module inside it or beside it: kdrun layers model={config.name}",
            )
    _require_tokens(role, network, paths, shapes, data)
    return TapShapes(shapes, network, paths)


def _require_tokens(
    role: str,
    network: nn.Module,
    paths: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    data: Data,
) -> None:
    """Refuse taps (B, T, C) on texts that have another T than the texts have tokens."""
    mask = token_mask(network, data.info.example(2))
    for name, shape in shapes.items():
        if mask is not None and len(shape) == 3 and shape[1] != mask.shape[1]:
            raise UserError(
                f"the {role}'s module {paths[name]!r} gives {shape} for 2 texts of {mask.shape[1]}"
                " tokens: not a vector for each token, by which padding is left out.",
                "  choose a module whose output is (texts, tokens, channels): kdrun layers"
                " model=NAME",
            )


def bind_teachers(
    stages: Sequence[Stage], networks: Sequence[nn.Module], loss: Loss, data: Data
) -> TapShapes:
    """Resolve the taps that a loss requests of its teacher or teachers.

    Several teachers become a committee, in which the loss names the taps of each teacher
    `0/NAME`, `1/NAME`, ...
    """
    request = loss.taps().teacher
    if len(networks) == 1:
        return bind_taps(stages[0].role, stages[0].network, networks[0], request, data)
    members = [(stage.role, stage.network) for stage in stages]
    return _bind_members(members, Committee(networks), request, data)


def _bind_members(
    members: Sequence[Member],
    committee: Committee,
    request: Mapping[str, str],
    data: Data,
) -> TapShapes:
    """Resolve the taps of a committee, whose names start with the number of a member."""
    paths: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (role, config) in enumerate(members):
        prefix = f"{number}/"
        member_request = {
            name.removeprefix(prefix): query
            for name, query in request.items()
            if name.startswith(prefix)
        }
        taps = bind_taps(role, config, committee.members[number], member_request, data)
        paths |= {
            prefix + name: committee.path_of(number, path) for name, path in taps.paths.items()
        }
        shapes |= {prefix + name: shape for name, shape in taps.shapes.items()}
    return TapShapes(shapes, committee, paths)


def stage_revisions(loss: Loss, networks: Sequence[Network]) -> dict[str, int]:
    """Return the revisions of the stages of networks, if a loss reads them by their role.

    The last stage of no network changed.
    """
    request = loss.taps()
    queries = [*request.student.values(), *request.teacher.values()]
    reads_stages = any(
        query.startswith("stages") and not query.startswith("stages[-1]") for query in queries
    )
    return {
        f"stages of {name}": STAGE_REVISIONS[name]
        for network in networks
        for name in [model.main_model(network.node)]
        if reads_stages and network.taps.stages is None and name in STAGE_REVISIONS
    }
