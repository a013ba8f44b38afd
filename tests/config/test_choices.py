"""Parts that have no file in conf/ are chosen by name all the same."""

import sys
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from kdrun.check.preflight import check
from kdrun.config.choices import register_plugin_components
from kdrun.config.compose import compose_runs
from kdrun.core.errors import ConfigError
from kdrun.core.plugins import install_plugins
from kdrun.loss.table import LOSSES
from kdrun.model.table import MODELS

PLUGIN = """
from torch import nn
from kdrun.loss.logits import KD

LOSSES = {"my_kd": "my_parts:MyKD"}
MODELS = {"my_net": "my_parts:MyNet"}


class MyKD(KD):
    def __init__(self, alpha: float = 0.5, temperature: float = 2.0) -> None:
        super().__init__(alpha, temperature)


class MyNet(nn.Module):
    def __init__(self, width: int, num_classes: int, in_channels: int, image_size: tuple):
        super().__init__()
        pixels = in_channels * image_size[0] * image_size[1]
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), nn.ReLU())
        self.head = nn.Linear(width, num_classes)

    def forward(self, images):
        return self.head(self.body(images))
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_parts.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(LOSSES, "my_kd", "my_parts:MyKD")
    monkeypatch.setitem(MODELS, "my_net", "my_parts:MyNet")
    register_plugin_components(install_plugins({"my_parts": "my_parts"}))
    yield
    for group, name in (
        ("loss", "my_kd"),
        *((g, "my_net") for g in ("model", "teacher", "student")),
    ):
        del ConfigStore.instance().repo[group][f"{name}.yaml"]
    sys.modules.pop("my_parts", None)


def test_a_plugins_loss_and_model_are_chosen_by_name(plugin: None) -> None:
    (job,) = compose_runs(["loss=my_kd", "student=my_net", "student.width=7"], multirun=False)
    assert job.faults == ()
    assert job.tree["loss"] == {"name": "my_kd", "alpha": 0.5, "temperature": 2.0}
    assert job.tree["student"]["name"] == "my_net"
    assert job.tree["student"]["width"] == 7
    assert job.tree["student"]["init"] == "scratch"


def test_what_a_plugin_has_no_default_for_must_be_given(plugin: None) -> None:
    (job,) = compose_runs(["student=my_net"], multirun=False)
    with pytest.raises(ConfigError, match=r"student\.width: must be given"):
        check(job.tree)


def test_a_torchvision_name_without_a_file_is_a_choice() -> None:
    (job,) = compose_runs(["teacher=regnet_y_400mf", "student=convnext_tiny"], multirun=False)
    assert job.faults == ()
    assert job.tree["teacher"]["name"] == "regnet_y_400mf"
    assert job.tree["student"]["name"] == "convnext_tiny"
    assert job.tree["student"]["stem"] == "auto"
