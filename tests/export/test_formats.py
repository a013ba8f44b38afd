"""Exported files give the network's outputs in their own runtimes, for any batch size."""

import dataclasses
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ConvNeXt, VisionTransformer
from torchvision.models.convnext import CNBlockConfig
from zoo import build, images

from kdrun.core.errors import UserError
from kdrun.core.mode import evaluating
from kdrun.export import custom_operators, onnx_file
from kdrun.export.custom_operators import calls_custom_operators
from kdrun.export.format import ExportFormat
from kdrun.export.image_spec import ImageSpec
from kdrun.export.onnx_file import encode as encode_onnx
from kdrun.export.table import FORMATS, export_format, format_faults
from kdrun.export.trace import encode, suppress_output, trace, try_formats

TRACED = [name for name in FORMATS if isinstance(export_format(name), ExportFormat)]

SIDE = 16
PLAIN = ImageSpec(3, (SIDE, SIDE), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), normalize=False)
INSIDE = ImageSpec(3, (SIDE, SIDE), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), normalize=True)


def _vit() -> nn.Module:
    return VisionTransformer(SIDE, 8, 2, 2, 32, 64, num_classes=10)


def _convnext() -> nn.Module:
    return ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=10)


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * (SIDE - 2) ** 2, 10),
    )


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    **{
        name: lambda name=name: build(name, images(SIDE, classes=10))
        for name in ("resnet8", "vgg8", "mobilenet_v2_x0_5")
    },
    "vit": _vit,
    "convnext": _convnext,
}


@pytest.fixture(autouse=True, scope="module")
def seed() -> None:
    torch.manual_seed(0)


def lively(network: nn.Module) -> nn.Module:
    """Set statistics and weights to other values than initial ones; the mode is kept."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.normal_(last.weight, std=0.2)
    return network


def answers(network: nn.Module, inputs: Tensor) -> Tensor:
    with evaluating(network), torch.inference_mode():
        return network(inputs)


def written(data: bytes, name: str, folder: Path) -> Callable[[Tensor], Tensor]:
    (folder / f"file.{name}").write_bytes(data)
    return export_format(name).load(folder / f"file.{name}").forward


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_pytorchs_for_any_batch_in_both_runtimes(family: str, tmp_path: Path) -> None:
    network = lively(FAMILIES[family]())
    program = trace(network, PLAIN)
    for name in TRACED:
        answer = written(encode(program, name), name, tmp_path)
        for batch in (1, 5):
            inputs = torch.randn(batch, 3, SIDE, SIDE)
            expected = answers(network, inputs)
            assert expected.std() > 1e-2
            with torch.inference_mode():
                found = answer(inputs)
            assert found.shape == expected.shape
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["file.onnx", "file.pt2"]


def test_normalization_in_the_file_equals_that_before_it(tmp_path: Path) -> None:
    network, pixels = lively(small()), torch.rand(3, 3, SIDE, SIDE)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (INSIDE.mean, INSIDE.std))
    expected = answers(network, (pixels - mean) / std)
    assert (answers(network, pixels) - expected).abs().max() > 0.1
    program = trace(network, INSIDE)
    for name in TRACED:
        answer = written(encode(program, name), name, tmp_path)
        with torch.inference_mode():
            torch.testing.assert_close(answer(pixels), expected, rtol=0, atol=1e-4)


def test_tracing_leaves_the_network_and_the_switches_of_torch_as_they_were() -> None:
    network = FAMILIES["vit"]().requires_grad_(False)
    network.encoder.layers[0].eval()
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn, level = torch.get_rng_state(), logging.root.manager.disable
    program = trace(network, PLAIN)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.backends.mha.get_fastpath_enabled()
    assert logging.root.manager.disable == level
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "aten.scaled_dot_product_attention.default" in targets  # no fused form


def test_an_onnx_file_names_input_and_output_and_holds_no_paths(tmp_path: Path) -> None:
    import onnx

    program = trace(small(), PLAIN)
    data = encode(program, "onnx")
    graph = onnx.load_from_string(data).graph
    ends = [
        (end.name, [one.dim_param or one.dim_value for one in end.type.tensor_type.shape.dim])
        for end in (*graph.input, *graph.output)
    ]
    assert ends == [("images", ["batch", 3, SIDE, SIDE]), ("logits", ["batch", 10])]
    (tmp_path / "file.onnx").write_bytes(data)
    facts = onnx_file.load(tmp_path / "file.onnx").facts
    assert facts["opset"] >= 18
    assert set(facts["versions"]) == {"torch", "onnx", "onnxscript", "onnxruntime"}
    for found in (data, encode(program, "pt2")):
        assert str(Path(torch.__file__).parent).encode() not in found
    assert b"pkg.torch" not in data


def test_nothing_reaches_the_screen(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = trace(small(), PLAIN)
    for name in TRACED:
        written(encode(program, name), name, tmp_path)
    with suppress_output():
        sys.stdout.write("out")
        sys.stderr.write("err")
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("torch.onnx").critical("a line")
    assert capfd.readouterr() == ("", "")


class Does(nn.Module):
    """An operation, followed by a linear layer."""

    def __init__(self, what: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.what = what
        self.head = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.what(inputs.flatten(1)[:, :4]))


@pytest.fixture
def level() -> Iterator[Any]:
    """A custom operator that rounds to tenths; it is unregistered after the test."""
    with torch.library._scoped_library(custom_operators.NAMESPACE, "FRAGMENT") as library:
        library.define("test_level(Tensor x) -> Tensor")
        library.impl("test_level", lambda x: (x * 10).round() / 10, "CompositeExplicitAutograd")
        torch.library.register_fake("kdrun::test_level", torch.empty_like, lib=library)
        yield torch.ops.kdrun.test_level


def translate() -> dict[Callable[..., Any], Callable[..., Any]]:
    """The translation that a test puts in place of those of kdrun's operators."""
    from onnxscript import opset18

    def level(x: Any) -> Any:
        ten = opset18.Constant(value_float=10.0)
        return opset18.Div(opset18.Round(opset18.Mul(x, ten)), ten)

    return {torch.ops.kdrun.test_level.default: level}


