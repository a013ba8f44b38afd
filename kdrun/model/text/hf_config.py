"""Reads configs of Hugging Face networks, which come from strangers: only plain values are used.

No code that a folder names is loaded (`auto_map`), and no value of a config chooses a download.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdrun.core import limits
from kdrun.core.errors import UserError, first_line
from kdrun.core.number_format import format_value
from kdrun.core.reading import open_named, read_all

CONFIG = "config.json"

# Encoders with a head of classes in transformers that pass kdrun's tests of text networks.
FAMILIES = (
    "bert",
    "camembert",
    "deberta-v2",
    "distilbert",
    "electra",
    "mpnet",
    "roberta",
    "xlm-roberta",
)

# Keys that name code, files, kernels or number formats, or that the dataset decides.
_LEFT_OUT = {
    "architectures",
    "attn_implementation",
    "auto_map",
    "dtype",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "quantization_config",
    "torch_dtype",
    "transformers_version",
    "use_return_dict",
    "return_dict",
    "output_attentions",
    "output_hidden_states",
}
_MOST = 1_000_000  # of any number in a config: the largest vocabularies have a quarter of it
_MOST_LAYERS = 256


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file of a stranger.

    Raises:
        UserError: it can't be read, is too large, or holds no mapping.
    """
    try:
        content = json.loads(read_all(open_named(path), limits.YAML).decode())
    except OSError as error:
        raise UserError(f"{str(path)!r} can't be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{str(path)!r} is no JSON: {first_line(error)}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{str(path)!r} holds no mapping.")
    return content


def harmless(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the keys of a config that describe a network.

    Args:
        values: the content of a `config.json`.
        source: where it is from, for messages.

    Raises:
        UserError: it is of no known family, or a number is too large for any network.
    """
    family = values.get("model_type")
    if family not in FAMILIES:
        reason = ", and its own code is never run" if "auto_map" in values else ""
        raise UserError(
            f"{source} describes a network of the type {format_value(family)}{reason}.",
            f"  known types: {', '.join(FAMILIES)}",
        )
    for key, value in values.items():
        most = _MOST_LAYERS if "layers" in key else _MOST
        if isinstance(value, int) and not -_MOST <= value <= most:
            raise UserError(f"{source} has {key}={value}; at most {most:,} is allowed.")
    return {
        key: value
        for key, value in values.items()
        if key not in _LEFT_OUT and not key.startswith("_")
    }


def make_config(values: Mapping[str, Any], classes: int, source: str) -> Any:
    """Return the config of transformers with these values, for a number of classes.

    Raises:
        UserError: a value is of another type, or fits no network.
    """
    from transformers import AutoConfig

    settings = {key: value for key, value in values.items() if key != "model_type"}
    try:
        return AutoConfig.for_model(values["model_type"], num_labels=classes, **settings)
    except Exception as error:  # transformers raises errors of many classes
        text = " ".join(str(error).split())
        raise UserError(f"{source} can't be used: {text}.") from error


def set_dropout(config: Any, dropout: float) -> None:
    """Set every dropout probability of a config of transformers."""
    for key, value in config.to_dict().items():
        if "drop" in key and "layerdrop" not in key and isinstance(value, int | float):
            setattr(config, key, dropout)


def head_dropout(config: Any) -> float:
    """Return the dropout probability before the classifier of a config of transformers."""
    keys = ("classifier_dropout", "seq_classif_dropout", "hidden_dropout_prob")
    values = (getattr(config, key, None) for key in keys)
    return next(float(value) for value in values if value is not None)


def plain_values(config: Any) -> dict[str, Any]:
    """Return the values of a config of transformers, in JSON's types, without those of the data."""
    values = json.loads(config.to_json_string(use_diff=False))
    return {
        key: value
        for key, value in values.items()
        if key not in _LEFT_OUT and not key.startswith("_")
    }
