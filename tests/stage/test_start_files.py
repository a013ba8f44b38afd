"""Networks that start from the weights of a Hugging Face folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from text_zoo import CONFIGS, DATA, texts
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
from zoo import read

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.model.text.hf_config import FAMILIES
from kdrun.stage.start import load_start
from kdrun.stage.start_files import file_digests


def saved(path: Path, family: str = "bert", classes: int = 0) -> Any:
    """Save a small encoder in a folder, with a head if there are classes; return it."""
    config = AutoConfig.for_model(family, **CONFIGS[family], num_labels=classes or 2)
    make = AutoModelForSequenceClassification if classes else AutoModel
    network = make.from_config(config).eval()
    network.save_pretrained(path)
    return network


def start(path: Path, **changed: Any) -> tuple[Any, list[str]]:
    """A network of a folder with its weights, and the sentences on them."""
    node = {**read("hf"), "path": str(path), **changed}
    network = model.build(node, DATA).eval()
    return network, load_start(network, node, None)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_body_without_a_head_gets_a_new_one(tmp_path, family):
    theirs = saved(tmp_path, family)
    ours, (note,) = start(tmp_path)
    body, inputs = ours.network.base_model, texts([6, 2])
    expected = theirs(input_ids=inputs["tokens"], attention_mask=inputs["mask"].long())
    states = body(input_ids=inputs["tokens"], attention_mask=inputs["mask"]).last_hidden_state
    assert torch.allclose(states[1, :2], expected.last_hidden_state[1, :2], atol=1e-6)
    assert note.startswith(f"started from the weights of '{tmp_path}'; new: ")
    assert "classifier" in note


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_of_as_many_classes_is_taken(tmp_path, family):
    theirs = saved(tmp_path, family, classes=3)
    ours, notes = start(tmp_path)
    inputs = texts([4, 4])
    expected = theirs(input_ids=inputs["tokens"], attention_mask=inputs["mask"].long()).logits
    assert torch.allclose(ours(inputs), expected, atol=1e-6)
    assert notes == [f"started from the weights of '{tmp_path}'"]


def test_means_need_no_pooler(tmp_path):
    theirs = saved(tmp_path)
    ours, _ = start(tmp_path, pool="mean")
    assert "pooler" not in str(ours)
    assert torch.equal(
        ours.network.state_dict()["encoder.layer.2.output.dense.bias"],
        theirs.state_dict()["encoder.layer.2.output.dense.bias"],
    )


def test_fewer_layers_are_the_first_ones(tmp_path):
    theirs = saved(tmp_path)
    ours, _ = start(tmp_path, depth=2)
    for name, value in ours.network.bert.encoder.state_dict().items():
        assert torch.equal(value, theirs.encoder.state_dict()[name])


def test_old_names_of_norms_are_read(tmp_path):
    theirs = saved(tmp_path).state_dict()
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value.clone()
        for name, value in theirs.items()
    }
    assert old.keys() != theirs.keys()
    save_file(
        {f"bert.{name}": value for name, value in old.items()}, tmp_path / "model.safetensors"
    )
    ours, _ = start(tmp_path)
    assert torch.equal(
        ours.network.bert.embeddings.LayerNorm.weight, theirs["embeddings.LayerNorm.weight"]
    )


def rewrite(path: Path, change: Any) -> None:
    """Save the weights of a folder after a change of their mapping."""
    weights: dict[str, Tensor] = {
        name: value.clone() for name, value in saved(path).state_dict().items()
    }
    change(weights)
    save_file(weights, path / "model.safetensors")


def test_missing_weights_are_named(tmp_path):
    rewrite(tmp_path, lambda weights: weights.pop("encoder.layer.1.output.dense.bias"))
    with pytest.raises(UserError, match=r"lacks 1 weight .*: encoder.layer.1.output.dense.bias"):
        start(tmp_path)


def test_weights_of_another_shape_are_named(tmp_path):
    name = "embeddings.word_embeddings.weight"
    rewrite(tmp_path, lambda weights: weights.update({name: torch.zeros(49, 16)}))
    with pytest.raises(UserError, match=f"or has others in their place: {name}"):
        start(tmp_path)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    name = "embeddings.word_embeddings.weight"
    rewrite(tmp_path, lambda weights: weights[name].fill_(float("nan")))
    with pytest.raises(UserError, match="holds NaN, infinite or too large values"):
        start(tmp_path)


def test_a_pickle_is_not_read(tmp_path):
    saved(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError) as error:
        start(tmp_path)
    assert error.value.lines == (
        f"the folder '{tmp_path}' has no model.safetensors, and pytorch_model.bin could run code"
        " when it is read.",
        "  save its weights as safetensors: network.save_pretrained(FOLDER); or take random ones:"
        " pretrained=false",
    )


def test_a_damaged_file_is_refused(tmp_path):
    saved(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(UserError, match="can't be read as a checkpoint: it is truncated"):
        start(tmp_path)


def test_several_files_are_read(tmp_path):
    weights = {name: value.clone() for name, value in saved(tmp_path).state_dict().items()}
    (tmp_path / "model.safetensors").unlink()
    parts = {"one.safetensors": list(weights)[:5], "two.safetensors": list(weights)[5:]}
    for file, names in parts.items():
        save_file({name: weights[name] for name in names}, tmp_path / file)
    index = {"weight_map": {name: file for file, names in parts.items() for name in names}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    ours, _ = start(tmp_path)
    assert torch.equal(ours.network.bert.pooler.dense.bias, weights["pooler.dense.bias"])


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "part.bin", 3])
def test_an_index_leads_nowhere_else(tmp_path, name):
    saved(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    index = {"weight_map": {"embeddings.word_embeddings.weight": name}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="which is no file beside it"):
        start(tmp_path)


def test_the_content_of_the_files_decides(tmp_path):
    saved(tmp_path)
    node = {**read("hf"), "path": str(tmp_path)}
    before = file_digests(node)
    assert before.keys() == {"config.json", "model.safetensors"}
    assert file_digests({**node, "pretrained": False}).keys() == {"config.json"}
    rewrite(tmp_path, lambda weights: weights["pooler.dense.bias"].add_(1))
    assert file_digests(node)["model.safetensors"] != before["model.safetensors"]
    assert file_digests(read("text_cnn")) == {}
