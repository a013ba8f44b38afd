"""What the engine's tests share: a recipe with some keys of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from kdrun.core.config import Recipe

CONF = Path(__file__).parents[2] / "conf" / "recipe"


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    """A recipe of plain SGD at a constant rate, with these keys instead of its own."""

    def make(**changed: Any) -> Recipe:
        base = OmegaConf.to_container(OmegaConf.load(CONF / "_base.yaml"))
        assert isinstance(base, dict)
        plain = {
            "epochs": 10,
            "batch_size": 8,
            "lr": 0.1,
            "weight_decay": 0.0,
            "optimizer": {"name": "sgd", "momentum": 0.0},
            "schedule": {"name": "constant"},
        }
        return Recipe.model_validate({**base, **plain, **changed})

    return make
