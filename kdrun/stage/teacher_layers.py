"""Starts a student from some of its teacher's layers.

It serves every network that has a list of equal layers, which the role `stages` names.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.model.roles import layer_list

_Value = TypeVar("_Value", Tensor, tuple[int, ...])


def chosen_layers(
    student: nn.Module, teacher: Mapping[str, _Value], layers: Sequence[int]
) -> dict[str, _Value]:
    """Return the teacher's weights with the chosen layers under the numbers of the student's.

    Sanh et al. 2019 (arXiv:1910.01108), section 3: a student of every second layer of its teacher.

    Args:
        student: has as many layers as are chosen.
        teacher: name -> weights of the teacher, or their shapes.
        layers: the number of the teacher's layer for each of the student's, from 0.

    Raises:
        UserError: the student has no list of layers, or another number of them, or the teacher has
            no such layers.
    """
    path = layer_list(student)
    if path is None:
        raise UserError(
            f"{type(student).__name__} has no list of equal layers; leave student.layers out, or"
            " take text_transformer or hf"
        )
    own = len(student.get_submodule(path))  # type: ignore[arg-type]
    if own != len(layers):
        raise UserError(f"{len(layers)} layers are named, and the student has {own}")
    numbered = re.compile(rf"{re.escape(path)}\.(\d+)\.(.+)")
    places = {name: match for name in teacher if (match := numbered.fullmatch(name))}
    depth = 1 + max((int(match[1]) for match in places.values()), default=-1)
    if not depth:
        raise UserError(
            f"the teacher has no layers {path!r}, as the student has; take a student of its kind"
        )
    if (last := max(layers)) >= depth:
        raise UserError(f"the teacher has the layers 0 to {depth - 1}, and no {last}")
    others = {name: value for name, value in teacher.items() if name not in places}
    return others | {
        f"{path}.{number}.{match[2]}": teacher[name]
        for number, layer in enumerate(layers)
        for name, match in places.items()
        if int(match[1]) == layer
    }


def refuse_other_widths(
    student: Mapping[str, tuple[int, ...]], teacher: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse a student whose layers have other shapes than those that they start from.

    Args:
        student: name -> shape of the student's weights.
        teacher: name -> shape of the teacher's, by the student's names.

    Raises:
        UserError: a shape differs.
    """
    for name, shape in student.items():
        if name in teacher and teacher[name] != shape:
            raise UserError(
                f"{name!r} has the shape {shape} in the student and {teacher[name]} in the teacher;"
                " give the student the teacher's sizes (width, heads, hidden, vocabulary)"
            )
