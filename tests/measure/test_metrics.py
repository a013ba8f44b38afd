"""Scores against scikit-learn and against the formulas, written out slowly."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle
from torch import Tensor

from kdrun.measure.metrics import Meter, Scores, agreement
from kdrun.task.classification import CLASSIFICATION


def sample(seed: int, n: int, classes: int, sharpness: float = 2.0) -> tuple[Tensor, Tensor]:
    """Logits (n, classes) that are right more often than by chance, and targets (n,)."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(classes, (n,), generator=generator)
    logits = sharpness * torch.randn(n, classes, generator=generator)
    return logits + torch.nn.functional.one_hot(targets, classes) * sharpness, targets


def measured(logits: Tensor, targets: Tensor) -> Scores:
    meter = Meter(logits.shape[1])
    meter.update(logits, targets)
    return meter.compute()


def slow_calibration_error(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Guo et al. 2017, eq. 3, with its bins ((m - 1) / M, m / M] taken literally."""
    error = 0.0
    for m in range(1, 16):
        members = [
            (row.max(), float(row.argmax() == target))
            for row, target in zip(probabilities, targets, strict=True)
            if (m - 1) / 15 < row.max() <= m / 15
        ]
        if members:
            confidence = sum(member[0] for member in members) / len(members)
            accuracy = sum(member[1] for member in members) / len(members)
            error += len(members) / len(targets) * abs(accuracy - confidence)
    return error


SIZES = [(1, 10), (7, 2), (50, 3), (200, 10), (300, 100)]


@pytest.mark.parametrize(("n", "classes"), SIZES)
def test_scores_equal_scikit_learn(n, classes):
    logits, targets = sample(n, n, classes)
    scores = measured(logits, targets)
    predicted, labels = logits.argmax(1).numpy(), np.arange(classes)
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(
        targets.numpy(), predicted, labels=labels, average="macro", zero_division=0
    )
    probabilities = logits.double().softmax(1).numpy()
    assert scores["n"] == n
    assert scores["accuracy"] == oracle.accuracy_score(targets.numpy(), predicted)
    assert scores["precision"] == pytest.approx(precision, abs=1e-12)
    assert scores["recall"] == pytest.approx(recall, abs=1e-12)
    assert scores["f1"] == pytest.approx(f1, abs=1e-12)
    loss = oracle.log_loss(targets.numpy(), probabilities, labels=labels)
    assert scores["nll"] == pytest.approx(loss, abs=1e-12)
    if classes > 5:
        hits = oracle.top_k_accuracy_score(targets.numpy(), probabilities, k=5, labels=labels)
        assert scores["top5"] == pytest.approx(hits, abs=1e-12)
    else:
        assert scores["top5"] == 1


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 12), st.floats(0.01, 20))
def test_scores_equal_the_literal_formulas(seed, n, classes, sharpness):
    logits, targets = sample(seed, n, classes, sharpness)
    scores = measured(logits, targets)
    probabilities = logits.double().softmax(1).numpy()
    expected = slow_calibration_error(probabilities, targets.numpy())
    assert scores["ece"] == pytest.approx(expected, abs=1e-12)
    own = probabilities[np.arange(n), targets.numpy()]
    assert scores["nll"] == pytest.approx(-np.log(own).mean(), rel=1e-9)
    order = np.argsort(-logits.numpy(), axis=1, kind="stable")[:, :5]
    assert scores["top5"] == pytest.approx((order == targets.numpy()[:, None]).any(1).mean())


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    # Two classes at confidence 0.6 = 9/15 and just above it: two bins, two gaps.
    above = 0.6 + 1e-9
    logits = torch.tensor([[0.6, 0.4], [above, 1 - above]], dtype=torch.float64).log()
    scores = measured(logits, torch.tensor([0, 1]))
    assert scores["ece"] == pytest.approx((0.4 + 0.6) / 2, abs=1e-8)


def test_batches_of_any_size_give_the_same_scores():
    logits, targets = sample(5, 103, 10)
    whole = measured(logits, targets)
    for size in (1, 10, 64):
        meter = Meter(10)
        for start in range(0, 103, size):
            meter.update(logits[start : start + size], targets[start : start + size])
        assert meter.compute() == whole


def test_half_precision_logits_are_scored_as_the_numbers_they_are():
    logits, targets = sample(6, 50, 10)
    rounded = logits.bfloat16()
    assert measured(rounded, targets) == measured(rounded.double(), targets)


def test_absent_classes_count_as_zero():
    logits = torch.eye(4)[[0, 1, 0]]
    scores = measured(logits, torch.tensor([0, 1, 1]))
    # Of 4 classes only 0 (precision 1/2, recall 1) and 1 (1, 1/2) are there.
    assert scores["precision"] == pytest.approx((0.5 + 1) / 4)
    assert scores["recall"] == pytest.approx((1 + 0.5) / 4)
    assert scores["f1"] == pytest.approx((2 / 3 + 2 / 3) / 4)


def test_a_network_that_says_the_same_of_all_is_not_flattered_by_ties():
    targets = torch.arange(10)
    scores = measured(torch.zeros(10, 10), targets)
    assert (scores["accuracy"], scores["top5"]) == (0.1, 0.5)
    assert scores["nll"] == pytest.approx(math.log(10))
    assert scores["ece"] == pytest.approx(0, abs=1e-12)


def test_nan_answers_are_no_hits():
    scores = measured(torch.full((4, 10), math.nan), torch.arange(1, 5))
    assert (scores["accuracy"], scores["top5"]) == (0, 0)
    assert math.isnan(scores["nll"])
    assert math.isnan(scores["ece"])


def test_certain_answers_have_exact_scores():
    scores = measured(1e4 * torch.eye(3), torch.arange(3))
    perfect = dict.fromkeys(("accuracy", "top5", "precision", "recall", "f1"), 1)
    assert scores == {"n": 3, **perfect, "nll": 0, "ece": 0}
    assert math.copysign(1, scores["nll"]) == 1


def test_predictions_are_in_the_order_of_the_updates():
    logits, targets = sample(8, 20, 4)
    meter = Meter(4)
    meter.update(logits[:15], targets[:15])
    meter.update(logits[15:], targets[15:])
    found = meter.predictions()
    assert found.target.tolist() == targets.tolist()
    assert found.predicted.tolist() == logits.argmax(1).tolist()
    assert found.target.dtype == found.predicted.dtype == np.int64
    expected = logits.double().softmax(1)[torch.arange(20), targets]
    np.testing.assert_allclose(found.probability, expected.numpy(), rtol=1e-12)
    assert found.correct.mean() == meter.compute()["accuracy"]


def test_every_metric_of_the_table_has_its_score_in_order():
    assert list(measured(*sample(9, 20, 4))) == ["n", *CLASSIFICATION.scores]


def test_an_empty_meter_has_no_scores():
    with pytest.raises(ValueError, match="nothing was measured"):
        Meter(3).compute()


def test_agreement_is_the_share_of_equal_answers():
    assert agreement(np.array([0, 1, 2, 3]), np.array([0, 1, 1, 3])) == 0.75
