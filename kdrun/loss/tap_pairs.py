"""Which place of the student learns from which place of the teacher, on any two networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from kdrun.core.errors import UserError
from kdrun.core.types import TapRequest, TapShapes

Path = Annotated[str, Field(min_length=1)]
Pairs = Literal["auto"] | Annotated[list[tuple[Path, Path]], Field(min_length=1)]
Places = Literal["auto"] | Annotated[list[Path], Field(min_length=1)]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """Two taps that are compared, and what they give for two samples.

    Attributes:
        student: the tap's name.
        teacher: likewise.
        student_shape: (2, C, H, W), (2, T, C) or (2, C).
        teacher_shape: likewise.
        where: both module paths and shapes, for the user.
    """

    student: str
    teacher: str
    student_shape: Shape
    teacher_shape: Shape
    where: str


def request(pairs: Pairs, auto: str) -> TapRequest:
    """What to tap.

    Args:
        pairs: of a role or module path of the student and one of the teacher, or `auto`.
        auto: the role that `auto` means, in both: `stages[*]`, `stages[-1]`, `embedding`.
    """
    if pairs == "auto":
        return TapRequest({"tap": auto}, {"tap": auto})
    return TapRequest(
        {f"tap{number}": student for number, (student, _) in enumerate(pairs)},
        {f"tap{number}": teacher for number, (_, teacher) in enumerate(pairs)},
    )


def several(places: Places, auto: str) -> dict[str, str]:
    """What to tap of one network, for losses that read many places of it at once.

    Args:
        places: roles or module paths, or `auto`.
        auto: the role that `auto` means.
    """
    if places == "auto":
        return {"tap": auto}
    return {f"tap{number}": place for number, place in enumerate(places)}


def join(student: TapShapes, teacher: TapShapes | None) -> list[Pair]:
    """Pair the taps: one to one where there are as many, else by their place in depth.

    The deepest are paired first; of the network with more places those are taken that have the
    nearest number of pixels, among equals those at the nearest depth, each once and in order.

    Raises:
        UserError: a tap's output is no tensor of samples.
    """
    if teacher is None:
        raise TypeError("this loss reads a teacher, and none was given")
    own, other = known(student.shapes, "student"), known(teacher.shapes, "teacher")
    if own.keys() == other.keys():  # pairs that were named, or as many places in both
        names = [(name, name) for name in own]
    else:
        names = _match(list(own.items()), list(other.items()))
    return [
        Pair(s, t, own[s], other[t], f"{_place(student, s)} from {_place(teacher, t)}")
        for s, t in names
    ]


def told(pairs: list[Pair]) -> str:
    """The pairing in a sentence."""
    return f"pairs: {'; '.join(pair.where for pair in pairs)}"


def pixels(shape: Shape) -> int:
    """How many places in the image a map has; tokens count as places."""
    if len(shape) == 4:
        return shape[2] * shape[3]
    return shape[1] if len(shape) == 3 else 1


def known(shapes: Mapping[str, Shape], where: str) -> Mapping[str, Shape]:
    """The shapes of a network's taps, all of them maps, tokens or features.

    Raises:
        UserError: one of them is something else.
    """
    for name, shape in shapes.items():
        if len(shape) not in (2, 3, 4):
            raise UserError(
                f"the {where}'s tap {name!r} gives {shape}: neither a map, tokens, nor features.",
                "  choose other places: loss.pairs=[[PATH,PATH],...]; kdrun layers model=NAME",
            )
    return shapes


def _place(network: TapShapes, tap: str) -> str:
    sizes = "x".join(str(size) for size in network.shapes[tap][1:])
    return f"{network.paths[tap]} ({sizes})"


def _match(
    student: list[tuple[str, Shape]], teacher: list[tuple[str, Shape]]
) -> list[tuple[str, str]]:
    """Names in pairs, in order of depth; the longer list is thinned out from its deep end."""
    if len(student) > len(teacher):
        return [(s, t) for t, s in _match(teacher, student)]
    found: list[tuple[str, str]] = []
    end = len(teacher)
    for left, (name, shape) in reversed(list(enumerate(student))):
        free = range(left, end)  # as many must stay as are still to be paired
        depth, size = (left + 1) / len(student), pixels(shape)
        apart = {
            place: (abs(pixels(teacher[place][1]) - size), abs((place + 1) / len(teacher) - depth))
            for place in free
        }
        at = min(apart, key=apart.__getitem__)
        found.append((name, teacher[at][0]))
        end = at
    return found[::-1]
