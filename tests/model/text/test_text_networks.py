"""Properties of every network of texts."""

import pytest
import torch
from text_zoo import DATA, ENCODING, NAMES, OWN, build, texts
from torch import Tensor, nn

from kdrun import model
from kdrun.core.taps import TappedNetwork, tap_shapes

LENGTHS = [7, 1, 12, 3, 5]
TOKEN_ROLES = ("tokens", "stages", "queries", "keys", "values")


def agree(actual: Tensor, expected: Tensor) -> bool:
    largest = float(expected.detach().abs().max())
    return torch.allclose(actual, expected, rtol=1e-5, atol=1e-5 * largest)


def token_paths(network: nn.Module) -> list[str]:
    """The paths of all taps (B, T, C)."""
    roles = model.module_roles(network)
    return [path for role in TOKEN_ROLES for path in roles.get(role, [])]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing(name, training):
    network = build(name, dropout=0.0).train(training)
    tapped = TappedNetwork(network, {path: path for path in token_paths(network)})
    short = tapped(texts(LENGTHS))
    for columns in range(max(LENGTHS), ENCODING.longest + 1):
        long = tapped(texts(LENGTHS, columns))
        assert agree(long.logits, short.logits)
        mask = texts(LENGTHS)["mask"]
        for path, tap in short.taps.items():
            assert agree(long.taps[path][:, : mask.shape[1]][mask], tap[mask]), path


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_no_gradient(name):
    gradients = []
    for columns in (max(LENGTHS), ENCODING.longest):
        network = build(name, dropout=0.0)
        network(texts(LENGTHS, columns)).square().sum().backward()
        gradients.append(torch.cat([value.grad.flatten() for value in network.parameters()]))
    assert agree(*gradients)


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_at_padding_is_not_read(name):
    network = build(name).eval()
    inputs = texts(LENGTHS)
    other = {**inputs, "tokens": inputs["tokens"].masked_fill(~inputs["mask"], 7)}
    with torch.no_grad():
        assert agree(network(other), network(inputs))


@pytest.mark.parametrize("name", NAMES)
def test_texts_do_not_depend_on_each_other(name):
    network = build(name).eval()
    inputs, order = texts(LENGTHS), torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        together = network(inputs)
        permuted = network({key: value[order] for key, value in inputs.items()})
        alone = network({key: value[1:2, :1] for key, value in inputs.items()})
    assert agree(permuted, together[order])
    assert agree(alone, together[1:2])


@pytest.mark.parametrize("name", NAMES)
def test_each_token_of_a_text_is_read(name):
    network, inputs = build(name).eval(), texts([9])
    with torch.no_grad():
        before = network(inputs)
        for position in range(9):
            changed = {**inputs, "tokens": inputs["tokens"].clone()}
            changed["tokens"][0, position] = 1 + inputs["tokens"][0, position] % 40
            assert not torch.equal(network(changed), before)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_of_a_text_network_learns(name):
    network = build(name)
    network(texts(LENGTHS)).square().sum().backward()
    gradients = {key: value.grad for key, value in network.named_parameters()}
    assert [key for key, value in gradients.items() if value is None] == []
    assert all(value.isfinite().all() for value in gradients.values())
    # The key's bias adds the same to each score of a query, which softmax takes out again.
    still = [key for key, value in gradients.items() if not value.any()]
    assert [key for key in still if not key.endswith("key.bias")] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_text_network_is_rebuilt_from_its_weights(name):
    network = build(name).eval()
    state = {key: torch.randn_like(value) for key, value in network.state_dict().items()}
    network.load_state_dict(state)
    again = build(name).eval()
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(network(texts(LENGTHS)), again(texts(LENGTHS)))


@pytest.mark.parametrize("name", NAMES)
def test_roles_of_a_text_network_have_their_shapes(name):
    network = build(name)
    roles = model.module_roles(network)
    shapes = tap_shapes(network, {path: path for paths in roles.values() for path in paths}, DATA)
    length = DATA.inputs.length
    for path in token_paths(network):
        assert shapes[path][:2] == (2, length)
        assert len(shapes[path]) == 3
    assert len(shapes[roles["embedding"][0]]) == 2
    assert shapes[roles["logits"][0]] == (2, DATA.num_classes)


@pytest.mark.parametrize("name", NAMES)
def test_stages_are_computed_in_their_order(name):
    network, calls = build(name), []
    paths = [*model.module_roles(network)["tokens"], *model.module_roles(network)["stages"]]
    for path in paths:
        network.get_submodule(path).register_forward_hook(
            lambda module, inputs, output, path=path: calls.append(path)
        )
    network(texts(LENGTHS))
    assert calls == paths


@pytest.mark.parametrize("name", OWN)
def test_each_module_of_a_text_network_is_used_once(name):
    network, calls = build(name), []
    for path, module in network.named_modules():
        if next(module.children(), None) is None:
            module.register_forward_hook(
                lambda module, inputs, output, path=path: calls.append(path)
            )
    network(texts(LENGTHS))
    assert len(calls) == len(set(calls))


@pytest.mark.parametrize("name", NAMES)
def test_a_text_network_keeps_its_encoding(name):
    assert build(name).encoding is ENCODING


def test_a_network_reads_the_tokens_of_its_own_encoding():
    from dataclasses import replace

    network = build("text_cnn").eval()
    inputs = texts(LENGTHS)
    named = {f"words:{key}": value for key, value in inputs.items()}
    with torch.no_grad():
        expected = network(inputs)
        network.encoding = replace(ENCODING, name="words")
        assert torch.equal(network({**named, "tokens": named["words:tokens"] * 0}), expected)
