"""Pairs of taps: which layer of the student learns from which layer of the teacher."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from kdrun.core.errors import UserError
from kdrun.core.types import TapRequest, TapShapes
from kdrun.loss.base import require_teacher

Path = Annotated[str, Field(min_length=1)]
TapPairs = Literal["auto"] | Annotated[list[tuple[Path, Path]], Field(min_length=1)]
TapList = Literal["auto"] | Annotated[list[Path], Field(min_length=1)]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class TapPair:
    """A tap of the student and the tap of the teacher that it is compared with.

    Attributes:
        student: the name of the student's tap.
        teacher: the name of the teacher's tap.
        student_shape: (2, C, H, W), (2, T, C) or (2, C), for two samples.
        teacher_shape: the same for the teacher's tap.
        description: both module paths and shapes, for messages to the user.
    """

    student: str
    teacher: str
    student_shape: Shape
    teacher_shape: Shape
    description: str


def request_pairs(pairs: TapPairs, auto: str) -> TapRequest:
    """Return the taps that a loss on pairs of taps reads.

    Args:
        pairs: pairs (student, teacher) of roles or module paths, or `auto`.
        auto: the role that `auto` stands for in both networks: `stages[*]`, `embedding`, ...
    """
    if pairs == "auto":
        return TapRequest({"tap": auto}, {"tap": auto})
    return TapRequest(
        {f"tap{number}": student for number, (student, _) in enumerate(pairs)},
        {f"tap{number}": teacher for number, (_, teacher) in enumerate(pairs)},
    )


def request_list(paths: TapList, auto: str) -> dict[str, str]:
    """Return the taps of one network, for losses that read many of its layers at once.

    Args:
        paths: roles or module paths, or `auto`.
        auto: the role that `auto` stands for.
    """
    if paths == "auto":
        return {"tap": auto}
    return {f"tap{number}": path for number, path in enumerate(paths)}


def pair_taps(student: TapShapes, teacher: TapShapes | None) -> list[TapPair]:
    """Pair the taps of two networks: one to one if the numbers of taps are equal, else by size.

    If the numbers differ, each tap of the network with fewer taps, beginning with the deepest, is
    paired with the tap of the other network that has the nearest number of pixels and, if several
    have, the nearest depth. Each tap is used at most once, and the pairs keep the order of depth.

    Raises:
        UserError: the activation of a tap is neither maps, nor tokens, nor vectors.
    """
    teacher = require_teacher(teacher)
    students = require_features(student.shapes, "student")
    teachers = require_features(teacher.shapes, "teacher")
    if students.keys() == teachers.keys():  # pairs of the config, or equal numbers of taps
        names = [(name, name) for name in students]
    else:
        names = _match(list(students.items()), list(teachers.items()))
    return [
        TapPair(
            s,
            t,
            students[s],
            teachers[t],
            f"{describe_layer(student, s)} from {describe_layer(teacher, t)}",
        )
        for s, t in names
    ]


def describe_pairs(pairs: list[TapPair]) -> str:
    """Return a sentence that lists the pairs."""
    return f"pairs: {'; '.join(pair.description for pair in pairs)}"


def pixel_count(shape: Shape) -> int:
    """Return the number of pixels of maps, the number of tokens, or 1 for a vector."""
    if len(shape) == 4:
        return shape[2] * shape[3]
    return shape[1] if len(shape) == 3 else 1


def require_one_tokenizer(student: TapShapes, teacher: TapShapes | None) -> None:
    """Refuse two networks that read texts with two tokenizers, if a tap has tokens (B, T, C).

    Raises:
        UserError: the tokens of student and teacher are not the same.
    """
    networks = [network for network in (student, teacher) if network is not None]
    has_tokens = any(len(shape) == 3 for network in networks for shape in network.shapes.values())
    encodings = [getattr(network.network, "encoding", None) for network in networks]
    kinds = {(encoding.digest, encoding.longest) for encoding in encodings if encoding is not None}
    if has_tokens and len(kinds) > 1:
        raise UserError(
            "this loss compares texts token by token, and student and teacher have two tokenizers.",
            "  give both one tokenizer (student.tokenizer), or take a loss on logits or embeddings:"
            " loss=kd, loss=rkd",
        )


def require_same_tokens(pairs: list[TapPair]) -> None:
    """Refuse pairs of texts in which the taps have other tokens, or one has a vector for a text.

    Raises:
        UserError: the taps of a pair can't be compared token by token.
    """
    for pair in pairs:
        if pair.student_shape[1:-1] != pair.teacher_shape[1:-1]:
            raise UserError(
                f"this loss compares texts token by token, and {pair.description} differ in that.",
                "  name layers that agree: loss.pairs=[[PATH,PATH],...], or take loss=rkd, which"
                " averages over tokens",
            )


def require_features(shapes: Mapping[str, Shape], role: str) -> Mapping[str, Shape]:
    """Return the shapes of a network's taps, after a check that losses can compare them.

    Args:
        shapes: tap -> its shape for two samples.
        role: student or teacher, for the message.

    Raises:
        UserError: a shape is not that of maps, tokens or vectors.
    """
    for name, shape in shapes.items():
        if len(shape) not in (2, 3, 4):
            raise UserError(
                f"the {role}'s tap {name!r} gives {shape}: neither a map, tokens, nor features.",
                "  choose other layers: loss.pairs=[[PATH,PATH],...]; kdrun layers model=NAME",
            )
    return shapes


def describe_layer(network: TapShapes, tap: str) -> str:
    """Return a tap's module path and shape: `layer2 (64x8x8)`."""
    sizes = "x".join(str(size) for size in network.shapes[tap][1:])
    return f"{network.paths[tap]} ({sizes})"


def _match(
    student: list[tuple[str, Shape]], teacher: list[tuple[str, Shape]]
) -> list[tuple[str, str]]:
    """Return pairs of tap names in order of depth; taps of the longer list are left out."""
    if len(student) > len(teacher):
        return [(s, t) for t, s in _match(teacher, student)]
    pairs: list[tuple[str, str]] = []
    end = len(teacher)
    for index, (name, shape) in reversed(list(enumerate(student))):
        # Leave the first `index` taps of the teacher for the `index` shallower taps of the student.
        depth, size = (index + 1) / len(student), pixel_count(shape)
        distances = {
            tap: (abs(pixel_count(teacher[tap][1]) - size), abs((tap + 1) / len(teacher) - depth))
            for tap in range(index, end)
        }
        end = min(distances, key=distances.__getitem__)
        pairs.append((name, teacher[end][0]))
    return pairs[::-1]
