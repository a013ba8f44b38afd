"""Heads, feed-forward units and layers of transformer encoders are pruned."""

import pytest
import text_zoo
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional

from kdrun.compress.calibrators import MinMax
from kdrun.compress.encoder_layers import encoder_layers, head_width, keep_heads, keep_units
from kdrun.compress.encoder_scores import (
    head_magnitudes,
    head_sensitivities,
    layer_influences,
    unit_magnitudes,
    unit_sensitivities,
)
from kdrun.compress.step_inputs import StepInputs, TokenUse
from kdrun.compress.structure_changes import rebuild
from kdrun.core.attention_heads import attention_heads
from kdrun.core.errors import UserError
from kdrun.measure.cost import macs
from kdrun.model.roles import find_roles
from kdrun.step.context import make_step

ENCODERS = [
    "text_transformer",
    "text_transformer of first tokens",
    *(f"hf {name}" for name in text_zoo.CONFIGS),
]
STEPS = {
    "prune_heads": {"ratio": 0.5, "importance": "taylor"},
    "prune_heads by magnitude": {"ratio": 0.75, "importance": "magnitude"},
    "prune_feed_forward": {"ratio": 0.5, "importance": "taylor"},
    "prune_feed_forward by magnitude": {"ratio": 0.9, "importance": "magnitude"},
    "prune_layers": {"keep": 2, "which": "top", "layers": None},
    "prune_layers of influence": {"keep": 2, "which": "influence", "layers": None},
    "prune_layers by name": {"keep": 1, "which": "alternate", "layers": [0, 2]},
}


def lively(name: str) -> nn.Module:
    """A network whose layers do something."""
    network = text_zoo.build(name).eval()
    for path, weight in network.named_parameters():
        if weight.dim() == 2 and "embedding" not in path:
            nn.init.normal_(weight, std=0.3)
    return network


def step_inputs(columns: int = 0) -> StepInputs:
    lengths = [9, 4, 12, 4, 7, 1]
    batches = [(text_zoo.texts(lengths, columns, seed), torch.arange(6) % 3) for seed in range(2)]
    sample = text_zoo.DATA.example(1)
    uses = TokenUse(torch.ones(text_zoo.ENCODING.size, dtype=torch.int64), unknown=1)
    return StepInputs(
        batches, MinMax(), 0, lambda network: macs(network, sample), lambda _: 1.0, lambda _: uses
    )


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ENCODERS)
def test_a_pruned_encoder_is_smaller_reads_padded_texts_and_is_rebuilt(name, step):
    made = make_step({"name": step.partition(" ")[0], **STEPS[step]})
    network, sample = lively(name), text_zoo.DATA.example(1)
    if name in ("hf mpnet", "hf deberta-v2") and "heads" in step:
        with pytest.raises(UserError, match="its layers share relative positions"):
            made.check(network, text_zoo.DATA)
        return
    before = macs(network, sample)
    checked = made.check(lively(name), text_zoo.DATA)
    result = made.apply(network, step_inputs())
    assert macs(result.network, sample) == macs(checked, sample) < before
    texts, padded = text_zoo.texts([9, 3, 12]), text_zoo.texts([9, 3, 12], columns=20)
    with torch.no_grad():
        outputs = result.network(texts)
        torch.testing.assert_close(result.network(padded), outputs, rtol=1e-4, atol=1e-5)
    again = rebuild(lively(name), result.changes).eval()
    again.load_state_dict(load(save(result.network.state_dict())))
    with torch.no_grad():
        assert torch.equal(again(texts), outputs)
    roles = find_roles(result.network)
    for role in ("stages", "queries", "keys", "values"):
        assert len(roles[role]) == (2 if "layers" in step else 3)
    heads = {"prune_heads": 2, "prune_heads by magnitude": 1}.get(step, 4)
    assert {attention_heads(result.network, path) for path in roles["queries"]} == {heads}


@pytest.mark.parametrize("name", ["text_transformer", "hf bert", "hf distilbert"])
def test_heads_whose_outputs_are_zero_change_nothing(name):
    network = lively(name)
    for layer in encoder_layers(network):
        width = head_width(network, layer)
        mix = network.get_submodule(layer.mix)
        mix.weight.data[:, width : 2 * width] = 0
    texts = text_zoo.texts([9, 3])
    with torch.no_grad():
        expected = network(texts)
        sensitivities = head_sensitivities(network, step_inputs().batches)
        assert all(int(layer.argmin()) == 1 for layer in sensitivities)
        keep_heads(network, [torch.tensor([0, 2, 3])] * 3)
        torch.testing.assert_close(network(texts), expected)


