"""What losses around others need: one network of several, and phases of what is inside."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.types import Phase, TapShapes
from kdrun.loss.base import Loss, losses_in

ANSWER = "answer"  # the tap on a network's own logits
ITSELF = ""  # its place: a network's own output


def require_moving(loss: Loss, name: str, scheme: str) -> None:
    """Refuse what takes over a teacher's weights once, where the teacher goes on learning.

    Raises:
        UserError: the loss does, or a part of it.
    """
    if any(part.copies_teacher_weights for part in losses_in(loss)):
        raise UserError(
            f"loss {name!r} takes over weights of a trained teacher, and with scheme={scheme} what"
            " teaches is still learning.",
            "  choose a loss on answers and features alone: loss=kd, loss=attention",
        )


def named(number: int, request: Mapping[str, str], kind: str = "tap") -> dict[str, str]:
    """A loss's taps, as those of one network of several: `0/tap/NAME`."""
    return {f"{number}/{kind}/{name}": place for name, place in request.items()}


def answers(count: int) -> dict[str, str]:
    """Taps on the logits of so many networks: `0/answer`, `1/answer`, ..."""
    return {f"{number}/{ANSWER}": ITSELF for number in range(count)}


def own(taps: Mapping[str, Any], number: int, kind: str = "tap") -> dict[str, Any]:
    """What belongs to one network of several, under the loss's own names."""
    start = f"{number}/{kind}/"
    return {name.removeprefix(start): taps[name] for name in taps if name.startswith(start)}


def member_path(several: TapShapes, number: int) -> str:
    """Where one of several networks is in their committee."""
    return several.paths[f"{number}/{ANSWER}"]


def member(several: TapShapes, number: int, kind: str = "tap") -> TapShapes:
    """One of several networks, as the loss inside sees it."""
    path = member_path(several, number)
    network: nn.Module = several.network.get_submodule(path)
    places = {
        name: place.removeprefix(path).removeprefix(".")
        for name, place in own(several.paths, number, kind).items()
    }
    return TapShapes(own(several.shapes, number, kind), network, places)


def renamed(phase: Phase, starts: Mapping[str, Iterable[str]]) -> Phase:
    """A phase in which what begins with a key learns below each of the paths that stand for it."""
    globs: list[str] = []
    for glob in phase.trains:
        found = [start for start in starts if glob.startswith(start)]
        globs += [
            f"{path}{glob.removeprefix(start)}" for start in found for path in starts[start]
        ] or [glob]
    return replace(phase, trains=tuple(dict.fromkeys(globs)))
