"""Each step of compression changes each network of texts, and what it made can be rebuilt."""

from copy import deepcopy
from dataclasses import replace

import pytest
import text_zoo
import torch
from safetensors.torch import load, save
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kdrun.compress.apply_step import apply_step
from kdrun.compress.calibrators import MinMax
from kdrun.compress.quantize.layers import FakeQuantizedLayer
from kdrun.compress.quantize.trainable import to_int8, to_trainable
from kdrun.compress.step_inputs import StepInputs, TokenUse
from kdrun.compress.structure_changes import rebuild
from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.inputs.padding import without_padding
from kdrun.core.types import DataInfo
from kdrun.measure.cost import macs
from kdrun.step.context import make_step

NAMES = [name for name in text_zoo.NAMES if name.startswith("text")] + [
    f"hf {name}" for name in ("bert", "distilbert", "bert of means")
]
STEPS = {
    "quantize_static": {
        "bits": 8,
        "activations": "affine",
        "weights": "symmetric",
        "per_channel": True,
    },
    "quantize_dynamic": {"layers": "*"},
    "quantize_weights": {"bits": 8, "group": None, "layers": "*"},
    "quantize_weights of 4 bits": {"bits": 4, "group": 5, "layers": "*"},
    "prune_vocabulary": {"minimum_count": 3},
    "prune_weights": {
        "sparsity": 0.5,
        "score": "taylor",
        "scope": "layer",
        "pattern": None,
        "layers": "*",
        "schedule": "one_shot",
        "rises": 1,
        "until": 0.5,
        "lr_share": 0.1,
        "recipe": None,
    },
    "low_rank": {"energy": None, "rank": 0.4, "macs": None, "layers": "*"},
}
# The largest relative difference of the logits; 0.06 for other steps.
CLOSE = {
    "prune_vocabulary": 3.0,
    "quantize_weights of 4 bits": 0.5,
    "prune_weights": 1.0,
    "low_rank": 2.0,
}


def token_use(encoding) -> TokenUse:
    """Every second token, three times."""
    return TokenUse(torch.arange(encoding.size) % 2 * 3, unknown=1)


def step_inputs(lengths=(9, 4, 12, 4, 7, 1)) -> StepInputs:
    batches = [(text_zoo.texts(list(lengths), seed=seed), torch.arange(6) % 3) for seed in range(2)]
    sample = text_zoo.DATA.example(1)
    return StepInputs(
        batches, MinMax(), 0, lambda network: macs(network, sample), lambda _: 1.0, token_use
    )


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", NAMES)
def test_the_changed_network_is_close_and_is_rebuilt_from_its_record(name, step):
    network = text_zoo.build(name).eval()
    texts = text_zoo.texts([9, 3, 12])
    expected = network(texts).detach()
    made = apply_step(
        make_step({"name": step.partition(" ")[0], **STEPS[step]}),
        network,
        [],
        lambda _: network,
        step_inputs(),
    )
    outputs = made.network(texts).detach()
    assert (outputs - expected).norm() < CLOSE.get(step, 0.06) * expected.norm()
    assert made.changes and not torch.equal(outputs, expected)
    again = rebuild(text_zoo.build(name).eval(), made.changes)
    again.load_state_dict(load(save(made.network.state_dict())))
    assert torch.equal(again(texts), outputs)


@pytest.mark.parametrize("name", NAMES)
def test_the_ranges_of_activations_ignore_padding(name):
    step = make_step({"name": "quantize_static", **STEPS["quantize_static"]})
    network = text_zoo.build(name).eval()
    inputs = step_inputs()
    padded = StepInputs(
        [
            (text_zoo.texts([9, 4, 12, 4, 7, 1], columns=24, seed=n), labels)
            for n, (_, labels) in enumerate(inputs.batches)
        ],
        MinMax(),
        0,
        inputs.macs,
        inputs.latency,
        token_use,
    )
    ranges = [
        apply_step(step, network, [], lambda _: network, each).ranges for each in (inputs, padded)
    ]
    assert ranges[0] and ranges[0] == ranges[1]


