"""The last stage: every model on the test split, once, when all choices are made."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from torch import nn

from kdrun import model
from kdrun.compress.quantize.requantize import is_quantized
from kdrun.core.device import Hardware
from kdrun.core.folder import RunFolder
from kdrun.core.records.summary import Summary
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Split
from kdrun.engine.evaluate import measure
from kdrun.measure.cost import macs, nonzero_parameters, parameters
from kdrun.measure.intervals import gain_interval, half_width
from kdrun.measure.metrics import Meter, agreement
from kdrun.model.merged import Merged
from kdrun.stage.artefact import Artefact
from kdrun.stage.base import Stage, StageContext
from kdrun.stage.baseline import add_comparisons
from kdrun.stage.compress import Compress
from kdrun.stage.examples import examples
from kdrun.stage.repeated import spread
from kdrun.stage.timing import add_latencies


def evaluate(
    context: StageContext,
    rows: Mapping[str, Artefact],
    folder: RunFolder,
    inexact: Sequence[str],
    domains: Mapping[str, Split],
    steps: Sequence[Stage] = (),
) -> Summary:
    """Measure every model, write summary, predictions and examples; return the summary.

    Answers are computed in float32, whatever a network was trained in, so that rows compare.

    Args:
        context: the run's data, device and settings.
        rows: what the model is called in the table -> its artefact.
        folder: the run folder.
        inexact: why another run of this config may not give the same bits, if there is a reason.
        domains: test splits of images of other kinds, by name.
        steps: the stages of compression.

    Raises:
        Interrupted: a signal came.
    """
    hardware = replace(context.runtime.hardware, precision="fp32", reason="evaluation")
    networks = {
        row: network_of(artefact, context.data.info).to(hardware.device)
        for row, artefact in rows.items()
    }
    meters = {
        row: _meter(context, network, hardware, context.data.test)
        for row, network in networks.items()
    }
    table = [_row(context, row, rows[row], networks[row], meters, hardware) for row in rows]
    _add_best(context, table, rows, hardware)
    baselines = {step.info.label: step.info.baseline for step in steps if step.info.baseline}
    quantized = [row for row, artefact in rows.items() if is_quantized(artefact.changes)]
    add_latencies(context, table, networks, quantized, baselines)
    _add_gain(table, meters)
    add_comparisons(table, meters, baselines)
    _add_spread(context, table, steps)
    arrays = _arrays(context.data.test, meters)
    for name, split in domains.items():
        others = {
            row: _meter(context, network, hardware, split) for row, network in networks.items()
        }
        _add_domain(table, name, others)
        arrays |= _arrays(split, others, f"domains/{name}/")
    folder.write_predictions(_packed(arrays))
    folder.write_examples(_packed(examples(networks, meters, context.data.test, hardware)))
    summary = {
        "split": "test",
        "samples": context.data.test.size,
        "epoch": context.config.recipe.select,
        "dataset": context.config.dataset["name"],
        "held_out": context.data.origin["held_out"],
        "concepts": _concepts(context),
        "labeled": _labeled(context),
        "domains": {name: split.size for name, split in domains.items()},
        "jobs": context.runtime.hardware.jobs,
        "inexact": inexact,
        "rows": table,
    }
    result = cast("Summary", summary)
    folder.write_summary(result)
    return result


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays by name as the bytes of an .npz file."""
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    return packed.getvalue()


def network_of(artefact: Artefact, info: DataInfo, best: bool = False) -> nn.Module:
    """The network of a row; one that knows the classes before they were merged answers merged."""
    network, merge = artefact.network(best), info.merge
    if merge is None or artefact.info.merge == merge:
        return network
    return Merged(network, merge.groups).eval()


def _concepts(context: StageContext) -> dict[str, list[str]] | None:
    """Concept -> the classes that it joins, where classes were merged."""
    info = context.data.info
    if info.merge is None:
        return None
    return dict(zip(info.classes, info.merge.names, strict=True))


def _labeled(context: StageContext) -> dict[str, int] | None:
    """How many training samples have labels, and of how many, where some have none."""
    train = context.data.train
    if train.labeled is None:
        return None
    return {"labeled": int(train.has_label.sum()), "training": train.size}


def _meter(context: StageContext, network: nn.Module, hardware: Hardware, split: Split) -> Meter:
    context.runtime.interrupt.check("evaluate")
    return measure(network, split, hardware, context.config.evaluate.batch_size)