def test_a_custom_operator_is_exported_by_its_translation(
    level: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Does(level).eval()
    program = trace(network, PLAIN)
    assert calls_custom_operators(program)
    assert not calls_custom_operators(trace(Does(torch.relu).eval(), PLAIN))
    told = "the network can't be written as ONNX: it has no form for the operator"
    with pytest.raises(UserError, match=f"{told} 'kdrun.test_level'"):
        encode(program, "onnx")
    monkeypatch.setattr(onnx_file, "translations", translate)
    inputs = torch.randn(5, 3, SIDE, SIDE)
    expected = answers(network, inputs)
    for name in TRACED:
        found = written(encode(program, name), name, tmp_path)(inputs)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


# A plugin's format, which needs a package that no extra of kdrun has.
BARE = dataclasses.replace(onnx_file.ONNX, packages=("no_such_package",))

UNFIT = {
    "no form": (torch.special.bessel_j0, "written as ONNX: it has no form for the operator"),
    "constant": (
        lambda x: x.reshape(2, 4),
        "traced: it takes batches of one size only, as some shape in it is a constant",
    ),
    "branch": (lambda x: x if x.sum() > 0 else -x, "traced: 'body' (Does): Could not guard on"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_prevents_export_is_named_in_one_sentence(kind: str) -> None:
    network = nn.Sequential()
    network.body = Does(UNFIT[kind][0])
    with pytest.raises(UserError) as error:
        try_formats(network, images(SIDE), ["onnx", "pt2"])
    (line,) = error.value.lines
    assert line.startswith(f"the network can't be {UNFIT[kind][1]}")
    assert line.endswith(".")


def test_an_operator_without_a_fake_implementation_is_named(level: Any) -> None:
    with torch.library._scoped_library("kdrun", "FRAGMENT") as library:
        library.define("test_bare(Tensor x) -> Tensor")
        library.impl("test_bare", torch.clone, "CPU")
        with pytest.raises(UserError, match=r"traced: the operator 'kdrun.test_bare' has no fake"):
            trace(Does(torch.ops.kdrun.test_bare), PLAIN)


def test_weights_that_one_file_cant_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "_MAX_BYTES", 10)
    with pytest.raises(UserError, match=r"weights take 0\.0 GB, and an ONNX file holds 2 GB"):
        encode_onnx(trace(Does(torch.relu), PLAIN))


def test_formats_are_checked_by_name_and_by_what_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert list(format_faults("export", FORMATS)) == []
    said = [str(fault) for fault in format_faults("export", ["onx", "tflite", "onx"])]
    assert said == [
        "export: no format is called 'onx'.\n  nearest: onnx",
        "export: no format is called 'tflite'.\n  available: hf, onnx, pt2",
    ]
    monkeypatch.setattr("kdrun.export.table.find_spec", lambda name: name != "onnxruntime")
    (lack,) = format_faults("export", FORMATS)
    assert str(lack) == "export: 'onnx' needs onnxruntime: pip install 'kdrun[export]'"


def test_the_faults_of_a_plugins_formats_are_reported_with_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FORMATS, "broken", "no_such_module:FORMAT")
    monkeypatch.setitem(FORMATS, "bare", f"{__name__}:BARE")
    broken, bare, onx = map(str, format_faults("export", ["broken", "bare", "onx"]))
    assert broken.startswith("export: the format 'broken' can't be loaded: No module named")
    assert bare == "export: 'bare' needs no_such_package: pip install no_such_package"
    assert onx.startswith("export: no format is called 'onx'")
