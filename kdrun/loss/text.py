"""What losses on the layers of text encoders share: checks, tokens without padding, layer maps."""

from collections.abc import Sequence

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import DataInfo, Output, TapShapes
from kdrun.loss.adapters import maps_of
from kdrun.loss.base import require_teacher
from kdrun.loss.tap_pairs import TapPair, describe_layer, require_one_tokenizer


def require_texts(
    name: str, student: TapShapes, teacher: TapShapes | None, data: DataInfo
) -> TapShapes:
    """Return the teacher's taps, after a check that a loss can compare tokens of both networks.

    Args:
        name: the name of the loss, for the message.
        student: the student's taps, all of tokens (B, T, C).
        teacher: the teacher's taps.
        data: the inputs of both.

    Raises:
        UserError: the networks read no texts, or have two tokenizers, or a tap has no tokens.
    """
    teacher = require_teacher(teacher)
    if data.inputs.modality != "text":
        raise UserError(
            f"loss {name!r} compares the tokens of texts, and this dataset has"
            f" {data.inputs.sample}s.",
            "  take a dataset of texts (task=text), or another loss such as fitnet",
        )
    require_one_tokenizer(student, teacher)
    for network in (student, teacher):
        for tap, shape in network.shapes.items():
            if len(shape) != 3:
                raise UserError(
                    f"loss {name!r} compares the tokens of texts, and"
                    f" {describe_layer(network, tap)} has none.",
                    "  take another network (text_transformer, text_lstm, hf), or another loss such"
                    " as rkd",
                )
    return teacher


def token_vectors(output: Output, tap: str) -> Tensor:
    """Return the vectors (M, C) of the M tokens of a batch of texts, in float32 or float64."""
    return maps_of(output, tap).flatten(1)


def width_adapter(student: TapShapes, teacher: TapShapes, tap: str, other: str = "") -> nn.Module:
    """Return a learned linear map from the student's to the teacher's width; none if they agree.

    Args:
        student: the student's taps.
        teacher: the teacher's taps.
        tap: the name of the student's tap.
        other: the name of the teacher's tap, if it is another.
    """
    widths = student.shapes[tap][-1], teacher.shapes[other or tap][-1]
    return nn.Identity() if widths[0] == widths[1] else nn.Linear(*widths)


def uniform_layers(students: int, teachers: int) -> list[int]:
    """Return for each of the student's layers the teacher's layer of the same relative depth.

    Layer m, counted from 1, of M gets layer m N / M of N, rounded down. The result counts from 0.
    """
    return [max(0, (layer + 1) * teachers // students - 1) for layer in range(students)]


def pair_layers(
    student: TapShapes, teacher: TapShapes, role: str, layers: Sequence[tuple[int, int]]
) -> list[TapPair]:
    """Return pairs of the taps `ROLE[i]` of two networks.

    Args:
        student: the student's taps.
        teacher: the teacher's taps.
        role: the name of the taps, which stands before their numbers.
        layers: numbers of the student's and the teacher's tap, from 0.
    """
    return [
        TapPair(
            s,
            t,
            student.shapes[s],
            teacher.shapes[t],
            f"{describe_layer(student, s)} from {describe_layer(teacher, t)}",
        )
        for s, t in ((f"{role}[{first}]", f"{role}[{second}]") for first, second in layers)
    ]


def count_taps(network: TapShapes, role: str) -> int:
    """Return the number of taps called `ROLE[i]`."""
    return sum(name.startswith(f"{role}[") for name in network.shapes)