def _row(
    context: StageContext,
    row: str,
    artefact: Artefact,
    network: nn.Module,
    meters: Mapping[str, Meter],
    hardware: Hardware,
) -> dict[str, Any]:
    info = context.data.info
    scores = meters[row].compute()
    return {
        "model": row,
        "name": model.title(artefact.record["model"]),
        **dict(scores),
        "accuracy_half_width": half_width(scores["accuracy"], int(scores["n"])),
        "agreement": _agreement(row, meters),
        "validation": artefact.record.get("validation"),
        "parameters": parameters(network),
        "nonzero": nonzero_parameters(network),
        "macs": macs(network, (info.channels, *info.image_size), hardware.device),
        "bytes": artefact.bytes_on_disk,
        "epochs": artefact.record["epochs"],
        "first_epochs": artefact.record.get("first_epochs", 0),
        "steps": artefact.record.get("steps"),
        "seconds": artefact.record["seconds"],
        "images_per_second": artefact.record.get("images_per_second"),
        "fingerprint": artefact.record["fingerprint"],
    }


def _agreement(row: str, meters: Mapping[str, Meter]) -> float | None:
    """The share of test samples for which a model decides as the teacher; None without one."""
    if "teacher" not in meters:
        return None
    teacher = meters["teacher"].predictions()
    return agreement(meters[row].predictions().predicted, teacher.predicted)


def _add_best(
    context: StageContext,
    table: list[dict[str, Any]],
    rows: Mapping[str, Artefact],
    hardware: Hardware,
) -> None:
    """The test accuracy of the epoch that validation calls the best, beside the last epoch's."""
    for entry in table:
        artefact = rows[entry["model"]]
        if not artefact.has_best:
            continue
        network = network_of(artefact, context.data.info, best=True).to(hardware.device)
        meter = _meter(context, network, hardware, context.data.test)
        entry["best"] = {
            "epoch": artefact.record["best_epoch"],
            "accuracy": meter.compute()["accuracy"],
            "f1": meter.compute()["f1"],
            "validation": artefact.record.get("best_validation_accuracy"),
        }


def _add_spread(context: StageContext, table: list[dict[str, Any]], steps: Sequence[Stage]) -> None:
    """What each step without training costs when other samples choose, where that is asked."""
    if context.config.evaluate.protocol is None:
        return
    rows = {entry["model"]: entry for entry in table}
    for step in steps:
        if isinstance(step, Compress) and step.info.label:
            before = context.artefacts[step.info.reads[0]]
            rows[step.info.label]["spread"] = spread(step, before, context)


def _add_gain(table: Iterable[dict[str, Any]], meters: Mapping[str, Meter]) -> None:
    """The distilled student's gain over the control on the same test images."""
    if "alone" not in meters:
        return
    control = meters["alone"].predictions()
    for entry in table:
        if entry["model"] == "distilled":
            own = meters["distilled"].predictions()
            gain, low, high = gain_interval(
                own.predicted == own.target, control.predicted == control.target
            )
            entry["gain"] = {"over": "alone", "accuracy": gain, "low": low, "high": high}


def _add_domain(table: list[dict[str, Any]], name: str, meters: Mapping[str, Meter]) -> None:
    """How each model does on images of another kind."""
    figures: dict[str, dict[str, Any]] = {row: {"model": row} for row in meters}
    for row, found in figures.items():
        scores = meters[row].compute()
        found |= dict(scores)
        found["accuracy_half_width"] = half_width(scores["accuracy"], int(scores["n"]))
        found["agreement"] = _agreement(row, meters)
    _add_gain(figures.values(), meters)
    for entry in table:
        entry.setdefault("domains", {})[name] = figures[entry["model"]]


def _arrays(split: Split, meters: Mapping[str, Meter], start: str = "") -> dict[str, np.ndarray]:
    """Index and target once; each row's predicted class, its and the target's probability."""
    first = next(iter(meters.values())).predictions()
    arrays = {f"{start}index": split.ids.numpy(), f"{start}target": first.target}
    for row, meter in meters.items():
        found = meter.predictions()
        arrays[f"{start}{row}/predicted"] = found.predicted
        arrays[f"{start}{row}/probability"] = found.probability
        arrays[f"{start}{row}/confidence"] = found.confidence
    return arrays
