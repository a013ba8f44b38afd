"""Values of text networks against a literal evaluation of one text after the other."""

import pytest
import torch
from text_zoo import build, texts
from torch import nn

from kdrun.core.errors import UserError
from kdrun.model.text.lstm import BidirectionalLSTM, last_states


def test_states_are_those_of_torchs_bidirectional_lstm():
    ours = BidirectionalLSTM(5, 4)
    theirs = nn.LSTM(5, 4, batch_first=True, bidirectional=True)
    for name, value in ours.rightward.named_parameters():
        getattr(theirs, name).data.copy_(value)
        getattr(theirs, f"{name}_reverse").data.copy_(ours.leftward.get_parameter(name))
    vectors, mask = torch.randn(3, 6, 5), torch.arange(6) < torch.tensor([[6], [1], [4]])
    states = ours(vectors, mask)
    for row, length in enumerate([6, 1, 4]):
        expected, (last, _) = theirs(vectors[row : row + 1, :length])
        assert torch.allclose(states[row, :length], expected[0], atol=1e-6)
        assert torch.allclose(last_states(states, mask)[row], last[:, 0].flatten(), atol=1e-6)


def test_the_cnn_takes_the_largest_value_of_each_window():
    network = build("text_cnn", kernels=[2]).eval()
    inputs = texts([3])
    vectors = network.tokens(inputs["tokens"])[0]
    padded = torch.cat([vectors, torch.zeros(1, 16)])
    convolution = network.maps.convolutions[0]
    windows = torch.stack([padded[start : start + 2].T for start in range(3)])
    values = torch.einsum("tck,dck->td", windows, convolution.weight) + convolution.bias
    expected = network.head(values.relu().amax(0))
    assert torch.allclose(network(inputs)[0], expected, atol=1e-6)


def test_the_bag_does_not_know_the_order():
    network, inputs = build("text_bag").eval(), texts([8])
    turned = {"tokens": inputs["tokens"].flip(1), "mask": inputs["mask"]}
    assert torch.allclose(network(turned), network(inputs), atol=1e-6)


def test_attention_is_softmax_of_scaled_products():
    attention, states = build("text_transformer").layers[0].attention.eval(), torch.randn(2, 5, 16)
    mask = torch.arange(5) < torch.tensor([[5], [2]])
    query, key, value = (
        layer(states).unflatten(-1, (4, 4))
        for layer in (attention.query, attention.key, attention.value)
    )
    scores = torch.einsum("bqhc,bkhc->bhqk", query, key) / 2
    weights = scores.masked_fill(~mask[:, None, None], float("-inf")).softmax(-1)
    mixed = torch.einsum("bhqk,bkhc->bqhc", weights, value).flatten(2)
    assert torch.allclose(attention(states, mask), attention.output(mixed), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("text_transformer", {"heads": 3}, "width=16 is no multiple of heads=3"),
        ("text_cnn", {"kernels": []}, "kernels is empty"),
    ],
)
def test_impossible_sizes_are_the_users_mistake(name, settings, message):
    with pytest.raises(UserError, match=message):
        build(name, **settings)
