"""What a step of compression costs when other samples choose its thresholds."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

import torch

from kdrun.core.metrics import leading
from kdrun.core.registry import build
from kdrun.core.seeds import seed_of
from kdrun.engine.evaluate import score
from kdrun.measure.protocols import PROTOCOLS, Parts, SplitProtocol
from kdrun.stage.artefact import Artefact
from kdrun.stage.base import StageContext
from kdrun.stage.compress import Compress


def make_protocol(node: Mapping[str, Any]) -> SplitProtocol:
    """The protocol that a checked node describes."""
    return build("protocol", PROTOCOLS, node)


def spread(stage: Compress, before: Artefact, context: StageContext) -> list[dict[str, Any]]:
    """Do a step again and again, and measure what it loses on samples that chose nothing.

    All of them are of the validation split: training samples are known to the network, and test
    samples choose nothing.

    Args:
        stage: a step without training.
        before: what it takes.
        context: the run's data, device and settings.

    Returns:
        For each group of repetitions: its name, how many there were, how many samples chose and
        were measured, mean and standard deviation of the change of accuracy, and each one's.
    """
    node, split = context.config.evaluate.protocol, context.data.validation
    assert node is not None
    seed = seed_of(context.runtime.seed, "protocol")
    groups: dict[str, list[Parts]] = defaultdict(list)
    for parts in make_protocol(node).parts(split.targets.numpy(), seed):
        groups[parts.group].append(parts)
    found = []
    for name, members in groups.items():
        changes = [_change(stage, before, context, parts) for parts in members]
        found.append(
            {
                "group": name,
                "n": len(changes),
                "chosen": len(members[0].chosen),
                "measured": len(members[0].measured),
                "mean": mean(changes),
                "deviation": stdev(changes),
                "changes": changes,
            }
        )
    return found


def _change(stage: Compress, before: Artefact, context: StageContext, parts: Parts) -> float:
    """The change of accuracy on samples that are measured, where others chose."""
    context.runtime.interrupt.check("evaluate")
    split = context.data.validation
    chosen, measured = (
        split.select(torch.from_numpy(one)) for one in (parts.chosen, parts.measured)
    )
    own = replace(context, data=replace(context.data, train=chosen, validation=chosen))
    result = stage.apply(before, own).result
    hardware, size = context.runtime.hardware, context.config.evaluate.batch_size
    after, level = (
        score(network.to(hardware.device), measured, hardware, size)[leading().name]
        for network in (result.network, before.network())
    )
    return after - level
