"""Students that start from some of their teacher's layers."""

import pytest
import torch
from text_zoo import build
from zoo import images, sketch

from kdrun.core.config.network import Student, like_teacher
from kdrun.core.errors import UserError
from kdrun.model.roles import layer_list
from kdrun.stage.start import copy_teacher_weights
from kdrun.stage.teacher_layers import chosen_layers, refuse_other_widths

NETWORKS = ["text_transformer", "hf bert", "hf distilbert", "hf deberta-v2"]


def shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.named_parameters()}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_layers_of_the_student_are_those_of_the_teacher(name):
    teacher, student = build(name), build(name, depth=2)
    for value in teacher.parameters():
        torch.nn.init.normal_(value)
    weights = chosen_layers(student, teacher.state_dict(), [2, 0])
    notes = copy_teacher_weights(student, weights)
    count = len(list(student.parameters()))
    assert notes == [f"started from {count} of {count} weights of the teacher"]
    path = layer_list(student)
    assert path is not None
    for number, layer in enumerate([2, 0]):
        ours = student.get_submodule(f"{path}.{number}").state_dict()
        theirs = teacher.get_submodule(f"{path}.{layer}").state_dict()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    others = [name for name in student.state_dict() if not name.startswith(path)]
    assert all(torch.equal(student.state_dict()[key], teacher.state_dict()[key]) for key in others)


def test_all_layers_in_order_give_the_teachers_weights():
    teacher = build("text_transformer").state_dict()
    chosen = chosen_layers(build("text_transformer"), teacher, [0, 1, 2])
    assert chosen.keys() == teacher.keys()
    assert all(torch.equal(chosen[name], teacher[name]) for name in teacher)


@pytest.mark.parametrize(
    ("student", "layers", "message"),
    [
        ("text_lstm", [0], "TextLSTM has no list of equal layers"),
        ("text_transformer", [0, 1], "2 layers are named, and the student has 3"),
        ("text_transformer", [0, 1, 3], "the teacher has the layers 0 to 2, and no 3"),
        ("hf bert", [0, 1, 2], r"the teacher has no layers 'network.bert.encoder.layer'"),
    ],
)
def test_layers_that_do_not_fit_are_refused(student, layers, message):
    with pytest.raises(UserError, match=message):
        chosen_layers(build(student), build("text_transformer").state_dict(), layers)


def test_a_network_of_images_has_no_list_of_equal_layers():
    assert layer_list(sketch("resnet8", images(32))) is None


def test_other_widths_are_refused():
    student, teacher = build("text_transformer", width=8), build("text_transformer")
    with pytest.raises(UserError, match=r"has the shape \(50, 8\) in the student and \(50, 16\)"):
        refuse_other_widths(shapes(student), chosen_layers(student, shapes(teacher), [0, 1, 2]))


def test_a_student_without_a_folder_takes_the_teachers():
    teacher = {"name": "hf", "path": "bert", "config": None, "pretrained": True, "pool": "mean"}
    student = {"name": "hf", "init": "teacher", "layers": [0, 2, 4], "path": None, "config": None}
    student |= {"pretrained": True, "pool": "auto", "depth": None, "dropout": 0.5}
    taken = {"path": "bert", "pool": "mean", "depth": 3, "dropout": 0.5}
    assert like_teacher(student, teacher) == {**student, **taken}
    assert like_teacher({**student, "init": "scratch"}, teacher)["path"] is None
    named = {**student, "path": "other"}
    assert like_teacher(named, teacher) == {**named, "depth": 3}


def test_layers_need_the_teachers_weights():
    taps = {"stages": None, "embedding": None, "logits": None}
    section = {"name": "hf", "taps": taps, "freeze": [], "layers": [0]}
    with pytest.raises(ValueError, match=r"add student\.init=teacher"):
        Student.model_validate({**section, "init": "scratch"})
    assert Student.model_validate({**section, "init": "teacher"}).layers == [0]
    assert "layers" not in Student.model_validate({**section, "init": "teacher"}).node
