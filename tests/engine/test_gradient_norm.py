"""The norm of the gradient: its value, its mean, and the parameter that it names."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from kdrun.engine.gradient_norm import GradientNorm, weights_fault

CPU = torch.device("cpu")


def parameters(*names: str) -> dict[str, nn.Parameter]:
    torch.manual_seed(0)
    return {name: nn.Parameter(torch.randn(7, 13)) for name in names}


def fill(learning: Mapping[str, nn.Parameter], **gradients: float | None) -> None:
    for name, value in gradients.items():
        learning[name].grad = None if value is None else torch.full((7, 13), value)


def norm(learning: Mapping[str, nn.Parameter], scaled: bool = False) -> GradientNorm:
    return GradientNorm(learning, CPU, scaled)


def test_the_norm_is_that_of_pytorch_to_the_bit() -> None:
    learning = parameters(*(f"p{number}" for number in range(20)))
    for parameter in learning.values():
        parameter.grad = torch.randn(7, 13)
    expected = nn.utils.get_total_norm([value.grad for value in learning.values()])
    assert norm(learning).measure().equal(expected)


def test_the_mean_is_over_the_steps_since_it_was_reset() -> None:
    learning = parameters("a")
    watched, length = norm(learning), 91**0.5
    for gradient in (5.0, None, 1.0, 3.0):
        if gradient is None:
            watched.reset()
            continue
        fill(learning, a=gradient)
        watched.measure()
    assert watched.mean() == pytest.approx(2 * length)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_the_parameter_of_the_first_bad_step_is_named_later_too(value: float) -> None:
    learning = parameters("a", "b")
    watched = norm(learning)
    for steps in ({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": value}, {"a": float("nan"), "b": 1.0}):
        fill(learning, **steps)
        watched.measure()
    assert "'b' is" in watched.fault()


def test_parameters_without_a_gradient_are_passed_over() -> None:
    learning = parameters("a", "b", "c")
    watched = norm(learning)
    for steps in (
        {"a": 1.0, "b": None, "c": 1.0},
        {"a": None, "b": 1.0, "c": float("inf")},
        {"a": 1.0, "b": float("inf"), "c": 1.0},
    ):
        fill(learning, **steps)
        watched.measure()
    assert "'c' is inf" in watched.fault()
    fill(learning, a=None, b=None, c=None)
    assert norm(learning).measure() == 0


def test_a_step_that_the_gradient_scaler_skips_is_no_fault_and_not_in_the_mean() -> None:
    learning = parameters("a")
    watched = norm(learning, scaled=True)
    for gradient in (1.0, float("inf"), 1.0):
        fill(learning, a=gradient)
        watched.measure()
    assert not watched.fault()
    assert watched.mean() == pytest.approx(91**0.5)


def test_steps_that_the_gradient_scaler_skips_without_end_are_a_fault() -> None:
    learning = parameters("a", "b")
    watched = norm(learning, scaled=True)
    fill(learning, a=1.0, b=float("nan"))
    for _ in range(30):
        watched.measure()
        assert not watched.fault()
    watched.measure()
    assert "'b' is nan" in watched.fault()


class CountReads(TorchDispatchMode):
    """Counts values that are read from tensors, for each of which a GPU would have to finish."""

    reads = 0

    def __torch_dispatch__(self, operator, types, arguments=(), keywords=None):
        self.reads += operator is torch.ops.aten._local_scalar_dense.default
        return operator(*arguments, **(keywords or {}))


@pytest.mark.parametrize("scaled", [False, True])
def test_nothing_is_read_from_the_device_while_steps_are_measured(scaled: bool) -> None:
    learning = parameters("a", "b")
    watched = norm(learning, scaled)
    with CountReads() as counter:
        for b in (1.0, None, float("inf"), None):
            fill(learning, a=1.0, b=b)
            watched.measure()
    assert counter.reads == 0
    with CountReads() as counter:
        watched.fault()
    assert counter.reads > 0


def test_a_restored_norm_goes_on_with_the_same_mean() -> None:
    learning = parameters("a")
    first, second = norm(learning), norm(learning)
    fill(learning, a=1.0)
    first.measure()
    second.restore(first.state())
    for watched in (first, second):
        fill(learning, a=3.0)
        watched.measure()
    assert first.mean() == second.mean() == pytest.approx(2 * 91**0.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(value: float) -> None:
    learning = parameters("a", "b")
    assert weights_fault(learning, CPU) == ""
    weights: Tensor = learning["b"].data
    weights[3, 4] = value
    assert f"'b' is {value}" in weights_fault(learning, CPU)
