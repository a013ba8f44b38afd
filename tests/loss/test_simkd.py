"""SimKD against its formula, and the student that it makes."""

import pytest
import torch
from given import AT, INFO, bare, batch, node, total

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.taps import TappedNetwork, tap_shapes
from kdrun.core.types import DataInfo, TapShapes
from kdrun.loss.base import Loss
from kdrun.measure.cost import parameters
from kdrun.stage.start import copy_shared_modules

SMALL = {"name": "resnet8", "depth": 8, "widths": [4, 4, 6, 8]}
LARGE = {"name": "resnet8", "depth": 8, "widths": [4, 4, 8, 12]}
MLP = {"name": "mlp", "hidden": [12], "dropout": 0.0}
TINY = DataInfo(INFO.classes, ImageInputs(3, (8, 8)), 64)


def made(student: dict, teacher: dict, **changes) -> tuple[Loss, torch.nn.Module, torch.nn.Module]:
    """The loss, the network that it trains with the teacher's head in it, and the teacher."""
    torch.manual_seed(1)
    loss = bare("simkd", **changes)
    teacher_network = model.build(teacher, TINY).eval()
    student_network = model.build(loss.student_node(student, teacher), TINY)
    copy_shared_modules(student_network, teacher_network)
    return loss, student_network.eval(), teacher_network


def run_networks(
    loss: Loss, student: torch.nn.Module, teacher: torch.nn.Module, images: torch.Tensor
) -> list:
    """Both outputs, with the taps of a bound loss."""
    found = []
    requests = loss.taps()
    for network, request in ((student, requests.student), (teacher, requests.teacher)):
        roles = model.module_roles(network)
        paths = {name: roles[path.split("[")[0]][-1] for name, path in request.items()}
        shapes = tap_shapes(network, paths, TINY)
        found.append((TapShapes(shapes, network, paths), TappedNetwork(network, paths)(images)))
    loss.bind(found[0][0], found[1][0], TINY)
    return [output for _, output in found]


def plain_projector(network: torch.nn.Sequential, maps: torch.Tensor) -> torch.Tensor:
    """The projector layer by layer, in eval mode and float64."""
    return network.double().eval()(maps.double())


def test_simkd_equals_the_mean_square_of_what_the_classifiers_read():
    loss, student_network, teacher_network = made(SMALL, LARGE)
    images = torch.rand(8, 3, 8, 8)
    student, teacher = run_networks(loss, student_network, teacher_network, images)
    path = student_network.roles["stages"][-1]
    stage, projector = student_network.get_submodule(path)
    inner = TappedNetwork(student_network, {"maps": f"{path}.0"})(images).taps["maps"]
    projected, wanted = plain_projector(projector, inner), teacher.taps["maps"].double()
    squares = [
        (projected[b, c, y, x] - wanted[b, c, y, x]).item() ** 2
        for b in range(8)
        for c in range(12)
        for y in range(2)
        for x in range(2)
    ]
    found = total(loss, student, teacher).item()
    assert found == pytest.approx(sum(squares) / len(squares), rel=1e-5)
    assert stage is not projector


def test_the_student_answers_through_the_teachers_classifier():
    loss, student_network, teacher_network = made(SMALL, LARGE)
    images = torch.rand(8, 3, 8, 8)
    student, _ = run_networks(loss, student_network, teacher_network, images)
    pooled = student.taps["projected"].mean(dim=(2, 3))
    torch.testing.assert_close(student.logits, teacher_network.fc(pooled))
    assert student_network.borrows == {"fc": "fc"}


def test_the_projector_and_the_classifier_count():
    _, student, _ = made(SMALL, LARGE, reduction=2)
    body = parameters(model.build(SMALL, TINY)) - (8 * 10 + 10)
    projector = (8 * 6 + 12) + (9 * 6 * 6 + 12) + (6 * 12 + 24)
    assert parameters(student) == body + projector + (12 * 10 + 10)


def test_networks_without_maps_are_joined_at_their_embeddings():
    loss, student_network, teacher_network = made(MLP, LARGE)
    student, teacher = run_at_embedding(loss, student_network, teacher_network)
    assert student.taps["projected"].shape == teacher.taps["embedding"].shape == (8, 12)
    expected = (student.taps["projected"] - teacher.taps["embedding"]).square().mean()
    torch.testing.assert_close(total(loss, student, teacher), expected)
    assert "embeddings" in loss.notes()[0]


def run_at_embedding(loss: Loss, student: torch.nn.Module, teacher: torch.nn.Module) -> list:
    return run_networks(loss, student, teacher, torch.rand(8, 3, 8, 8))


def test_maps_are_refused_where_the_classifier_reads_something_else():
    loss = bare("simkd", at="maps")
    with pytest.raises(UserError, match="'mlp' does not classify the average"):
        model.build(loss.student_node(MLP, LARGE), TINY)


def test_simkd_is_no_part_of_a_sum():
    loss, network = bare("simkd"), torch.nn.Linear(2, 2)
    with pytest.raises(UserError, match="changes the student"):
        shapes = TapShapes({"projected": (2, 3)}, network, {"projected": ""})
        loss.bind(shapes, shapes, TINY)


def test_a_loss_changes_no_student_unless_it_says_so():
    assert Loss().student_node(SMALL, LARGE) == SMALL


def test_no_gradient_reaches_the_teacher_and_half_precision_is_finite():
    loss, student_network, teacher_network = made(SMALL, LARGE)
    student, teacher = run_networks(loss, student_network, teacher_network, torch.rand(8, 3, 8, 8))
    large = {name: (1e4 * tap.detach()).half() for name, tap in teacher.taps.items()}
    wanted = type(teacher)(teacher.logits, {n: t.requires_grad_() for n, t in large.items()})
    found = loss(student, wanted, batch(), AT)["simkd"]
    found.backward()
    assert torch.isfinite(found)
    assert all(tap.grad is None for tap in wanted.taps.values())
    assert student_network.layer1[0].conv1.weight.grad is not None


def test_gradcheck():
    loss, student_network, teacher_network = made(SMALL, LARGE)
    student, teacher = run_networks(loss, student_network, teacher_network, torch.rand(8, 3, 8, 8))
    maps = teacher.taps["maps"].detach()[:, :2].double()
    wanted = type(teacher)(teacher.logits, {"maps": maps})
    features = student.taps["projected"].detach()[:, :2].double()

    def value(inputs: torch.Tensor) -> torch.Tensor:
        answer = type(student)(student.logits, {"projected": inputs})
        return total(loss, answer, wanted)

    assert torch.autograd.gradcheck(value, (features.requires_grad_(),))


def test_the_yaml_names_the_papers_setting():
    assert node("simkd")["reduction"] == 2
