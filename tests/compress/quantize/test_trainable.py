"""Trainable quantized networks: the same outputs before training, integers afterwards."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from nets import ACTIVATIONS, NAMES, WEIGHTS, folded, make, quantized, samples
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kdrun.compress.calibrators import MinMax
from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.calibration import calibrate
from kdrun.compress.quantize.layers import ActivationQuantizer, FakeQuantizedLayer, Int8Layer
from kdrun.compress.quantize.quantization_plan import plan_quantization
from kdrun.compress.quantize.static import activation_quantizers
from kdrun.compress.quantize.trainable import to_int8, to_trainable
from kdrun.compress.quantize.weight_scales import WeightGrid


def same(found: nn.Module, expected: nn.Module) -> None:
    found, expected = found.state_dict(), expected.state_dict()
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


def learn(network: nn.Module, steps: int, rate: float = 0.05) -> list[float]:
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    labels, losses = torch.arange(16) % 10, []
    for _ in range(steps):
        loss = F.cross_entropy(network(samples(16, 7)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_the_int8_network(name):
    whole = quantized(name).network
    learner = to_trainable(whole)
    assert not any(isinstance(module, Int8Layer) for module in learner.modules())
    assert getattr(learner, "roles", None) == getattr(folded(name), "roles", None)
    assert type(learner).__name__ == type(folded(name)).__name__
    torch.testing.assert_close(learner(samples(4)), whole(samples(4)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_without_training_to_int8_restores_every_integer(name):
    whole = quantized(name).network
    back = to_int8(to_trainable(whole))
    same(back, whole)
    assert torch.equal(back(samples(4)), whole(samples(4)))


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [8, 4])
def test_to_int8_restores_every_grid(bits, symmetric, per_channel):
    network, how = folded("resnet8"), WeightGrid(QuantizationGrid(bits, symmetric), per_channel)
    plan, batches = plan_quantization(network), [samples(4)]
    whole = calibrate(
        network, plan, batches, MinMax(), QuantizationGrid(bits, symmetric), how
    ).network
    learner = to_trainable(whole)
    assert torch.equal(learner(samples(4)), whole(samples(4)))
    same(to_int8(learner), whole)


def test_trainable_weights_have_their_original_names():
    learner = to_trainable(quantized("resnet8").network)
    plain = folded("resnet8")
    scales = {f"quantizers.{key}.stretch" for key in activation_quantizers(learner)}
    expected = dict(plain.named_parameters()).keys() | scales
    assert dict(learner.named_parameters()).keys() == expected
    left = learner.load_state_dict(plain.state_dict(), strict=False)
    assert not left.unexpected_keys
    whole = quantized("resnet8").network
    torch.testing.assert_close(learner(samples(4)), whole(samples(4)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet8", "lenet5", "vit", "mobilenet_v2_x0_5"])
def test_training_lowers_the_loss_and_to_int8_keeps_the_outputs(name):
    learner = to_trainable(quantized(name).network)
    before = {key: value.clone() for key, value in learner.named_parameters()}
    losses = learn(learner, 6, rate=0.01)
    assert losses[-1] < losses[0]
    moved = [not torch.equal(value, before[key]) for key, value in learner.named_parameters()]
    assert sum(moved) > 0.9 * len(moved)
    back = to_int8(learner.eval())
    assert not any(dict(one.named_parameters()) for one in activation_quantizers(back).values())
    torch.testing.assert_close(back(samples(4)), learner(samples(4)), rtol=1e-3, atol=1e-3)


def test_a_trained_layer_equals_its_int8_form():
    learner = to_trainable(quantized("resnet8").network)
    layer = learner.conv1
    assert isinstance(layer, FakeQuantizedLayer)
    with torch.no_grad():
        layer.weight.mul_(1.5).add_(0.001 * torch.randn_like(layer.weight))
    stored = to_int8(learner).conv1
    found, expected = layer(samples(2)), stored(samples(2))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    weight = layer.weight.double().flatten(1)
    assert (stored.scale / (weight.abs().amax(1) / 127) - 1).abs().max() < 2**-14
    assert stored.values.flatten(1).abs().amax(1).eq(127).all()


def test_training_is_reproducible_in_any_memory_format():
    runs = []
    for _ in range(2):
        learner = to_trainable(quantized("resnet8").network).to(memory_format=torch.channels_last)
        losses = learn(learner, 3)
        runs.append((losses, learner))
    assert runs[0][0] == runs[1][0]
    same(runs[0][1], runs[1][1])
    plain = to_trainable(quantized("resnet8").network)
    assert learn(plain, 3) == pytest.approx(runs[0][0], rel=1e-2)


def test_training_continues_exactly_from_a_saved_state():
    learner = to_trainable(quantized("resnet8").network)
    learn(learner, 2)
    other = to_trainable(quantized("resnet8").network)
    other.load_state_dict(learner.state_dict())
    assert learn(other, 2) == learn(learner, 2)
    same(other, learner)


def test_an_average_of_weights_keeps_the_grids():
    learner = to_trainable(quantized("resnet8").network)
    average = AveragedModel(learner, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(3):
        learn(learner, 1)
        average.update_parameters(learner)
    for name, one in activation_quantizers(average.module).items():
        expected = activation_quantizers(learner)[name]
        assert torch.equal(one.zero, expected.zero)
        assert torch.equal(one.scale, expected.scale)
    back, images = to_int8(average.module.eval()), samples(4)
    torch.testing.assert_close(back(images), average.module(images), rtol=1e-3, atol=1e-3)


def test_biases_use_the_learned_scale_of_the_input():
    learner = to_trainable(quantized("resnet8").network)
    with torch.no_grad():
        for one in activation_quantizers(learner).values():
            one.stretch.fill_(0.5)
    back = to_int8(learner)
    assert back.conv1.input_scale == activation_quantizers(back)["images"].scale
    known = activation_quantizers(quantized("resnet8").network)["images"].scale
    assert back.conv1.input_scale.item() == pytest.approx(known.item() * 1.6487213)
    torch.testing.assert_close(back(samples(4)), learner(samples(4)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_the_gradient_of_a_stretch_is_the_same_for_any_scale(factor):
    moved = []
    for scale in (0.02, 0.02 * factor):
        one = ActivationQuantizer(QuantizationGrid(8, symmetric=False))
        one.scale.fill_(scale)
        one.stretch = nn.Parameter(torch.zeros(()))
        torch.manual_seed(0)
        x = 4 * scale * 127 * torch.randn(8, 16)  # most of it is clipped
        (one(x) / scale - x / scale).square().mean().backward()
        moved.append(one.stretch.grad.item())
    assert moved[0] < -1
    assert moved[1] == pytest.approx(moved[0], rel=1e-4)


def test_training_in_half_precision_has_finite_gradients():
    learner = to_trainable(quantized("resnet8").network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        learner(samples(4)).float().square().mean().backward()
    assert all(torch.isfinite(value.grad).all() for value in learner.parameters())


def test_a_channel_of_zero_weights_trains_without_overflow():
    network = deepcopy(make("lenet5"))
    network.conv1.weight.data[0] = 0
    plan, batches = plan_quantization(network), [samples(4)]
    learner = to_trainable(
        calibrate(network, plan, batches, MinMax(), ACTIVATIONS, WEIGHTS).network
    )
    assert all(torch.isfinite(torch.tensor(learn(learner, 2))))
    expected = network.conv1.bias[0]
    assert to_int8(learner).conv1.bias[0].item() == pytest.approx(expected.item(), abs=0.1)
