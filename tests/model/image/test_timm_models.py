"""timm's networks."""

import sys

import pytest
from zoo import images

from kdrun import model
from kdrun.core.errors import UserError


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("kdrun.model.image.timm_models.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError) as error:
        model.build({"name": "timm", "arch": "resnet10t"}, images(32))
    assert error.value.lines == ("timm's networks need an extra.", "  pip install 'kdrun[timm]'")


@pytest.mark.parametrize("arch", ["resnet10t", "vit_tiny_patch16_224"])
def test_timms_networks_take_any_images(arch):
    pytest.importorskip("timm")
    data = images(32, channels=1, classes=10)
    network = model.build({"name": "timm", "arch": arch}, data)
    assert model.check_forward("student", network, data) == []
    assert model.module_roles(network)["logits"]


def test_an_unknown_network_of_timm_has_the_nearest_ones():
    pytest.importorskip("timm")
    with pytest.raises(UserError, match="no network of timm is called 'resnet10x'"):
        model.build({"name": "timm", "arch": "resnet10x"}, images(32))
