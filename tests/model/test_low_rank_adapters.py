"""Low-rank adapters, against the formula and against peft."""

from copy import deepcopy

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from text_zoo import CONFIGS, DATA, build, texts
from torch import nn

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.core.taps import forward_once
from kdrun.model.low_rank_adapters import AdaptedLinear, adapted_layers, add_adapters, merged

NETWORKS = ["text_transformer", *(f"hf {family}" for family in CONFIGS)]
LORA = {"rank": 2, "alpha": 6.0, "dropout": 0.0, "targets": "auto"}


def drawn(network: nn.Module) -> nn.Module:
    """Draw the second matrix of each adapter, which is 0 at the start."""
    for module in network.modules():
        if isinstance(module, AdaptedLinear):
            nn.init.normal_(module.lora_b)
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_with_new_adapters_computes_the_same(name):
    network = build(name).eval()
    expected = network(texts([5, 2]))
    add_adapters(network, **LORA)
    assert torch.equal(network(texts([5, 2])), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_merged_weights_compute_the_same(name):
    network, plain = build(name), build(name)
    add_adapters(network, **LORA)
    expected = drawn(network)(texts([5, 2]))
    plain.load_state_dict(merged(network, network.state_dict()))
    actual = plain.eval()(texts([5, 2]))
    assert torch.allclose(actual, expected, atol=1e-5 * float(expected.detach().abs().max()))
    change = (actual - build(name).eval()(texts([5, 2]))).abs().max()
    assert change > 100 * (actual - expected).abs().max()


@pytest.mark.parametrize("name", NETWORKS)
def test_adapters_and_head_learn(name):
    network = build(name)
    frozen = add_adapters(network, **LORA)
    learning = {name for name, _ in network.named_parameters()} - set(frozen)
    heads = {path.rpartition(".")[0] for path in learning if "lora" not in path}
    assert len([path for path in learning if "lora" in path]) == 2 * 2 * 3
    assert model.module_roles(network)["logits"][0] in heads
    assert not any(".layer." in path or path.startswith("layers.") for path in heads)
    drawn(network).train()(texts([5, 2])).square().sum().backward()
    gradients = [network.get_parameter(path).grad for path in learning]
    assert all(gradient is not None and gradient.any() for gradient in gradients)


@pytest.mark.parametrize("name", NETWORKS)
def test_taps_and_roles_stay(name):
    network = build(name)
    roles, plain = model.module_roles(network), deepcopy(network)
    add_adapters(network, **LORA)
    assert model.module_roles(network) == roles
    paths = {path: path for paths in roles.values() for path in paths}
    before, after = (forward_once(one, paths, DATA).taps for one in (plain, network))
    assert all(torch.equal(before[path], after[path]) for path in paths)


def test_the_values_are_those_of_peft():
    ours, theirs = build("hf bert"), build("hf bert").network
    config = LoraConfig(r=2, lora_alpha=6, lora_dropout=0.0, target_modules=["query", "value"])
    theirs = inject_adapter_in_model(config, theirs).eval()
    add_adapters(ours, **LORA)
    drawn(ours)
    for path, module in ours.network.named_modules():
        if isinstance(module, AdaptedLinear):
            layer = theirs.get_submodule(path)
            layer.lora_A["default"].weight.data.copy_(module.lora_a)
            layer.lora_B["default"].weight.data.copy_(module.lora_b)
    inputs = texts([4, 4])
    expected = theirs(input_ids=inputs["tokens"], attention_mask=inputs["mask"]).logits
    assert torch.allclose(ours(inputs), expected, atol=1e-6)


def test_targets_are_globs():
    network = build("text_transformer")
    assert adapted_layers(network, ["layers.*.attention.key", "layers.0.feed_forward.*"]) == [
        "layers.0.attention.key",
        "layers.0.feed_forward.0",
        "layers.0.feed_forward.2",
        "layers.1.attention.key",
        "layers.2.attention.key",
    ]


@pytest.mark.parametrize(
    ("name", "targets", "message"),
    [
        ("text_lstm", "auto", "TextLSTM has no projections to queries and values; name some"),
        ("text_lstm", ["query"], r"TextLSTM has no linear layers like \['query'\]"),
    ],
)
def test_a_network_without_targets_is_refused(name, targets, message):
    with pytest.raises(UserError, match=message):
        adapted_layers(build(name), targets)
