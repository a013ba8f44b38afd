"""Masks: exact shares, the lowest scores, patterns of N in M."""

import pytest
import torch
from torch import Tensor, nn
from zoo import build, images

from kdrun.compress.masks import (
    apply_masks,
    cubic,
    global_masks,
    layer_masks,
    pattern_masks,
    prunable,
    sparsity_of,
)
from kdrun.core.errors import UserError


def scores(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().abs() for name, weight in prunable(network).items()}


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(32, 5)
    )


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 1 / 3, 0.5, 0.7])
@pytest.mark.parametrize("name", ["resnet8", "vgg8", "lenet5"])
def test_masks_prune_an_exact_number_of_weights(name, sparsity):
    network = build(name, images(32))
    given = scores(network)
    whole = sum(score.numel() for score in given.values())
    masks = global_masks(given, sparsity)
    apply_masks(network, masks)
    zeros = sum(int((weight == 0).sum()) for weight in prunable(network).values())
    assert zeros == round(sparsity * whole)
    assert sparsity_of(masks) == pytest.approx(zeros / whole)
    for name, mask in layer_masks(given, sparsity).items():
        assert int((~mask).sum()) == round(sparsity * given[name].numel())


def test_the_lowest_scores_are_pruned():
    given = scores(small())
    masks = global_masks(given, 0.6)
    left = torch.cat([given[name][~mask] for name, mask in masks.items()])
    kept = torch.cat([given[name][mask] for name, mask in masks.items()])
    assert left.max() <= kept.min()
    for name, mask in layer_masks(given, 0.6).items():
        assert given[name][~mask].max() <= given[name][mask].min()


def test_equal_scores_are_still_an_exact_share():
    masks = global_masks({"weight": torch.ones(10, 10)}, 0.37)
    assert int((~masks["weight"]).sum()) == 37


@pytest.mark.parametrize(("kept", "of"), [(2, 4), (1, 4), (4, 8)])
def test_a_pattern_keeps_the_best_of_each_group_of_inputs(kept, of):
    given = scores(small())
    masks = pattern_masks(given, kept, of)
    assert list(masks) == ["2.weight", "4.weight"]  # three channels are no group
    for name, mask in masks.items():
        rows = mask.movedim(1, -1).reshape(-1, of)
        held = given[name].movedim(1, -1).reshape(-1, of)
        assert (rows.sum(dim=1) == kept).all()
        for row, values in zip(rows, held, strict=True):
            assert values[~row].max() <= values[row].min()


def test_norms_and_biases_are_not_prunable():
    network = small()
    assert list(prunable(network)) == ["0.weight", "2.weight", "4.weight"]
    before = {name: value.clone() for name, value in network.named_parameters()}
    apply_masks(network, global_masks(scores(network), 0.5))
    for name in ("0.bias", "1.weight", "1.bias", "4.bias"):
        assert torch.equal(dict(network.named_parameters())[name], before[name])


def test_pruning_all_weights_of_a_layer_is_refused():
    given = {"first.weight": torch.ones(4, 4), "last.weight": torch.full((4, 4), 1e-3)}
    with pytest.raises(UserError) as error:
        global_masks(given, 0.5)
    first, second = error.value.lines
    assert first == "sparsity=0.5 leaves no weight of 'last.weight', which has 16."
    assert "scope=layer" in second
    assert layer_masks(given, 0.5).keys() == given.keys()


def test_the_cubic_schedule_equals_its_equation():
    assert [cubic(0.0, 0.8, part / 4) for part in range(5)] == pytest.approx(
        [0.8 - 0.8 * (1 - part / 4) ** 3 for part in range(5)]
    )
    assert cubic(0.2, 0.8, -1) == pytest.approx(0.2)
    assert cubic(0.2, 0.8, 2) == 0.8
