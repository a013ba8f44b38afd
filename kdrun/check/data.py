"""Reads the data that a config names; the last data sets stay in memory."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kdrun import dataset
from kdrun.core.faults import Faults
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Data


def load_data(node: Mapping[str, Any]) -> Data:
    """Return the splits that a dataset node describes.

    The order of keys matters: the keys of `class_map` have the order of the labels.
    """
    return _load(json.dumps(dict(node)))


@lru_cache(maxsize=4)  # a sweep may be over settings of the data, with a data set for each job
def _load(text: str) -> Data:
    return dataset.load(json.loads(text))


def data_info(node: Mapping[str, Any]) -> DataInfo:
    """Return a dataset's classes, image size and number of samples; read files only if needed."""
    return dataset.preview(node) or load_data(node).info


def info_despite_faults(node: Mapping[str, Any]) -> DataInfo | None:
    """Return `data_info` of a dataset that cannot be loaded; None if its files are needed."""
    info = None
    with Faults().under():  # the faults of loading the dataset are reported already
        info = dataset.preview(node)
    return info if info is not None and info.num_classes > 1 else None
