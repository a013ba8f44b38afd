"""Custom operators: their formulas in float64, their gradients, and torch's opcheck."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kdrun.compress.quantize.ops import dequantize, linear_dynamic, quantize_dequantize


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("low", "high", "zero"), [(-128, 127, -128), (-128, 127, 3), (-7, 7, 0)])
def test_values_are_rounded_as_the_formula_says(low, high, zero):
    x = drawn(5, 7, 3) * 4
    found = quantize_dequantize(x, torch.tensor(0.03125), torch.tensor(float(zero)), low, high)
    for value, rounded in zip(x.flatten().tolist(), found.flatten().tolist(), strict=True):
        whole = min(high, max(low, round(value / 0.03125) + zero))
        assert rounded == (whole - zero) * 0.03125


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_give_half_precision_outputs(dtype):
    x = drawn(50).to(dtype)
    found = quantize_dequantize(x, torch.tensor(0.0625), torch.tensor(0.0), -128, 127)
    assert found.dtype == dtype
    assert torch.equal(found, (x.float() / 0.0625).round().to(dtype) * 0.0625)


def test_gradients_pass_through_values_that_are_not_clipped():
    x = torch.tensor([-1.31, -1.29, 0.0, 0.5, 1.24, 1.27], requires_grad=True)
    scale, zero = torch.tensor(0.01), torch.tensor(-3.0)
    (quantize_dequantize(x, scale, zero, -128, 121) * torch.arange(1, 7)).sum().backward()
    assert x.grad.tolist() == [0, 0, 3, 4, 5, 0]


def test_the_gradient_of_a_scale_equals_its_formula():
    torch.manual_seed(0)
    x, scale, zero = 3 * torch.randn(5, 4, 2), torch.tensor(0.02, requires_grad=True), -100.0
    slopes = torch.randn_like(x)
    (quantize_dequantize(x, scale, torch.tensor(zero), -128, 127) * slopes).sum().backward()
    expected = 0.0
    for value, slope in zip(x.flatten().tolist(), slopes.flatten().tolist(), strict=True):
        exact = value / scale.item()
        low, high = -128 - zero, 127 - zero
        inside = low <= round(exact) <= high
        expected += slope * (round(exact) - exact if inside else min(max(exact, low), high))
    assert scale.grad.item() == pytest.approx(expected, rel=1e-4)


def test_dequantize_equals_its_formula():
    values = torch.randint(-128, 128, (4, 3, 2), dtype=torch.int8)
    scale, zero = torch.rand(4), torch.tensor([0, 3, -4, 127], dtype=torch.int8)
    found = dequantize(values, scale, zero, 0)
    expected = (values.double() - zero.double()[:, None, None]) * scale.double()[:, None, None]
    torch.testing.assert_close(found.double(), expected)
    torch.testing.assert_close(
        dequantize(values, scale[0], None, None).double(), values.double() * scale[0].double()
    )


@pytest.mark.parametrize("shape", [(6, 9), (2, 5, 9)])
def test_linear_dynamic_rounds_its_inputs(shape):
    x, values, scale, bias = drawn(*shape), (drawn(4, 9) * 40).char(), drawn(4).abs(), drawn(4)
    low, high = min(0.0, x.min().item()), max(0.0, x.max().item())
    step = (high - low) / 255
    zero = round(-low / step)
    whole = (x.double() / step).round() + zero
    assert whole.min() >= 0
    assert whole.max() <= 255
    weight = values.double() * scale.double()[:, None]
    expected = F.linear((whole - zero) * step, weight, bias.double())
    found = linear_dynamic(x, values, scale, bias)
    assert (found - expected).abs().max() < 2 * step * weight.abs().max()  # of one at a tie
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)


def test_linear_dynamic_takes_zeros():
    values, scale = torch.ones(4, 9, dtype=torch.int8), torch.ones(4)
    assert linear_dynamic(torch.zeros(2, 9), values, scale, None).eq(0).all()


def test_gradients_of_linear_dynamic_ignore_rounding():
    x, bias = drawn(3, 5, 9).requires_grad_(), drawn(4).requires_grad_()
    values, scale, weigh = (drawn(4, 9) * 40).char(), drawn(4).abs(), drawn(3, 5, 4)
    found = torch.autograd.grad((linear_dynamic(x, values, scale, bias) * weigh).sum(), (x, bias))
    weight = values.float() * scale[:, None]
    expected = torch.autograd.grad((F.linear(x, weight, bias) * weigh).sum(), (x, bias))
    torch.testing.assert_close(found, expected)


def test_the_operators_pass_opcheck():
    x, one = drawn(2, 3, 4, 5).requires_grad_(), torch.tensor(1.0)
    values, scale = torch.ones(4, 5, dtype=torch.int8), torch.ones(4)
    last = x.detach().to(memory_format=torch.channels_last)
    for operator, given in (
        (quantize_dequantize, (x, one, one, -8, 7)),
        (quantize_dequantize, (last, one, one, -8, 7)),
        (dequantize, (values, scale, None, 0)),
        (dequantize, (values, scale, values[:, 0], 0)),
        (dequantize, (values, one, None, None)),
        (linear_dynamic, (x, values, scale, None)),
        (linear_dynamic, (x, values, scale, drawn(4).requires_grad_())),
    ):
        torch.library.opcheck(
            operator.default, given, test_utils=["test_schema", "test_faketensor"]
        )
