"""Speed and size of compressed networks: int8, half of the channels, and both.

    python -m benchmarks.compression [--seconds 10] [--networks resnet18:224,resnet20:32]

Weights are random, which changes neither speed nor size.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from benchmarks.machine import describe_machine
from kdrun.check.student import check_network
from kdrun.compress.calibrators import MinMax
from kdrun.compress.channels.importance import ScoringInputs
from kdrun.compress.channels.prune import PruningCriterion, prune_channels
from kdrun.compress.fold_batch_norm import fold_batch_norms
from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.requantize import quantize_static
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.step_inputs import StepInputs, TokenUse
from kdrun.config.compose import compose_runs
from kdrun.core.records.summary import Latency
from kdrun.export.image_spec import ImageSpec
from kdrun.export.trace import encode, trace
from kdrun.measure.cost import macs
from kdrun.measure.latency import latencies
from kdrun.measure.onnx_latency import onnx_latencies

CLASSES = {224: 1000, 32: 100}


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compression", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--networks", default="resnet18:224,resnet20:32")
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    print(describe_machine())
    print(f"batches of {options.batch}, one thread, median\n")
    head = ("network", "model", "MACs", "ONNX MB", "times smaller", "ONNX Runtime ms")
    head += ("times as fast", "eager PyTorch ms", "times as fast")
    print(f"| {' | '.join(head)} |")
    print("|---" * len(head) + "|")
    for network in options.networks.split(","):
        name, _, size = network.partition(":")
        for line in table_rows(name, int(size), options.batch, options.seconds):
            print(line, flush=True)


def table_rows(name: str, size: int, batch: int, seconds: float) -> Iterator[str]:
    """Rows of a network: in float, in int8, with half of its channels, and both."""
    original = build_network(name, size)
    empty, choice = torch.zeros(2, 3, size, size), PruningCriterion("l2", "uniform", 8, [])
    half = prune_channels(original, empty, 0.5, choice, ScoringInputs(0))
    networks = {
        "fp32": original,
        "int8": quantized(original, size),
        "half of the channels": half,
        "half, int8": quantized(half, size),
    }
    sample = torch.zeros(batch, 3, size, size)
    eager = {key: networks[key] for key in ("fp32", "half of the channels")}
    in_torch = latencies(eager, sample, threads=1, seconds=seconds)
    with TemporaryDirectory() as folder:
        files = {key: Path(folder) / f"{key}.onnx" for key in networks}
        images = ImageSpec(3, (size, size), (0.0,) * 3, (1.0,) * 3, normalize=False)
        for key, path in files.items():
            path.write_bytes(encode(trace(networks[key], images), "onnx"))
        in_onnx = onnx_latencies(files, dict.fromkeys(files, sample), 1, seconds)
        bytes_ = {key: path.stat().st_size for key, path in files.items()}
    for key, network in networks.items():
        count = macs(network, torch.zeros(1, 3, size, size)) / 1e6
        cells = [
            f"{name}, {size} px",
            key,
            f"{count:.0f} M",
            f"{bytes_[key] / 1e6:.2f}",
            f"{bytes_['fp32'] / bytes_[key]:.2f}",
            *compare_times(in_onnx, key),
            *compare_times(in_torch, key),
        ]
        yield f"| {' | '.join(cells)} |"


def build_network(name: str, size: int) -> nn.Module:
    """A network of conf/model with random weights."""
    words = (f"student={name}", "dataset=fake", f"dataset.image_size={size}", "teacher=mlp")
    classes = f"dataset.num_classes={CLASSES.get(size, 10)}"
    (job,) = compose_runs([*words, classes], multirun=False)
    network, _ = check_network(job.tree, job.unknown_groups, job.faults)
    return network.eval()


def compare_times(times: Mapping[str, Latency], key: str) -> list[str]:
    """Milliseconds, and how many times as fast as the float network."""
    if key not in times:
        return ["-", "-"]
    milliseconds = times[key]["median_ms"]
    return [f"{milliseconds:.3g}", f"{times['fp32']['median_ms'] / milliseconds:.2f}"]


def quantized(network: nn.Module, size: int) -> nn.Module:
    """The network in int8, its activations calibrated on noise."""
    torch.manual_seed(1)
    batches = [(torch.randn(4, 3, size, size), torch.zeros(4, dtype=torch.int64)) for _ in range(2)]
    no_tokens = TokenUse(torch.zeros(0), 0)
    inputs = StepInputs(batches, MinMax(), 0, lambda _: 0, lambda _: 0.0, lambda _: no_tokens)
    made = quantize_static(
        fold_batch_norms(network),
        inputs,
        QuantizationGrid(8, symmetric=False),
        WeightGrid.of(8, True, True),
    )
    return made.network.eval()


if __name__ == "__main__":
    main()
