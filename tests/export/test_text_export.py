"""Networks of texts are exported for texts of any number and any length."""

from pathlib import Path

import pytest
import torch
from text_zoo import DATA, ENCODING, NAMES, build, texts
from torch import nn

from kdrun.compress.quantize.weight_only import quantize_weights
from kdrun.core.errors import UserError
from kdrun.core.mode import evaluating
from kdrun.export.custom_operators import calls_custom_operators
from kdrun.export.input_spec import input_spec
from kdrun.export.table import export_format
from kdrun.export.trace import encode, trace


@pytest.mark.parametrize("name", [*NAMES, "several"])
def test_logits_are_pytorchs_for_any_batch_and_length_in_both_runtimes(
    name: str, tmp_path: Path
) -> None:
    network = build("text_lstm" if name == "several" else name)
    if name == "several":  # a network of somebody else's may have such a layer
        network.lstm = Stacked(16, 6)
    spec = input_spec(DATA.inputs, False, network)
    program = trace(network, spec)
    assert not calls_custom_operators(program)
    for format_name in ("onnx", "pt2"):
        path = tmp_path / f"file.{format_name}"
        path.write_bytes(encode(program, format_name))
        file = export_format(format_name).load(path)
        for lengths in ([1], [ENCODING.longest, 3, 1], [5, 5]):
            inputs = texts(lengths)
            with evaluating(network), torch.inference_mode():
                expected = network(inputs)
                found = file.forward(*spec.arguments(inputs))
            assert expected.std() > 1e-4
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert network.training
    assert "forward" not in vars(next(iter(network.modules())))


@pytest.mark.parametrize(("bits", "group"), [(8, None), (4, 5)])
@pytest.mark.parametrize("name", ["text_bag", "text_transformer", "hf bert"])
def test_quantized_weights_give_pytorchs_logits(
    name: str, bits: int, group: int | None, tmp_path: Path
) -> None:
    network = quantize_weights(build(name).eval(), bits, group, "*").network
    spec = input_spec(DATA.inputs, False, network)
    path = tmp_path / "file.onnx"
    path.write_bytes(encode(trace(network, spec), "onnx"))
    inputs = texts([7, 3, 1])
    with torch.inference_mode():
        found, expected = (
            export_format("onnx").load(path).forward(*spec.arguments(inputs)),
            network(inputs),
        )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


class Stacked(nn.Module):
    """Two layers of torch's bidirectional LSTM."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.LSTM(width, hidden, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, vectors: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.layers(vectors)[0]


def test_an_onnx_file_has_a_batch_and_a_length(tmp_path: Path) -> None:
    import onnx

    network = build("text_bag")
    data = encode(trace(network, input_spec(DATA.inputs, False, network)), "onnx")
    graph = onnx.load_from_string(data).graph
    ends = [
        (end.name, [one.dim_param or one.dim_value for one in end.type.tensor_type.shape.dim])
        for end in (*graph.input, *graph.output)
    ]
    assert ends == [
        ("tokens", ["batch", "length"]),
        ("mask", ["batch", "length"]),
        ("logits", ["batch", 3]),
    ]


def test_texts_are_not_normalized() -> None:
    with pytest.raises(UserError, match="normalization is for images"):
        input_spec(DATA.inputs, True, build("text_bag"))


class Fixed(nn.Module):
    """A network for texts of 16 tokens."""

    encoding = ENCODING

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return inputs["tokens"].float().reshape(-1, 16)[:, :3]


def test_a_network_for_one_length_is_refused() -> None:
    network = Fixed()
    with pytest.raises(UserError, match=r"takes texts of one length only"):
        trace(network, input_spec(DATA.inputs, False, network))
