"""Losses against numbers that the authors' formulas gave, computed once in float64 with NumPy.

All inputs are sines, so that anyone can compute the numbers again from the formula of a docstring.
"""

import pytest
import torch
from given import C, bound, node, shapes
from torch import Tensor, nn

from kdrun.core.inputs.image import ImageInputs
from kdrun.core.types import Batch, DataInfo, Output, Progress
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss

SAMPLES = 6
LABELS = torch.tensor([0, 3, 3, 5, 0, 5])
INDEX = torch.arange(SAMPLES)
BATCH = Batch(torch.zeros(SAMPLES, 1), LABELS, INDEX, INDEX * 0)
INFO = DataInfo(tuple("abcdefghij"), ImageInputs(3, (32, 32)), 512)
AT = Progress(phase="main", epoch=0, epochs=240, step=0, steps=2400)


def wave(*shape: int, start: float) -> Tensor:
    numbers = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(1.7 * numbers + start).reshape(shape).float()


def logits(start: float, label: float) -> Tensor:
    """Logits of six samples and ten classes, with more for the label; seven classes are absent."""
    return wave(SAMPLES, C, start=start) + label * nn.functional.one_hot(LABELS, C)


def value(loss: Loss, student: Output, teacher: Output) -> Tensor:
    return torch.stack(list(loss(student, teacher, BATCH, AT).values())).sum()


@pytest.mark.parametrize(
    ("label", "expected", "norm", "slopes"),
    [
        (6.5, 0.4866803929, 0.2630256270, [-0.0702278, 0.0323488, -0.0024640, -0.0040097]),
        (9.0, 0.4938727894, 0.2635808127, [-0.0701432, 0.0319412, -0.0025698, -0.0040053]),
        (14.0, 0.4945314902, 0.2636306945, [-0.0701340, 0.0319040, -0.0025792, -0.0040048]),
        (50.0, 0.4945359699, 0.2636310332, [-0.0701339, 0.0319038, -0.0025793, -0.0040048]),
    ],
)
def test_dist_of_a_certain_teacher(label: float, expected: float, norm: float, slopes: list[float]):
    """The teacher gives labels .978 to 1; correlations of classes without a label count in full."""
    loss = bound("dist", {}, {}, temperature=1.0)
    student = logits(0.3, 2.0).requires_grad_()
    found = value(loss, Output(student), Output(logits(1.1, label)))
    found.backward()
    assert found.item() == pytest.approx(expected, rel=1e-4)
    assert student.grad.norm().item() == pytest.approx(norm, rel=1e-3)
    assert student.grad[0, :4].tolist() == pytest.approx(slopes, rel=1e-2, abs=1e-5)


def test_dist_at_the_temperature_of_its_cifar_100_runs():
    loss = bound("dist", {}, {}, temperature=4.0)
    found = value(loss, Output(logits(0.3, 2.0)), Output(logits(1.1, 6.5)))
    assert found.item() == pytest.approx(7.8450478902, rel=1e-5)


def test_fitnet_compares_activations_with_activations():
    """Without the ReLU that ends the regressor the value is 1.2584424024."""
    loss = bound("fitnet", {"tap": (3, 4, 4)}, {"tap": (5, 4, 4)})
    with torch.no_grad():
        loss.regressors[0][0].weight.copy_(wave(5, 3, start=0.9)[:, :, None, None])
    student = Output(torch.zeros(SAMPLES, C), {"tap": wave(SAMPLES, 3, 4, 4, start=0.5)})
    teacher = Output(torch.zeros(SAMPLES, C), {"tap": wave(SAMPLES, 5, 4, 4, start=2.2).relu()})
    assert value(loss, student, teacher).item() == pytest.approx(0.4752728861, rel=1e-5)


@pytest.mark.parametrize(
    ("resolution", "normalize", "expected"),
    [
        (2, False, 0.7100010819),
        (2, True, 0.5027370847),
        (4, False, 1.8069347701),
        (4, True, 0.1248294148),
    ],
)
def test_cat_kd_makes_class_maps_without_the_bias(
    resolution: int, normalize: bool, expected: float
):
    """With the bias the values are 2.2051327645, 0.6097731978, 3.3020664527 and 0.1427652689."""
    networks = []
    for channels, starts in ((3, (0.2, 0.4)), (5, (1.3, 2.4))):
        layer = nn.Linear(channels, C)
        layer.load_state_dict(
            {"weight": wave(C, channels, start=starts[0]), "bias": wave(C, start=starts[1])}
        )
        taps = shapes({"maps": (channels, 4, 4), "head": (C,)}, nn.ModuleDict({"head": layer}))
        networks.append(taps)
    loss = build_loss(
        node("cat_kd", resolution=resolution, normalize=normalize, weight=1.0, ce=0.0)
    )
    loss.bind(*networks, INFO)
    student = Output(torch.zeros(SAMPLES, C), {"maps": wave(SAMPLES, 3, 4, 4, start=0.5)})
    teacher = Output(torch.zeros(SAMPLES, C), {"maps": wave(SAMPLES, 5, 4, 4, start=2.2).relu()})
    assert value(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_lskd_divides_the_deviation_by_the_number_of_classes():
    """The authors' code divides by one less, and has 0.2496318666."""
    loss = bound("lskd", {}, {}, temperature=2.0)
    found = value(loss, Output(logits(0.3, 2.0)), Output(logits(1.1, 6.5)))
    assert found.item() == pytest.approx(0.2797137257, rel=1e-5)


def test_tf_kd_softens_the_logarithm_and_the_student_too():
    """Its code for CIFAR-100 softens neither, and has 4.4921691397 with its factor of 100."""
    loss = bound("tf_kd", {}, {}, temperature=20.0)
    found = value(loss, Output(logits(0.3, 2.0)), Output(torch.zeros(SAMPLES, C)))
    assert found.item() == pytest.approx(1.5443448523, rel=1e-4)
