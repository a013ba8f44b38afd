"""Measures the latencies of a run's models, each in the runtime that it is made for."""

from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.inputs.types import CPU, Inputs
from kdrun.core.records.summary import Latency
from kdrun.export.input_spec import InputSpec, input_spec
from kdrun.export.table import format_faults
from kdrun.export.trace import encode, trace
from kdrun.measure.latency import latencies
from kdrun.measure.onnx_latency import ONNX, onnx_latencies
from kdrun.stage.base import StageContext


@dataclass(frozen=True)
class Latencies:
    """Latencies by the name of the row.

    Attributes:
        eager: latencies in PyTorch, of networks in float.
        onnx: latencies in ONNX Runtime, of quantized networks and the models that they are
            compared with.
    """

    eager: Mapping[str, Latency]
    onnx: Mapping[str, Latency]

    def first(self, row: str) -> Latency | None:
        """Return a model's latency in PyTorch, else in ONNX Runtime; None if it has neither."""
        return self.eager.get(row, self.onnx.get(row))

    def further(self, row: str) -> dict[str, Latency]:
        """Return a model's other latencies by runtime."""
        return {ONNX: self.onnx[row]} if row in self.eager and row in self.onnx else {}

    def in_runtime(self, row: str, runtime: str) -> Latency | None:
        """Return a model's latency in a runtime; None if it was not timed there."""
        candidates = [self.first(row), *self.further(row).values()]
        return next(
            (latency for latency in candidates if latency and latency["runtime"] == runtime), None
        )


def measure_latencies(
    context: StageContext,
    networks: Mapping[str, nn.Module],
    quantized: Collection[str],
    baselines: Mapping[str, str],
) -> Latencies:
    """Time every network; quantized ones in ONNX Runtime, as PyTorch simulates their integers.

    The models that quantized ones are compared with are timed in both runtimes, because only
    latencies in the same runtime can be compared.

    Args:
        context: the run's data, device and settings.
        networks: row -> network on the device.
        quantized: rows whose networks are quantized.
        baselines: row of a compression step -> row that it is compared with, in their order.
    """
    context.runtime.interrupt.check("evaluate")
    settings = context.config.evaluate.latency
    eager = {row: network for row, network in networks.items() if row not in quantized}
    onnx_rows = dict.fromkeys([*quantized, *_baselines_of(quantized, baselines)])
    return Latencies(
        latencies(eager, blank_inputs(context), settings.threads, settings.seconds * len(eager)),
        _time_in_onnx(context, {row: networks[row] for row in onnx_rows}),
    )


def _baselines_of(quantized: Collection[str], baselines: Mapping[str, str]) -> Iterable[str]:
    yield from (baselines[row] for row in quantized if row in baselines)
    if baselines and list(baselines)[-1] in quantized:
        yield next(iter(baselines.values()))  # the last step is compared with the first model too


def _time_in_onnx(context: StageContext, networks: Mapping[str, nn.Module]) -> dict[str, Latency]:
    """Time networks in ONNX Runtime on the CPU; warn and return nothing if it isn't installed."""
    if not networks:
        return {}
    for fault in format_faults("quantized models are not timed", ["onnx"]):
        context.screen.warn(str(fault))
        return {}
    settings = context.config.evaluate.latency
    blank = blank_inputs(context, CPU)
    with TemporaryDirectory() as folder:
        files = _onnx_files(context, networks, Path(folder))
        samples = {row: _file_inputs(_spec(context, networks[row]), blank) for row in files}
        return onnx_latencies(files, samples, settings.threads, settings.seconds * len(files))


def _onnx_files(
    context: StageContext, networks: Mapping[str, nn.Module], folder: Path
) -> dict[str, Path]:
    """Write networks as ONNX files; leave out those that can't be exported, with a warning."""
    files: dict[str, Path] = {}
    for number, (row, network) in enumerate(networks.items()):
        context.runtime.interrupt.check("evaluate")
        try:
            program = trace(deepcopy(network).cpu(), _spec(context, network))
            encoded = encode(program, "onnx")
        except UserError as error:
            context.screen.warn(f"{row} is not timed in ONNX Runtime: {error.lines[0]}")
            continue
        files[row] = folder / f"{number}.onnx"
        files[row].write_bytes(encoded)
    return files


def _spec(context: StageContext, network: nn.Module) -> InputSpec:
    return input_spec(context.data.info.inputs, normalize=False, network=network)


def _file_inputs(spec: InputSpec, batch: Inputs) -> Inputs:
    """Return the inputs of a batch; those of texts under the names of the file's inputs."""
    if isinstance(batch, Tensor):
        return batch
    return dict(zip(spec.names, spec.arguments(batch), strict=True))


def blank_inputs(context: StageContext, device: torch.device | None = None) -> Inputs:
    """Return the batch that is timed, of blank samples, on a device; by default the run's."""
    batch = context.config.evaluate.latency.batch_size
    return context.data.info.example(batch, device or context.runtime.hardware.device)