def test_heads_of_small_weights_have_small_magnitudes():
    network = lively("text_transformer")
    for layer in encoder_layers(network):
        for path in (layer.query, layer.key, layer.value):
            network.get_submodule(path).weight.data[8:12] *= 0.1
        network.get_submodule(layer.mix).weight.data[:, 8:12] *= 0.1
    assert all(int(layer.argmin()) == 2 for layer in head_magnitudes(network))


@pytest.mark.parametrize("name", ["text_transformer", "hf bert", "hf distilbert"])
def test_units_without_outputs_change_nothing_and_score_least(name):
    network = lively(name)
    for layer in encoder_layers(network):
        network.get_submodule(layer.narrow).weight.data[:, [3, 8]] = 0
    texts = text_zoo.texts([9, 3])
    with torch.no_grad():
        expected = network(texts)
        for scores in (
            unit_sensitivities(network, step_inputs().batches),
            unit_magnitudes(network),
        ):
            assert all(
                {*layer.topk(2, largest=False).indices.tolist()} == {3, 8} for layer in scores
            )
        others = torch.tensor([unit for unit in range(32) if unit not in (3, 8)])
        keep_units(network, [others] * 3)
        torch.testing.assert_close(network(texts), expected)


def test_the_sensitivity_of_a_head_is_the_derivative_by_a_mask_of_it():
    """A literal evaluation: the gradient of the loss by a factor on the head's outputs."""
    network = lively("text_transformer")
    batches = [(text_zoo.texts([7, 7], seed=1), torch.tensor([0, 2]))]
    found = head_sensitivities(network, batches)[1]
    mix = network.layers[1].attention.output
    expected = torch.zeros(4)
    for row, label in enumerate(batches[0][1]):
        factors = torch.ones(4, requires_grad=True)
        handle = mix.register_forward_pre_hook(
            lambda _, given, f=factors: (given[0] * f.repeat_interleave(4),)
        )
        text = {name: value[row : row + 1] for name, value in batches[0][0].items()}
        functional.cross_entropy(network(text), label[None]).backward()
        handle.remove()
        expected += factors.grad.abs()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_padding_changes_no_score():
    network = lively("text_transformer")
    for score in (head_sensitivities, unit_sensitivities):
        pairs = zip(
            score(network, step_inputs().batches),
            score(network, step_inputs(columns=24).batches),
            strict=True,
        )
        for short, padded in pairs:
            torch.testing.assert_close(padded, short, rtol=1e-4, atol=1e-6)


def test_a_layer_that_returns_its_input_has_no_influence():
    network = lively("text_transformer")
    layer = network.layers[1]
    for module in (layer.attention.output, layer.feed_forward[2]):
        nn.init.zeros_(module.weight)
        nn.init.zeros_(module.bias)
    influence = layer_influences(network, [text_zoo.texts([7, 7])], network.layers)
    assert influence[1] == pytest.approx(0, abs=1e-6)
    assert influence[[0, 2]].min() > 1e-3
    step = make_step({"name": "prune_layers", "keep": 2, "which": "influence", "layers": None})
    assert step.apply(network, step_inputs()).changes == [{"name": "layers", "layers": [0, 2]}]


@pytest.mark.parametrize(
    ("name", "step", "message"),
    [
        ("text_cnn", "prune_heads", "TextCNN is no transformer encoder of texts"),
        ("text_lstm", "prune_layers", "TextLSTM is no transformer encoder of texts"),
    ],
)
def test_other_networks_are_refused(name, step, message):
    with pytest.raises(UserError, match=message):
        make_step({"name": step, **STEPS[step]}).check(text_zoo.build(name), text_zoo.DATA)


@pytest.mark.parametrize("layers", [[], [0, 3], [1, 0], [1, 1]])
def test_layers_that_are_not_there_are_refused(layers):
    step = make_step({"name": "prune_layers", "keep": 1, "which": "top", "layers": layers})
    with pytest.raises(UserError, match="the network has the layers 0 to 2"):
        step.check(text_zoo.build("text_transformer"), text_zoo.DATA)
