"""Networks of Hugging Face folders, which come from strangers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from text_zoo import CONFIGS, DATA, ENCODING, build, hf, texts
from transformers import AutoConfig, AutoModelForSequenceClassification
from zoo import read

from kdrun import model
from kdrun.core.attention_heads import attention_heads
from kdrun.core.errors import UserError
from kdrun.model.text.hf_config import FAMILIES

BERT = {"model_type": "bert", **CONFIGS["bert"]}


def folder(path: Path, **values: Any) -> str:
    """A folder with a config alone."""
    (path / "config.json").write_text(json.dumps({**BERT, **values}))
    return str(path)


def node(path: str, **changed: Any) -> dict[str, Any]:
    return {**read("hf"), "path": path, **changed}


def test_each_family_is_tested():
    assert set(FAMILIES) == set(CONFIGS)


@pytest.mark.parametrize("family", CONFIGS)
def test_the_network_is_that_of_transformers(family):
    config = AutoConfig.for_model(family, **CONFIGS[family], num_labels=3)
    theirs = AutoModelForSequenceClassification.from_config(config).eval()
    ours = build(f"hf {family}").eval()
    ours.network.load_state_dict(theirs.state_dict())
    inputs = texts([4, 4])
    expected = theirs(input_ids=inputs["tokens"], attention_mask=inputs["mask"].long()).logits
    assert torch.allclose(ours(inputs), expected, atol=1e-6)


@pytest.mark.parametrize("family", CONFIGS)
def test_roles_of_transformers_have_a_module_for_each_layer(family):
    network = build(f"hf {family}")
    roles = model.module_roles(network)
    assert {len(roles[role]) for role in ("stages", "queries", "keys", "values")} == {3}
    assert {attention_heads(network, path) for path in roles["queries"]} == {4}


@pytest.mark.parametrize("pool", ["auto", "first", "mean"])
def test_a_network_is_rebuilt_without_its_folder(tmp_path, pool):
    (tmp_path / "1_Pooling").mkdir()
    pooling = tmp_path / "1_Pooling" / "config.json"
    pooling.write_text('{"pooling_mode_mean_tokens": true}')
    settings = node(folder(tmp_path), pool=pool, depth=2, dropout=0.2, pretrained=False)
    network = model.build(settings, DATA).eval()
    (tmp_path / "config.json").unlink()
    pooling.unlink()
    record = json.loads(json.dumps({**settings, **network.record}))
    again = model.build(record, DATA).eval()
    assert again.pool == {"auto": "mean"}.get(pool, pool)
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(texts([3, 5])), network(texts([3, 5])))
    assert len(model.module_roles(again)["stages"]) == 2


def test_new_weights_have_the_vocabulary_of_the_encoding():
    network = model.build({**read("hf"), **hf("bert")}, DATA)
    assert network.network.config.vocab_size == ENCODING.size
    larger = {**hf("bert"), "config": {**BERT, "vocab_size": 90}}
    network = model.build({**read("hf"), **larger, "pretrained": True, "path": "their"}, DATA)
    assert network.network.config.vocab_size == 90


REFUSED = {
    "type": ({"model_type": "gpt2"}, "describes a network of the type 'gpt2'"),
    "code": (
        {"model_type": "theirs", "auto_map": {"AutoModel": "code--theirs.Net"}},
        "of the type 'theirs', and its own code is never run",
    ),
    "no type": ({"model_type": None}, "of the type null"),
    "kind of value": ({"hidden_size": "wide"}, "can't be used: .*hidden_size"),
    "odd width": ({"hidden_size": 17}, "(can't be used|describes no network): .*hidden size"),
    "layers": ({"num_hidden_layers": 10**6}, "num_hidden_layers=1000000; at most 256 is allowed"),
    "width": ({"intermediate_size": 10**9}, "intermediate_size=1000000000; at most 1,000,000"),
    "activation": ({"hidden_act": "__import__"}, "describes no network: "),
    "negative": ({"intermediate_size": -4}, "describes no network: "),
    "vocabulary": ({"vocab_size": 40}, "has 40 tokens, and the tokenizer has 50"),
    "positions": ({"max_position_embeddings": 9}, "has 9 positions, and texts have up to 24"),
}


@pytest.mark.parametrize("values", REFUSED.values(), ids=list(REFUSED))
def test_what_describes_no_network_is_refused(tmp_path, values):
    changed, message = values
    with pytest.raises(UserError, match=message):
        model.build(node(folder(tmp_path, **changed)), DATA)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"model_type"'])
def test_a_damaged_config_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config.json' (is no JSON|holds no mapping)"):
        model.build(node(str(tmp_path)), DATA)


def test_code_and_kernels_of_a_config_are_left_out(tmp_path):
    theirs = {
        "auto_map": {"AutoConfig": "configuration_theirs.Theirs"},
        "_attn_implementation": "stranger/kernel",
        "attn_implementation": "stranger/kernel",
        "quantization_config": {"quant_method": "awq"},
        "torch_dtype": "float16",
        "_name_or_path": "/etc",
    }
    (tmp_path / "configuration_theirs.py").write_text("raise SystemExit('code was run')")
    network = model.build(node(folder(tmp_path, **theirs)), DATA)
    assert network.network.config._attn_implementation == "sdpa"
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert not theirs.keys() & network.record["config"].keys()


def test_a_folder_that_is_not_there_says_how_to_get_it():
    with pytest.raises(UserError) as error:
        model.build(node("stranger/no-such-network"), DATA)
    assert error.value.lines == (
        "there is no folder 'stranger/no-such-network', and no network of this id was downloaded.",
        "  name a folder with config.json, or download it once: hf download"
        " stranger/no-such-network",
    )


def test_a_network_without_a_folder_is_refused():
    with pytest.raises(UserError, match="needs a folder or an id"):
        model.build(read("hf"), DATA)


def test_positions_of_roberta_begin_after_its_padding():
    config = {"model_type": "roberta", **CONFIGS["roberta"], "max_position_embeddings": 25}
    settings = {**read("hf"), "config": config, "pretrained": False}
    model.build(settings, DATA)
    long = replace(ENCODING, longest=25)
    with pytest.raises(UserError, match="has 24 positions, and texts have up to 25 tokens"):
        model.build(settings, replace(DATA, inputs=replace(DATA.inputs, encodings=(long,))))
