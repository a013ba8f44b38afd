"""Fixtures of the tests of texts: files, and datasets made of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from text_data import dataset_node

from kdrun import dataset
from kdrun.dataset.data import Data

Load = Callable[..., Data]
Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the folder `texts`; returns the folder."""

    def put(name: str, content: str | bytes) -> Path:
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "texts"

    return put


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a dataset of the folder `texts`."""

    def read(name: str, *overrides: str, tokenizers: Any = (), **changes: Any) -> Data:
        changes.setdefault("root", str(tmp_path / "texts"))
        return dataset.load(dataset_node(name, *overrides, **changes), tokenizers)

    return read
