"""Reads the data that a config names; the last data sets stay in memory."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from kdrun import dataset
from kdrun.core.config import Network
from kdrun.core.faults import Faults
from kdrun.core.inputs.text import own_tokenizer, tokenizer_key
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Data


def load_data(node: Mapping[str, Any], networks: Iterable[Network] = ()) -> Data:
    """Return the splits that a dataset node describes.

    The order of keys matters: the keys of `class_map` have the order of the labels.

    Args:
        node: the config node of the dataset.
        networks: the networks that read it; texts are encoded by the tokenizer of each.
    """
    tokenizers = {tokenizer_key(network.node): own_tokenizer(network.node) for network in networks}
    return _load(json.dumps(dict(node)), json.dumps([one for one in tokenizers.values() if one]))


@lru_cache(maxsize=4)  # a sweep may be over settings of the data, with a data set for each job
def _load(node: str, tokenizers: str) -> Data:
    return dataset.load(json.loads(node), json.loads(tokenizers))


def data_info(node: Mapping[str, Any], networks: Iterable[Network]) -> DataInfo:
    """Return a dataset's classes, form of inputs and size; read files only if needed.

    Args:
        node: the config node of the dataset.
        networks: the networks that read it.
    """
    return dataset.preview(node) or load_data(node, networks).info


def info_despite_faults(node: Mapping[str, Any]) -> DataInfo | None:
    """Return `data_info` of a dataset that cannot be loaded; None if its files are needed."""
    info = None
    with Faults().under():  # the faults of loading the dataset are reported already
        info = dataset.preview(node)
    return info if info is not None and info.num_classes > 1 else None
