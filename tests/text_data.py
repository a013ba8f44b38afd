"""Datasets of texts for tests: config nodes with the values of YAML, and what was read."""

from collections import Counter
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from kdrun.dataset.data import Data

CONF = Path(__file__).parents[1] / "conf" / "dataset"


def dataset_node(name: str, *overrides: str, **changes: Any) -> dict[str, Any]:
    """Return a dataset's config node: `dataset_node("sentences", "tokenizer=bytes", longest=8)`."""
    with initialize_config_dir(str(CONF), version_base=None):
        composed = OmegaConf.create(OmegaConf.to_container(compose(name, list(overrides))))
    return OmegaConf.to_container(OmegaConf.merge(composed, changes), resolve=True)


def texts_of(data: Data, split: str = "train") -> list[str]:
    """Return the texts of a split."""
    texts = getattr(data, split).feed.texts
    return [texts.shown(position) for position in range(len(texts))]


def all_samples(data: Data) -> Counter[tuple[str, str]]:
    """Return the texts of all splits with the names of their classes."""
    return Counter(
        (text, data.info.classes[target])
        for split in ("train", "validation", "test")
        for text, target in zip(
            texts_of(data, split), getattr(data, split).targets.tolist(), strict=True
        )
    )