def test_samples_without_padding_keep_every_token():
    texts = text_zoo.texts([5, 2, 5, 1])
    parts = list(without_padding(texts))
    assert sorted(part["tokens"].shape for part in parts) == [(1, 1), (1, 2), (2, 5)]
    assert all(part["mask"].all() for part in parts)
    tokens = torch.cat([part["tokens"].flatten() for part in parts])
    assert torch.equal(tokens.sort().values, texts["tokens"][texts["mask"]].sort().values)


@pytest.mark.parametrize("name", NAMES)
def test_a_pruned_vocabulary_reads_kept_tokens_as_before_and_others_as_unknown(name):
    network = text_zoo.build(name).eval()
    texts = text_zoo.texts([9, 3, 12])
    step = make_step({"name": "prune_vocabulary", **STEPS["prune_vocabulary"]})
    made = apply_step(step, deepcopy(network), [], lambda _: network, step_inputs()).network
    kept = [0, 2, *range(1, text_zoo.ENCODING.size, 2)]  # padding, mask, and those counted
    unknown = torch.isin(texts["tokens"], torch.tensor(kept)).logical_not()
    assert unknown.any()
    replaced = {**texts, "tokens": texts["tokens"].masked_fill(unknown, 1)}
    expected = network(replaced).detach()
    assert torch.equal(made(texts).detach(), expected)
    rows = [one.num_embeddings for one in made.modules() if isinstance(one, torch.nn.Embedding)]
    assert rows[0] == len(kept)


def test_averages_of_weights_keep_the_rows_of_tokens():
    step = make_step({"name": "prune_vocabulary", **STEPS["prune_vocabulary"]})
    network = step.apply(text_zoo.build("text_bag"), step_inputs()).network
    rows = network.tokens[0].rows.clone()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(3):
        average.update_parameters(network)
    assert torch.equal(average.module.tokens[0].rows, rows)


def test_a_vocabulary_is_pruned_in_networks_of_texts_alone():
    step = make_step({"name": "prune_vocabulary", **STEPS["prune_vocabulary"]})
    images = DataInfo(("a", "b"), ImageInputs(1, (8, 8)), train_size=1)
    with pytest.raises(UserError, match="prune_vocabulary is for texts, and the dataset has 8x8"):
        step.check(torch.nn.Linear(3, 3), images)
    pruned = step.check(text_zoo.build("text_bag"), text_zoo.DATA)
    assert pruned(text_zoo.texts([4, 2])).shape == (2, 3)
    with pytest.raises(UserError, match="a vocabulary is pruned once"):
        step.apply(pruned, step_inputs())


@pytest.mark.parametrize("name", NAMES)
def test_a_quantized_network_trains_and_becomes_integers_again(name):
    step = make_step({"name": "quantize_static", **STEPS["quantize_static"]})
    whole = apply_step(step, text_zoo.build(name).eval(), [], deepcopy, step_inputs()).network
    learner, texts = to_trainable(whole), text_zoo.texts([9, 3, 12])
    torch.testing.assert_close(learner(texts), whole(texts), rtol=1e-4, atol=1e-5)
    torch.nn.functional.cross_entropy(learner(texts), torch.arange(3)).backward()
    layers = [one for one in learner.modules() if isinstance(one, FakeQuantizedLayer)]
    assert layers and all(layer.weight.grad is not None for layer in layers)
    back = to_int8(learner)
    assert back.state_dict().keys() == whole.state_dict().keys()
    assert torch.equal(back(texts), whole(texts))


def test_a_vocabulary_that_texts_use_whole_stays_as_it_is():
    used = TokenUse(torch.ones(text_zoo.ENCODING.size, dtype=torch.int64), unknown=1)
    step = make_step({"name": "prune_vocabulary", "minimum_count": 1})
    network = text_zoo.build("text_bag")
    made = step.apply(network, replace(step_inputs(), token_use=lambda _: used))
    assert made.changes == () and isinstance(made.network.tokens, torch.nn.Embedding)
