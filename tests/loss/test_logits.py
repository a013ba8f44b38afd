"""Losses on logits against their formulas in plain Python, and the properties they must have."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kdrun.core.inputs.image import ImageInputs
from kdrun.core.registry import resolve
from kdrun.core.types import MAIN, Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss
from kdrun.loss.functional import label_loss, teacher_logits, to_float32
from kdrun.loss.logits import KD, CrossEntropy, LogitsMSE, soft_loss
from kdrun.loss.table import LOSSES

AT = Progress(phase="main", epoch=0, epochs=1, step=0, steps=1)
N, C = 16, 10
EVERY: dict[str, Callable[[], Loss]] = {
    "ce": CrossEntropy,
    "kd": lambda: KD(alpha=0.7, temperature=4.0),
    "kd, labels alone": lambda: KD(alpha=0.0, temperature=4.0),
    "kd, teacher alone": lambda: KD(alpha=1.0, temperature=0.5),
    "mse": lambda: LogitsMSE(alpha=0.3),
}
WITH_TEACHER = [name for name in EVERY if name != "ce"]


@pytest.fixture(params=EVERY)
def loss(request) -> Loss:
    return EVERY[request.param]()


def batch_of(targets: Tensor, soft: Tensor | None = None) -> Batch:
    rows = torch.arange(len(targets))
    return Batch(torch.zeros(len(targets), 1), targets, rows, rows, soft)


def draw(seed: int = 0, size: float = 3.0, **kind) -> tuple[Tensor, Tensor, Batch]:
    """Logits of a student and a teacher (N, C), and labels."""
    random = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(N, C, generator=random, **kind) * size for _ in range(2))
    return student, teacher, batch_of(torch.randint(C, (N,), generator=random))


def terms(loss: Loss, student: Tensor, teacher: Tensor, batch: Batch) -> dict[str, Tensor]:
    return loss(Output(student), Output(teacher) if loss.uses_teacher else None, batch, AT)


def total(loss: Loss, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
    return torch.stack(list(terms(loss, student, teacher, batch).values())).sum()


def plain_softmax(row: list[float], temperature: float = 1.0) -> list[float]:
    highest = max(row)
    powers = [math.exp((value - highest) / temperature) for value in row]
    return [power / sum(powers) for power in powers]


def plain_ce(student: Tensor, targets: Tensor) -> float:
    rows = zip(student.tolist(), targets.tolist(), strict=True)
    return -sum(math.log(plain_softmax(row)[label]) for row, label in rows) / len(targets)


def plain_kl(student: Tensor, teacher: Tensor, temperature: float) -> float:
    """Mean over rows of sum p_t ln(p_t / p_s), both softened."""
    found = 0.0
    for student_row, teacher_row in zip(student.tolist(), teacher.tolist(), strict=True):
        p_s, p_t = plain_softmax(student_row, temperature), plain_softmax(teacher_row, temperature)
        found += sum(t * math.log(t / s) for s, t in zip(p_s, p_t, strict=True))
    return found / len(student)


def plain_mse(student: Tensor, teacher: Tensor) -> float:
    pairs = zip(student.flatten().tolist(), teacher.flatten().tolist(), strict=True)
    return sum((s - t) ** 2 for s, t in pairs) / student.numel()


def test_ce_equals_the_formula():
    student, teacher, batch = draw()
    found = terms(CrossEntropy(), student, teacher, batch)
    assert list(found) == ["ce"]
    assert found["ce"].item() == pytest.approx(plain_ce(student, batch.targets), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.9, 1.0])
def test_kd_equals_the_formula(alpha, temperature):
    student, teacher, batch = draw()
    found = terms(KD(alpha=alpha, temperature=temperature), student, teacher, batch)
    ce = (1 - alpha) * plain_ce(student, batch.targets)
    kd = alpha * temperature**2 * plain_kl(student, teacher, temperature)
    assert list(found) == ["ce", "kd"]
    assert found["ce"].item() == pytest.approx(ce, rel=1e-5)
    assert found["kd"].item() == pytest.approx(kd, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.9, 1.0])
def test_mse_equals_the_formula(alpha):
    student, teacher, batch = draw()
    found = terms(LogitsMSE(alpha=alpha), student, teacher, batch)
    assert list(found) == ["ce", "mse"]
    assert found["ce"].item() == pytest.approx(
        (1 - alpha) * plain_ce(student, batch.targets), rel=1e-5
    )
    assert found["mse"].item() == pytest.approx(alpha * plain_mse(student, teacher), rel=1e-5)


def test_soft_targets_take_the_place_of_the_labels(loss):
    student, teacher, batch = draw(dtype=torch.float64)
    one_hot = torch.nn.functional.one_hot(batch.targets, C).double()
    soft = batch_of(batch.targets, 0.8 * one_hot + 0.2 / C)
    expected = -(soft.soft_targets * student.log_softmax(1)).sum(1).mean()
    share = getattr(loss, "alpha", 0.0)
    found = terms(loss, student, teacher, soft)["ce"]
    torch.testing.assert_close(found, (1 - share) * expected, rtol=1e-12, atol=0)


def test_soft_targets_of_any_precision_fit_the_logits():
    student, _, batch = draw()
    soft = batch_of(batch.targets, torch.full((N, C), 1 / C))
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        assert torch.isfinite(label_loss(student.to(dtype), soft))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_kd_is_zero_for_equal_logits(temperature):
    student, _, batch = draw()
    found = terms(KD(alpha=0.9, temperature=temperature), student, student.clone(), batch)
    assert found["kd"].item() == 0
    assert soft_loss(student, student + 5, temperature).item() == pytest.approx(0, abs=1e-5)


def test_kd_is_never_negative():
    for seed in range(20):
        student, teacher, batch = draw(seed, size=0.1)
        assert terms(KD(alpha=1.0, temperature=4.0), student, teacher, batch)["kd"] >= 0


def test_mse_is_zero_for_equal_logits():
    student, _, batch = draw()
    assert terms(LogitsMSE(alpha=0.9), student, student.clone(), batch)["mse"].item() == 0


def test_a_batch_is_the_mean_of_its_parts(loss):
    student, teacher, batch = draw(dtype=torch.float64)
    parts = [
        total(loss, student[rows], teacher[rows], batch_of(batch.targets[rows]))
        for rows in torch.arange(N).split(N // 4)
    ]
    torch.testing.assert_close(
        torch.stack(parts).mean(), total(loss, student, teacher, batch), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("name", ["ce", "kd", "kd, labels alone", "kd, teacher alone"])
def test_a_shift_of_each_rows_logits_does_not_matter(name):
    student, teacher, batch = draw(dtype=torch.float64)
    shift = torch.arange(N, dtype=torch.float64)[:, None]
    moved = total(EVERY[name](), student + shift, teacher - 2 * shift, batch)
    torch.testing.assert_close(
        moved, total(EVERY[name](), student, teacher, batch), rtol=1e-10, atol=0
    )


def test_the_gradient_is_that_of_the_value(loss):
    student, teacher, batch = draw(size=1.0, dtype=torch.float64)
    few = batch_of(batch.targets[:3])
    assert torch.autograd.gradcheck(
        lambda logits: total(loss, logits, teacher[:3], few), student[:3].requires_grad_()
    )


def test_kd_gradient_reaches_that_of_mse_as_the_temperature_grows():
    """Hinton et al. 2015, equation 4: (z_s - z_t) / C for logits whose mean is 0 in each row."""
    student, teacher, _ = draw(dtype=torch.float64)
    student, teacher = (logits - logits.mean(1, keepdim=True) for logits in (student, teacher))
    expected = (student - teacher) / (N * C)
    student.requires_grad_()
    distances = []
    for temperature in (10.0, 100.0, 1000.0):
        (found,) = torch.autograd.grad(soft_loss(student, teacher, temperature), student)
        distances.append(((found - expected).abs().max() / expected.abs().max()).item())
    assert distances[0] > 5 * distances[1] > 25 * distances[2]
    assert distances[2] < 1e-2


def test_kd_keeps_the_size_of_its_gradient_over_temperatures():
    student, teacher, _ = draw(size=1.0, dtype=torch.float64)
    student.requires_grad_()
    sizes = [
        torch.autograd.grad(soft_loss(student, teacher, temperature), student)[0].norm().item()
        for temperature in (2.0, 4.0, 8.0, 16.0)
    ]
    assert max(sizes) < 2 * min(sizes)


def test_terms_of_half_precision_are_float32_scalars(loss):
    student, teacher, batch = draw()
    with torch.autocast("cpu", torch.bfloat16):
        found = terms(loss, student.bfloat16(), teacher.bfloat16(), batch)
    for value in found.values():
        assert (value.dtype, value.shape) == (torch.float32, torch.Size())
    exact = terms(loss, student.bfloat16().float(), teacher.bfloat16().float(), batch)
    for name, value in found.items():
        torch.testing.assert_close(value, exact[name])


def test_widen_changes_half_precision_alone():
    for dtype in (torch.float16, torch.bfloat16):
        assert to_float32(torch.zeros(1, dtype=dtype)).dtype == torch.float32
    for dtype in (torch.float32, torch.float64):
        tensor = torch.zeros(1, dtype=dtype)
        assert to_float32(tensor) is tensor


def test_a_loss_without_needs_asks_for_none(loss):
    assert loss.taps() == TapRequest()
    assert loss.phases() == (MAIN,)
    assert list(loss.parameters()) == []
    shapes = TapShapes({}, torch.nn.Identity(), {})
    data = DataInfo(tuple("abc"), ImageInputs(1, (8, 8)), train_size=10)
    loss.bind(shapes, shapes if loss.uses_teacher else None, data)


def test_a_teacher_that_is_not_given_is_our_mistake():
    with pytest.raises(TypeError, match="reads a teacher"):
        teacher_logits(None)


def test_a_loss_without_terms_is_our_mistake():
    student, teacher, batch = draw()
    with pytest.raises(TypeError, match="Loss does not define its terms"):
        Loss()(Output(student), Output(teacher), batch, AT)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_table_is_one_and_says_where_it_is_from(name):
    part = resolve("loss", LOSSES, name)
    assert issubclass(part, Loss)
    assert part.__doc__
