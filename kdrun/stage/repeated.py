"""Repeats a compression step on subsets of the validation split, which a protocol chooses."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

import torch

from kdrun.core.records.summary import Repetitions
from kdrun.core.registry import build
from kdrun.core.seeds import seed_of
from kdrun.engine.evaluate import score
from kdrun.measure.protocols import PROTOCOLS, SampleSplit, SplitProtocol
from kdrun.stage.artefact import Artefact
from kdrun.stage.base import StageContext
from kdrun.stage.compress import Compress


def make_protocol(node: Mapping[str, Any]) -> SplitProtocol:
    """Build the protocol that a checked node describes."""
    return build("protocol", PROTOCOLS, node)


def repeat_step(
    protocol: SplitProtocol, stage: Compress, before: Artefact, context: StageContext
) -> list[Repetitions]:
    """Repeat a step, each time choosing on some validation samples and measuring on others.

    Only the validation split is used: the network learned the training samples, and test samples
    must not choose anything.

    Args:
        protocol: splits the validation samples for each repetition.
        stage: a step without training.
        before: the artefact that the step changes.
        context: the run's data, device and settings.

    Returns:
        How the leading metric changed, for each group of repetitions of the protocol.
    """
    targets, seed = context.data.validation.targets, seed_of(context.runtime.seed, "protocol")
    groups: dict[str, list[SampleSplit]] = defaultdict(list)
    for samples in protocol.splits(targets.numpy(), seed):
        groups[samples.group].append(samples)
    return [
        _summarize([_change(stage, before, context, samples) for samples in splits], splits[0])
        for splits in groups.values()
    ]


def _summarize(changes: list[float], samples: SampleSplit) -> Repetitions:
    return Repetitions(
        group=samples.group,
        n=len(changes),
        chosen=len(samples.choosing),
        measured=len(samples.measured),
        mean=mean(changes),
        deviation=stdev(changes),
        changes=changes,
    )


def _change(
    stage: Compress, before: Artefact, context: StageContext, samples: SampleSplit
) -> float:
    """Return the change of the leading metric that one repetition makes."""
    context.runtime.interrupt.check("evaluate")
    split = context.data.validation
    choosing, measured = (
        split.select(torch.from_numpy(positions))
        for positions in (samples.choosing, samples.measured)
    )
    data = replace(context.data, train=choosing, validation=choosing)
    changed = stage.apply(before, replace(context, data=data)).result
    hardware, batch_size = context.runtime.hardware, context.config.evaluate.batch_size
    metric = context.data.task.leading().name
    score_after, score_before = (
        score(network.to(hardware.device), measured, hardware, batch_size)[metric]
        for network in (changed.network, before.network())
    )
    return score_after - score_before
