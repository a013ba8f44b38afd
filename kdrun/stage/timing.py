"""How fast the models of a run answer, each in the runtime that it is made for."""

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.export.input_spec import InputSpec
from kdrun.export.table import format_faults
from kdrun.export.trace import encode, trace
from kdrun.measure.latency import latencies
from kdrun.measure.onnx_latency import onnx_latencies
from kdrun.stage.base import StageContext

ONNX = "onnxruntime"


def add_latencies(
    context: StageContext,
    table: list[dict[str, Any]],
    networks: Mapping[str, nn.Module],
    quantized: Collection[str],
    baselines: Mapping[str, str],
) -> None:
    """Add to each row the time of an answer; of quantized networks in ONNX Runtime.

    PyTorch only simulates whole numbers. What a quantized network is held against is timed in
    ONNX Runtime too, beside PyTorch, so that times of one runtime are compared.

    Args:
        context: the run's data, device and settings.
        table: the rows.
        networks: row -> network on the device.
        quantized: rows whose networks are.
        baselines: row -> the row that it is held against, in the order of the steps.
    """
    context.runtime.interrupt.check("evaluate")
    settings = context.config.evaluate.latency
    sample = blank_images(context)
    eager = {row: network for row, network in networks.items() if row not in quantized}
    seconds = settings.seconds * len(eager)
    times = latencies(eager, sample, threads=settings.threads, seconds=seconds)
    compared = [*quantized, *(baselines[row] for row in quantized if row in baselines)]
    if baselines and list(baselines)[-1] in quantized:
        compared.append(next(iter(baselines.values())))  # the last is held against the first too
    found = _in_onnx(context, {row: networks[row] for row in dict.fromkeys(compared)})
    for entry in table:
        row = entry["model"]
        own = times if row in times else found
        entry["latency"] = asdict(own[row]) if row in own else None
        if row in times and row in found:
            entry["latency_in"] = {ONNX: asdict(found[row])}


def _in_onnx(context: StageContext, networks: Mapping[str, nn.Module]) -> dict[str, Any]:
    """The same in ONNX Runtime on the CPU; nothing where it isn't installed."""
    if not networks:
        return {}
    for fault in format_faults("quantized models are not timed", ["onnx"]):
        context.screen.warn(str(fault))
        return {}
    info, settings = context.data.info, context.config.evaluate.latency
    images = InputSpec(info.channels, info.image_size, context.data.mean, context.data.std, False)
    with TemporaryDirectory() as folder:
        files: dict[str, Path] = {}
        for number, (row, network) in enumerate(networks.items()):
            context.runtime.interrupt.check("evaluate")
            try:
                written = encode(trace(deepcopy(network).cpu(), images), "onnx")
            except UserError as error:
                context.screen.warn(f"{row} is not timed in ONNX Runtime: {error.lines[0]}")
                continue
            files[row] = Path(folder) / f"{number}.onnx"
            files[row].write_bytes(written)
        seconds = settings.seconds * len(files)
        found: dict[str, Any] = onnx_latencies(
            files, blank_images(context).cpu(), settings.threads, seconds
        )
        return found


def blank_images(context: StageContext) -> Tensor:
    """The batch that is timed (B, C, H, W), on the device."""
    info, device = context.data.info, context.runtime.hardware.device
    batch = context.config.evaluate.latency.batch_size
    return torch.zeros(batch, info.channels, *info.image_size, device=device)
