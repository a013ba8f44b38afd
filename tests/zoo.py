"""What the tests of networks share: the files of conf/model, and images of a size."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from kdrun import model
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.types import DataInfo
from kdrun.model.table import MODELS

FOLDER = Path(model.__file__).parents[2] / "conf" / "model"
NAMES = [name for name in sorted(MODELS) if name != "timm" and ".text." not in MODELS[name]]
OWN = [name for name in NAMES if not MODELS[name].endswith("build_torchvision")]
SMALLEST = sorted({MODELS[name]: name for name in reversed(MODELS) if name in NAMES}.values())

_SKETCHES: dict[tuple[str, DataInfo, str], nn.Module] = {}


def read(name: str) -> dict[str, Any]:
    """The node of conf/model/NAME.yaml."""
    node = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{name}.yaml"))
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def images(side: int, channels: int = 3, classes: int = 100) -> DataInfo:
    """A dataset of square images."""
    names = tuple(f"class {number}" for number in range(classes))
    return DataInfo(names, ImageInputs(channels, (side, side)), 1)


def build(name: str, data: DataInfo, **changed: Any) -> nn.Module:
    """The network of a file, or torchvision's of this name."""
    known = (FOLDER / f"{name}.yaml").exists()
    node = read(name) if known else {**read("torchvision"), "name": name}
    return model.build({**node, **changed}, data)


def sketch(name: str, data: DataInfo, **changed: Any) -> nn.Module:
    """The network without memory for its weights: shapes are known, and nothing is computed.

    Tests share it, so they leave it as it is.
    """
    key = (name, data, str(changed))
    if key not in _SKETCHES:
        with torch.device("meta"):
            _SKETCHES[key] = build(name, data, **changed)
    return _SKETCHES[key]


def count(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())
