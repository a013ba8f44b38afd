"""Evaluates every model on the test split, once, after all choices are made."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from kdrun.compress.structure_changes import is_quantized
from kdrun.core.device import Hardware
from kdrun.core.folder import RunFolder
from kdrun.core.records.summary import LabelCount, Repetitions, Summary
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Split
from kdrun.dataset.splits import empty_classes
from kdrun.engine.evaluate import measure
from kdrun.measure.metrics import Meter, Scores
from kdrun.model.merged_classes import MergedClasses
from kdrun.stage.artefact import Artefact
from kdrun.stage.base import Stage, StageContext
from kdrun.stage.compress import Compress
from kdrun.stage.examples import choose_examples
from kdrun.stage.repeated import make_protocol, repeat_step
from kdrun.stage.result_rows import Measured, cost_of, make_rows
from kdrun.stage.timing import Latencies, measure_latencies


def evaluate(
    context: StageContext,
    artefacts: Mapping[str, Artefact],
    folder: RunFolder,
    inexact: Sequence[str],
    domains: Mapping[str, Split],
    steps: Sequence[Stage] = (),
) -> Summary:
    """Measure every model, write summary, predictions and examples; return the summary.

    Predictions are computed in float32, whatever a network was trained in, so that rows
    can be compared.

    Args:
        context: the run's data, device and settings.
        artefacts: the name of a model's row -> its artefact.
        folder: the run folder.
        inexact: reasons why another run of this config may not give the same bits.
        domains: test splits of other domains, by name.
        steps: the stages of compression.

    Raises:
        Interrupted: a signal came.
    """
    hardware = replace(context.runtime.hardware, precision="fp32", reason="evaluation")
    info, test = context.data.info, context.data.test
    networks = {
        row: network_of(artefact, info).to(hardware.device) for row, artefact in artefacts.items()
    }
    baselines = {step.info.label: step.info.baseline for step in steps if step.info.baseline}
    meters = _meters(context, networks, hardware, test)
    sample = info.example(1, hardware.device)
    measured = Measured(
        artefacts=artefacts,
        task=test.task,
        meters=meters,
        best_scores=_best_scores(context, artefacts, hardware),
        domain_meters={
            name: _meters(context, networks, hardware, split) for name, split in domains.items()
        },
        costs={
            row: cost_of(artefact, networks[row], sample) for row, artefact in artefacts.items()
        },
        latencies=_latencies(context, artefacts, networks, baselines),
        baselines=baselines,
        repetitions=_repetitions(context, steps),
    )
    arrays = _arrays(test, meters)
    for name, split in domains.items():
        arrays |= _arrays(split, measured.domain_meters[name], f"domains/{name}/")
    folder.write_predictions(_to_npz(arrays))
    folder.write_examples(_to_npz(choose_examples(networks, meters, test, hardware)))
    summary = Summary(
        split="test",
        samples=test.size,
        epoch=context.config.recipe.select,
        dataset=context.config.dataset["name"],
        task=test.task.name,
        sample=info.inputs.sample,
        held_out=context.data.origin["held_out"],
        concepts=_concepts(context),
        labeled=_label_count(context),
        domains={name: split.size for name, split in domains.items()},
        missing_classes=_missing_classes(context, domains),
        jobs=context.runtime.hardware.jobs,
        inexact=list(inexact),
        rows=make_rows(measured),
    )
    folder.write_summary(summary)
    return summary


def network_of(artefact: Artefact, info: DataInfo, best: bool = False) -> nn.Module:
    """Return an artefact's network; if the data's classes are merged, it predicts merged ones."""
    network, merge = artefact.network(best), info.merge
    if merge is None or artefact.info.merge == merge:
        return network
    return MergedClasses(network, merge.groups).eval()


def _meters(
    context: StageContext, networks: Mapping[str, nn.Module], hardware: Hardware, split: Split
) -> dict[str, Meter]:
    """Return each network's predictions for a split, by row."""
    return {row: _meter(context, network, hardware, split) for row, network in networks.items()}


def _meter(context: StageContext, network: nn.Module, hardware: Hardware, split: Split) -> Meter:
    context.runtime.interrupt.check("evaluate")
    return measure(network, split, hardware, context.config.evaluate.batch_size)


def _best_scores(
    context: StageContext, artefacts: Mapping[str, Artefact], hardware: Hardware
) -> dict[str, Scores]:
    """Return the test scores of the best epoch by validation, for rows that kept its weights."""
    data = context.data
    return {
        row: _meter(
            context,
            network_of(artefact, data.info, best=True).to(hardware.device),
            hardware,
            data.test,
        ).compute()
        for row, artefact in artefacts.items()
        if artefact.has_best
    }


def _latencies(
    context: StageContext,
    artefacts: Mapping[str, Artefact],
    networks: Mapping[str, nn.Module],
    baselines: Mapping[str, str],
) -> Latencies:
    quantized = [row for row, artefact in artefacts.items() if is_quantized(artefact.changes)]
    return measure_latencies(context, networks, quantized, baselines)


def _repetitions(context: StageContext, steps: Sequence[Stage]) -> dict[str, list[Repetitions]]:
    """Repeat the steps that don't train, if the config has a protocol for repetitions."""
    node = context.config.evaluate.protocol
    if node is None:
        return {}
    protocol = make_protocol(node)
    return {
        step.info.label: repeat_step(protocol, step, context.artefacts[step.info.reads[0]], context)
        for step in steps
        if isinstance(step, Compress) and step.info.label
    }


def _concepts(context: StageContext) -> dict[str, list[str]] | None:
    """Return concept -> its classes; None if no classes were merged."""
    info = context.data.info
    if info.merge is None:
        return None
    return {
        concept: list(names) for concept, names in zip(info.classes, info.merge.names, strict=True)
    }


def _label_count(context: StageContext) -> LabelCount | None:
    """Return how many training samples have labels; None if all have."""
    train = context.data.train
    if train.labeled is None:
        return None
    return LabelCount(
        labeled=int(train.has_label.sum()),
        training=train.size,
        repeated=context.config.recipe.repeat_labeled,
    )


def _missing_classes(context: StageContext, domains: Mapping[str, Split]) -> dict[str, list[str]]:
    """Return the classes without a test sample, by the name of the dataset or domain."""
    splits = {context.config.dataset["name"]: context.data.test, **domains}
    missing = {
        name: empty_classes(split.targets, context.data.info.classes)
        for name, split in splits.items()
    }
    return {name: classes for name, classes in missing.items() if classes}


def _arrays(split: Split, meters: Mapping[str, Meter], prefix: str = "") -> dict[str, np.ndarray]:
    """Return index and target of the samples, and what each model predicted for them.

    Args:
        split: the samples.
        meters: row -> predictions.
        prefix: starts the name of every array.
    """
    first = next(iter(meters.values())).predictions()
    arrays = {f"{prefix}index": split.ids.numpy(), f"{prefix}target": first.target}
    for row, meter in meters.items():
        predictions = meter.predictions()
        arrays[f"{prefix}{row}/predicted"] = predictions.predicted
        arrays[f"{prefix}{row}/probability"] = predictions.probability
        arrays[f"{prefix}{row}/confidence"] = predictions.confidence
    return arrays


def _to_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the bytes of an .npz file of arrays by name."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
