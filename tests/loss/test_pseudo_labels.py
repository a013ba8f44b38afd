"""Label terms count labels alone; the teacher's decisions stand for those that are missing."""

from dataclasses import replace
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from kdrun.core.class_merge import Merge
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.types import Batch, DataInfo, Output, TapShapes
from kdrun.engine.micro_batches import micro_batches
from kdrun.engine.mixing import mix_batch
from kdrun.loss.functional import label_loss
from kdrun.loss.pseudo_labels import with_pseudo_labels
from kdrun.loss.table import build_loss

B, C = 6, 4
KNOWN = torch.tensor([True, False, True, True, False, True])


def batch() -> Batch:
    rows = torch.arange(B)
    targets = torch.tensor([1, 0, 2, 3, 0, 1])
    return Batch(torch.randn(B, 1, 2, 2), targets, rows, rows * 0, labeled=KNOWN)


def logits(seed: int, classes: int = C) -> torch.Tensor:
    return torch.randn(B, classes, generator=torch.Generator().manual_seed(seed))


def test_the_label_term_is_the_mean_over_labeled_samples() -> None:
    given, answer = batch(), logits(0).requires_grad_()
    expected = F.cross_entropy(answer[KNOWN], given.targets[KNOWN])
    torch.testing.assert_close(label_loss(answer, given), expected)
    soft = logits(1).softmax(1)
    found = label_loss(answer, replace(given, soft_targets=soft))
    torch.testing.assert_close(found, F.cross_entropy(answer[KNOWN], soft[KNOWN]))
    found.backward()
    assert not answer.grad[~KNOWN].any()
    assert answer.grad[KNOWN].any(dim=1).all()


def test_without_any_label_the_label_term_is_0_and_pulls_nowhere() -> None:
    answer = logits(0).requires_grad_()
    found = label_loss(answer, replace(batch(), labeled=torch.zeros(B, dtype=torch.bool)))
    found.backward()
    assert found == 0
    assert not answer.grad.any()


def test_the_teachers_decisions_stand_for_missing_labels() -> None:
    given, teacher = batch(), Output(logits(2))
    found = with_pseudo_labels(given, build_loss({"name": "ce"}), teacher)
    assert found.targets.tolist() == given.targets.where(KNOWN, teacher.logits.argmax(1)).tolist()
    assert found.soft_targets is None
    assert with_pseudo_labels(given, build_loss({"name": "ce"}), None) is given
    all_labeled = replace(given, labeled=None)
    assert with_pseudo_labels(all_labeled, build_loss({"name": "ce"}), teacher) is all_labeled


def test_decisions_of_a_teacher_of_more_classes_are_the_students() -> None:
    groups = ((0, 5), (1, 2), (3, 4))
    info = DataInfo(("a", "b", "c"), ImageInputs(1, (2, 2)), 9, Merge(tuple("uvwxyz"), groups))
    loss = build_loss(
        {"name": "merged_teacher", "loss": {"name": "kd", "alpha": 0.5, "temperature": 2.0}}
    )
    few, many = (
        torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, count)) for count in (3, 6)
    )
    loss.bind(TapShapes({}, few, {}), TapShapes({}, many, {}), info)
    teacher = Output(logits(3, classes=6))
    p = teacher.logits.double().softmax(1)
    sums = torch.stack([p[:, list(group)].sum(1) for group in groups], 1)
    found = with_pseudo_labels(batch(), loss, teacher)
    assert found.targets[~KNOWN].tolist() == sums.argmax(1)[~KNOWN].tolist()


def test_mixing_with_a_sample_without_a_label_leaves_none() -> None:
    recipe = SimpleNamespace(label_smoothing=0.1, mixup=1.0, cutmix=0.0)
    mixed = mix_batch(batch(), recipe, C, 0, "distill", "main", 5)
    assert mixed.labeled.tolist() == (KNOWN & KNOWN.roll(1)).tolist()
    teacher = Output(logits(2))
    found = with_pseudo_labels(mixed, build_loss({"name": "ce"}), teacher)
    certain = F.one_hot(teacher.logits.argmax(1), C).float()
    assert torch.equal(found.soft_targets[~mixed.labeled], certain[~mixed.labeled])
    assert torch.equal(found.soft_targets[mixed.labeled], mixed.soft_targets[mixed.labeled])
    smooth = SimpleNamespace(label_smoothing=0.1, mixup=0.0, cutmix=0.0)
    assert mix_batch(batch(), smooth, C, 0).labeled.tolist() == KNOWN.tolist()


def test_parts_of_a_batch_keep_who_has_a_label() -> None:
    found = [part.labeled.tolist() for part, _ in micro_batches(batch(), 2)]
    assert found == [KNOWN[:3].tolist(), KNOWN[3:].tolist()]
    assert all(part.labeled is None for part, _ in micro_batches(replace(batch(), labeled=None), 2))
