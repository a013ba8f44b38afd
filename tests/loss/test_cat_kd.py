"""cat_kd reads the maps whose class maps average to a network's logits."""

import pytest
import torch
import torch.nn.functional as F
from given import INFO, bare
from zoo import build

from kdrun import model
from kdrun.core.taps import TappedNetwork, resolve_taps
from kdrun.loss.functional import find_linear

MAPS = {
    "wrn_16_1": "relu",  # after the last norm
    "resnet8": "layer3",
    "vgg8": "block4",
    "mobilenet_v2_x0_5": "conv2",
    "shufflenet_v1": "layer3",
    "shufflenet_v2": "relu2",
    "resnet18": "layer4",
}


@pytest.mark.parametrize("name", MAPS)
def test_class_maps_average_to_the_logits(name: str):
    torch.manual_seed(0)
    network = build(name, INFO).eval()
    request, roles = bare("cat_kd").taps().student, model.module_roles(network)
    paths = resolve_taps("student", request, roles, network, INFO)
    assert paths["maps"] == MAPS[name]
    output = TappedNetwork(network, paths)(torch.randn(4, 3, 32, 32))
    classifier = find_linear(network, paths["head"])
    class_maps = F.conv2d(output.taps["maps"], classifier.weight[:, :, None, None])
    averages = class_maps.mean(dim=(2, 3)) + classifier.bias
    torch.testing.assert_close(averages, output.logits, rtol=1e-4, atol=1e-5)
