"""Units of feed-forward parts are removed, and what is left computes what it did."""

import pytest
import text_zoo
import torch

from kdrun.compress.encoder_layers import FAMILIES, feed_forward_parts
from kdrun.compress.feed_forward import unit_taylor
from kdrun.compress.structure_changes import rebuild
from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.types import DataInfo
from kdrun.step.context import make_step

NAMES = ["text_transformer", *(f"hf {family}" for family in FAMILIES), "hf bert of means"]
BATCHES = [(text_zoo.texts([9, 4, 7], seed=seed), torch.arange(3)) for seed in range(2)]


class Inputs:
    """The part of a step's inputs that scores need."""

    def labeled(self, setting):
        return BATCHES


def step(importance="magnitude"):
    return make_step({"name": "prune_feed_forward", "ratio": 0.5, "importance": importance})


@pytest.mark.parametrize("importance", ["magnitude", "taylor"])
@pytest.mark.parametrize("name", NAMES)
def test_units_without_effect_are_removed_first(name, importance):
    network, texts = text_zoo.build(name).eval(), text_zoo.texts([9, 3, 12])
    useless = torch.arange(32) % 2 == 0
    with torch.no_grad():
        for incoming, outgoing in feed_forward_parts(network):
            network.get_submodule(incoming).bias.normal_()
            network.get_submodule(outgoing).weight[:, useless] = 0
    expected = network(texts).detach()
    made = step(importance).apply(network, Inputs())
    outputs = made.network(texts).detach()
    torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5)
    again = rebuild(text_zoo.build(name).eval(), made.changes)
    again.load_state_dict(made.network.state_dict())
    assert torch.equal(again(texts), outputs)
    for incoming, outgoing in feed_forward_parts(again):
        assert again.get_submodule(incoming).weight.shape == (16, 16)
        assert again.get_submodule(outgoing).weight.shape == (16, 16)
    if name.startswith("hf"):
        config = again.network.config
        units = config.hidden_dim if "distil" in name else config.intermediate_size
        assert units == 16


def test_taylor_is_the_square_of_the_derivative_by_a_factor_of_the_incoming_weights():
    network = text_zoo.build("text_transformer").double().eval()
    part = feed_forward_parts(network)[1]
    weight = network.get_submodule(part.incoming).weight
    scores = unit_taylor(network, [part], BATCHES)[part]
    expected, original, step_size = 0.0, weight.detach().clone(), 1e-5
    for inputs, labels in BATCHES:
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                weight.copy_(original)
                weight[5] *= 1 + sign * step_size
                losses.append(torch.nn.functional.cross_entropy(network(inputs), labels))
        expected += ((losses[0] - losses[1]) / (2 * step_size)) ** 2
    torch.testing.assert_close(scores[5], expected, rtol=1e-3, atol=0.0)


@pytest.mark.parametrize("name", ["hf deberta-v2", "text_cnn"])
def test_other_networks_are_refused(name):
    with pytest.raises(UserError, match="has no feed-forward parts in float"):
        step().check(text_zoo.build(name), text_zoo.DATA)


def test_images_are_refused():
    images = DataInfo(("a", "b"), ImageInputs(1, (8, 8)), train_size=1)
    with pytest.raises(UserError, match="prune_feed_forward is for texts"):
        step().check(torch.nn.Linear(3, 3), images)
