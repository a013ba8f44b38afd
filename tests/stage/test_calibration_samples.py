"""The samples that a step may look at: of the training split, and labeled where any are."""

import pytest
import torch
from plans import plan

from kdrun.compress.calibrators import MinMax
from kdrun.compress.step_inputs import StepInputs, TokenUse
from kdrun.core.errors import UserError
from kdrun.stage.base import MAIN
from kdrun.stage.step_inputs import calibration_batches


def no_tokens(encoding) -> TokenUse:
    """The inputs are images."""
    raise AssertionError


def test_they_follow_from_the_seed_and_are_not_augmented():
    data = plan("controls=[]").datasets[MAIN]
    first, again, other = (list(calibration_batches(data, seed, 64)) for seed in (0, 0, 1))
    assert torch.equal(first[0][0], again[0][0])
    assert not torch.equal(first[0][0], other[0][0])
    plain = torch.cat([batch.inputs for batch in data.train.batches(64)])
    images = torch.cat([images for images, _ in first])
    assert len(images) == 64
    assert all((plain == image).flatten(1).all(dim=1).any() for image in images)


def test_hidden_labels_are_not_looked_at():
    data = plan("controls=[]", "dataset.unlabeled=0.5").datasets[MAIN]
    labeled = torch.cat([batch.inputs for batch in data.labeled_only().train.batches(64)])
    for images, labels in calibration_batches(data, 0, 64):
        assert (labels >= 0).all()
        assert all((labeled == image).flatten(1).all(dim=1).any() for image in images)


def test_scores_by_gradients_are_refused_where_no_sample_has_a_label():
    images = torch.zeros(4, 1, 8, 8)
    material = StepInputs(
        [(images, torch.full((4,), -1))], MinMax(), 0, lambda _: 0, lambda _: 0.0, no_tokens
    )
    with pytest.raises(UserError, match="score=taylor needs labels, and no training sample"):
        material.labeled("score=taylor")
    labels = torch.zeros(4, dtype=torch.int64)
    known = StepInputs([(images, labels)], MinMax(), 0, lambda _: 0, lambda _: 0.0, no_tokens)
    assert known.labeled("score=taylor") == known.batches
