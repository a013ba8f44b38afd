"""Quantized networks in ONNX Runtime: the same outputs, computed in int8."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nets import ACTIVATIONS, WEIGHTS, quantized, samples
from torch import Tensor, nn

from kdrun.compress.calibrators import MinMax
from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.calibration import calibrate
from kdrun.compress.quantize.dynamic import quantize_dynamic
from kdrun.compress.quantize.onnx_translations import translations
from kdrun.compress.quantize.quantization_plan import plan_quantization
from kdrun.compress.quantize.weight_only import quantize_weights
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.core.errors import UserError
from kdrun.export.image_spec import ImageSpec
from kdrun.export.trace import encode, trace

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


class Block(nn.Module):
    """A network with common operations: shortcut, groups, concatenation, split, mean."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.third = nn.Conv2d(4, 8, 1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.tokens = nn.Linear(12, 6)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        x = self.pool((self.second(x) + x).relu())
        left, right = x.chunk(2, dim=1)
        x = torch.cat((self.third(left), right), dim=1)
        x = self.tokens(x.flatten(2).transpose(1, 2)).relu()
        return self.fc(x.mean(1))


def exported(network: nn.Module, size: int) -> Any:
    """The ONNX model of a network, for images of this side."""
    plain = (0.0,) * 3, (1.0,) * 3
    program = trace(network, ImageSpec(3, (size, size), *plain, normalize=False))
    return onnx.load_from_string(encode(program, "onnx"))


def run(network: nn.Module, x: Tensor, folder: Path) -> tuple[np.ndarray, Counter[str], Any]:
    """Output of ONNX Runtime, the operators that it ran by kind, and the exported model."""
    model, path = exported(network, 16), folder / "optimized.onnx"
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.optimized_model_filepath = str(path)
    session = runtime.InferenceSession(model.SerializeToString(), options)
    (answer,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return answer, Counter(node.op_type for node in onnx.load(path).graph.node), model


def images(count: int) -> Tensor:
    return samples(count)[:, :, :16, :16].contiguous()


def levels(found: np.ndarray, expected: Tensor) -> np.ndarray:
    """Differences in units of an 8-bit scale over the range of the expected output."""
    level = (expected.max() - expected.min()).item() / 255
    return np.abs(found - expected.detach().numpy()) / level


def static(activations: QuantizationGrid, weights: WeightGrid) -> nn.Module:
    network = Block().eval()
    batches = [images(8)]
    return calibrate(
        network, plan_quantization(network), batches, MinMax(), activations, weights
    ).network


def test_static_quantization_runs_in_int8_with_the_same_outputs(tmp_path):
    network = static(ACTIVATIONS, WEIGHTS)
    found, ran, model = run(network, images(5), tmp_path)
    assert levels(found, network(images(5))).max() < 1.5
    assert (levels(found, network(images(5))) <= 1).mean() > 0.95
    assert ran["QLinearConv"] == 3
    assert ran["QGemm"] == 2
    assert ran["QLinearAdd"] == ran["QLinearConcat"] == 1
    assert not ran.keys() & {"Conv", "Gemm", "MatMul", "Add", "Concat", "MaxPool", "Relu"}
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    kinds = {one.name: one.data_type for one in model.graph.initializer}
    assert kinds["first.values"] == onnx.TensorProto.INT8
    assert kinds["first.whole_bias"] == onnx.TensorProto.INT32


@pytest.mark.parametrize(
    ("bits", "symmetric", "per_channel"), [(4, False, True), (8, True, False)], ids=str
)
def test_other_grids_give_the_same_outputs(tmp_path, bits, symmetric, per_channel):
    network = static(
        QuantizationGrid(bits, symmetric),
        WeightGrid(QuantizationGrid(bits, symmetric=bits == 8), per_channel),
    )
    found, _, _ = run(network, images(5), tmp_path)
    assert (levels(found, network(images(5))) <= 1).mean() > 0.9


@pytest.mark.parametrize("bits", [8, 4])
def test_weight_only_quantization_exports_no_float_weights(tmp_path, bits):
    network = quantize_weights(Block().eval(), bits, None, "*").network
    found, _, model = run(network, images(5), tmp_path)
    np.testing.assert_allclose(found, network(images(5)).detach(), rtol=1e-4, atol=1e-5)
    kinds = [(one.data_type, len(one.raw_data)) for one in model.graph.initializer]
    floats = [size for kind, size in kinds if kind == onnx.TensorProto.FLOAT]
    assert max(floats) <= 4 * 8  # scales and biases, and no weights


def test_dynamic_layers_run_in_int8(tmp_path):
    network = quantize_dynamic(Block().eval(), "*").network
    found, ran, _ = run(network, images(5), tmp_path)
    assert levels(found, network(images(5))).max() < 2
    assert ran["DynamicQuantizeMatMul"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v2_x0_5", "shufflenet_v2"])
def test_networks_run_in_int8(tmp_path, name):
    network = quantized(name).network
    model = exported(network, samples(1).shape[-1])
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    session = runtime.InferenceSession(model.SerializeToString(), options)
    (found,) = session.run(None, {session.get_inputs()[0].name: samples(8).numpy()})
    # What rounds otherwise at a tie goes on through 57 layers in one of them.
    assert (levels(found, network(samples(8))) <= 1).mean() > 0.85
    ran = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert ran["QLinearConv"]
    assert not ran.keys() & {"Conv", "Gemm", "Add", "Concat", "DequantizeLinear"}


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_a_missing_extra_is_named(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError) as error:
        translations()
    assert error.value.lines[0] == f"export to ONNX needs {missing}, which is not installed."
    assert "pip install 'kdrun[export]'" in error.value.lines[1]
