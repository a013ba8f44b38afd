"""Fixtures of the dataset tests: config nodes with the values of YAML, and folders of images."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from PIL import Image

CONF = Path(__file__).parents[2] / "conf" / "dataset"

Node = Callable[..., dict[str, Any]]
Folder = Callable[..., Path]


@cache
def _compose(name: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base=None):
        return OmegaConf.create(OmegaConf.to_container(compose(name)))  # takes unknown keys


@pytest.fixture(autouse=True)
def one_thread():
    """Run each test with one thread: the tests are too small for two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def node() -> Node:
    """A dataset's config node, with some of its keys changed."""

    def make(name: str, **changes: Any) -> dict[str, Any]:
        return OmegaConf.to_container(OmegaConf.merge(_compose(name), changes), resolve=True)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Write PNG images of random pixels: folder("train/cat", 3, size=(8, 8))."""
    random = np.random.default_rng(0)

    def write(
        place: str, count: int, size: tuple[int, int] = (8, 8), mode: str = "RGB", first: int = 0
    ) -> Path:
        path = tmp_path / "pictures" / place
        path.mkdir(parents=True, exist_ok=True)
        shape = (*size, 3) if mode == "RGB" else size
        for position in range(first, first + count):
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(path / f"{position:03}.png")
        return tmp_path / "pictures"

    return write
