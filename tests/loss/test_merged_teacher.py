"""A teacher of many classes is read as one of the student's few, at each loss's temperature."""

from dataclasses import replace

import pytest
import torch
from given import AT, INFO, B, C, batch, node, output
from torch import nn

from kdrun.core.class_merge import Merge, merge_logits
from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss

GROUPS = ((1, 2, 7), (0,), (9, 4))
FEW = replace(
    INFO, classes=("a", "b", "c"), merge=Merge(tuple(str(number) for number in range(C)), GROUPS)
)


class Flat(nn.Module):
    """A network of so many classes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images.mean((2, 3)))


def without_taps(classes: int) -> TapShapes:
    return TapShapes({}, Flat(classes), {})


def around(inner: dict, data: DataInfo = FEW) -> Loss:
    loss = build_loss({"name": "merged_teacher", "loss": inner})
    loss.bind(without_taps(3), without_taps(C), data)
    return loss


def few(seed: int = 2) -> Output:
    return Output(output({}, seed).logits[:, :3])


def labels() -> Batch:
    given = batch()
    return replace(given, targets=given.targets % 3)


def literal(teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Probabilities summed over each group and renormalized, sample by sample, in float64."""
    rows = []
    for logits in teacher.double():
        weights = [torch.exp(value / temperature) for value in logits]
        sums = torch.stack([sum(weights[label] for label in group) for group in GROUPS])
        rows.append(sums / sums.sum())
    return torch.stack(rows)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_merged_logits_soften_to_the_summed_probabilities(temperature: float) -> None:
    logits = output({}, 1).logits
    merged = merge_logits(logits, GROUPS, temperature)
    expected = literal(logits, temperature)
    torch.testing.assert_close(
        (merged.double() / temperature).softmax(1), expected, rtol=1e-5, atol=0
    )


def test_merged_logits_of_large_values_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4] * 5])
    assert merge_logits(logits, GROUPS, 0.5).isfinite().all()


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kd_learns_from_the_sums_at_its_own_temperature(temperature: float) -> None:
    student, teacher = few(), output({}, 1)
    loss = around(node("kd", alpha=0.7, temperature=temperature))
    found = loss(student, teacher, labels(), AT)
    p = literal(teacher.logits, temperature)
    log_q = (student.logits.double() / temperature).log_softmax(1)
    expected = 0.7 * temperature**2 * (p * (p.log() - log_q)).sum() / B
    torch.testing.assert_close(found["kd"].double(), expected, rtol=1e-5, atol=0)


def test_each_term_of_a_sum_has_its_own_temperature() -> None:
    student, teacher = few(), output({}, 1)
    terms = {"one": node("kd", temperature=2.0), "two": node("kd", temperature=5.0)}
    sums = around(node("combined", terms=terms, ce=0.0, kd=1.0, temperature=3.0))
    found = sums(student, teacher, labels(), AT)
    for name, temperature in (("one/kd", 2.0), ("two/kd", 5.0)):
        alone = around(node("kd", temperature=temperature))
        torch.testing.assert_close(found[name], alone(student, teacher, labels(), AT)["kd"])
    all_classes = around(node("kd", alpha=1.0, temperature=3.0))
    torch.testing.assert_close(found["kd"], all_classes(student, teacher, labels(), AT)["kd"])


def test_a_loss_without_a_temperature_reads_the_probabilities_as_they_are() -> None:
    student, teacher = few(), output({}, 1)
    found = around(node("mse", alpha=1.0))(student, teacher, labels(), AT)["mse"]
    expected = (student.logits.double() - literal(teacher.logits, 1.0).log()).float()
    shift = torch.logsumexp(merge_logits(teacher.logits, GROUPS), 1, keepdim=True)
    torch.testing.assert_close(found, (expected - shift).square().mean())


class Nosy(Loss):
    """Reads the classes of the teacher's classifier."""

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.head = teacher.network.head
        self.register_buffer("count", torch.zeros(()))

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: Progress) -> dict:
        self.count += 1
        return {"nosy": (student.logits - self.head(batch.inputs.mean((2, 3)))).sum()}


def test_a_loss_that_reads_the_teachers_classifier_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kdrun.loss.wrapper.build_loss", lambda node: Nosy())
    with pytest.raises(UserError, match="reads the teacher's 10 classes where the student has 3"):
        around({"name": "nosy"})


def test_trying_a_loss_leaves_it_and_the_random_numbers_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Nosy, "forward", lambda self, *given: self.count.add_(1) and {})
    monkeypatch.setattr("kdrun.loss.wrapper.build_loss", lambda node: Nosy())
    loss = build_loss({"name": "merged_teacher", "loss": {"name": "nosy"}})
    before = without_taps(3), without_taps(C), torch.get_rng_state()
    loss.bind(*before[:2], FEW)
    assert loss.loss.count == 0
    assert torch.equal(torch.get_rng_state(), before[2])


def test_phases_train_what_the_loss_inside_names() -> None:
    loss = around(node("kd"))
    assert loss.phases()[-1].trains == ("student.*", "loss.loss.*")
