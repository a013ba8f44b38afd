"""Quantized weights: how far off they are, and that quantizing twice changes nothing."""

import pytest
import torch
from torch import Tensor

from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.weight_scales import (
    WeightGrid,
    choose_scales,
    fake_quantize,
    min_scale_for_bias,
)

GRIDS = [
    WeightGrid(QuantizationGrid(bits, symmetric), per_channel)
    for bits in (8, 6, 4, 2)
    for symmetric in (True, False)
    for per_channel in (True, False)
]


def drawn(seed: int = 0, channels: int = 40) -> Tensor:
    """Weights whose channels differ in magnitude by orders, some of one sign."""
    random = torch.Generator().manual_seed(seed)
    sizes = 10 ** (torch.rand(channels, 1, 1, 1, generator=random) * 4 - 3)
    weight = torch.randn(channels, 5, 3, 3, generator=random)
    weight[: channels // 4] = weight[: channels // 4].abs()
    return weight * sizes


@pytest.mark.parametrize("how", GRIDS, ids=str)
def test_weights_are_rounded_by_at_most_half_a_scale(how):
    weight = drawn()
    found = choose_scales(weight, how)
    moved = (fake_quantize(weight, how)[0] - weight).abs().amax(dim=(1, 2, 3))
    # Of a grid that isn't symmetric the ends may be rounded away, by as much again.
    most = 0.5 if how.grid.symmetric else 1.0
    assert (moved <= found.scale * (most + 1e-4)).all()
    numbers = found.quantize(weight, how.grid)
    assert numbers.min() >= how.grid.lowest
    assert numbers.max() <= how.grid.highest
    assert found.dequantize(found.quantize(torch.zeros_like(weight), how.grid)).eq(0).all()


@pytest.mark.parametrize("how", GRIDS, ids=str)
def test_the_scale_follows_from_the_extremes(how):
    weight = drawn()
    rows = weight.double().flatten(1) if how.per_channel else weight.double().reshape(1, -1)
    low, high = rows.amin(1).clamp_max(0), rows.amax(1).clamp_min(0)
    if how.grid.symmetric:
        expected = torch.maximum(-low, high) / how.grid.highest
        found = choose_scales(weight, how).scale.double().reshape(-1)
        assert (found >= expected * (1 - 1e-6)).all()
        assert (found <= expected * (1 + 2**-15)).all()
    else:
        levels = how.grid.highest - how.grid.lowest
        expected = (high - low) / levels
        found = choose_scales(weight, how).scale.double().reshape(-1)
        torch.testing.assert_close(found, expected, rtol=1.5 / levels, atol=0)


@pytest.mark.parametrize("how", GRIDS, ids=str)
def test_quantizing_again_changes_nothing(how):
    for seed in range(10):
        once, first = fake_quantize(drawn(seed), how)
        twice, second = fake_quantize(once, how)
        assert torch.equal(once, twice)
        assert torch.equal(first.scale, second.scale)
        assert how.grid.symmetric or torch.equal(first.zero_point, second.zero_point)


def test_products_with_a_scale_are_exact():
    scale = choose_scales(drawn(), GRIDS[0]).scale
    for number in range(-255, 256):
        assert torch.equal((scale * number).double(), scale.double() * number)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("symmetric", [True, False])
def test_scales_per_channel_have_smaller_errors(bits, symmetric):
    weight = drawn()
    errors = [
        (fake_quantize(weight, WeightGrid(QuantizationGrid(bits, symmetric), each))[0] - weight)
        .square()
        .mean()
        for each in (True, False)
    ]
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize("how", GRIDS, ids=str)
def test_a_channel_of_zeros_stays_zero(how):
    weight = drawn()
    weight[3] = 0
    found, with_zeros = fake_quantize(weight, how)
    assert found[3].eq(0).all()
    assert torch.isfinite(with_zeros.scale).all()
    found, _ = fake_quantize(torch.zeros(4, 2), how)
    assert found.eq(0).all()


def test_a_bias_keeps_its_precision_if_weights_are_about_0():
    weight = torch.tensor([[1e-12, -1e-13], [0.0, 0.0], [0.5, 0.25]])
    bias, unit = torch.tensor([0.7, -300.0, 0.1]), torch.tensor(0.02)
    found = choose_scales(weight, GRIDS[0], min_scale_for_bias(bias, unit))
    whole = (bias / (unit * found.scale)).round()
    assert whole.abs().max() <= 2**23
    torch.testing.assert_close(whole * unit * found.scale, bias, rtol=1e-5, atol=0)
    assert found.scale[2].item() == pytest.approx(0.5 / 127, rel=2**-15)


def test_gradients_of_weights_pass_straight_through():
    weight = drawn().requires_grad_()
    weigh = drawn(1)
    found, _ = fake_quantize(weight, GRIDS[0])
    (found * weigh).sum().backward()
    assert torch.equal(weight.grad, weigh)
