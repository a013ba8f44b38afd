"""A few test samples with the probabilities that every model predicts for them."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from kdrun.core.device import Hardware
from kdrun.core.mode import evaluating
from kdrun.dataset.data import Split
from kdrun.measure.metrics import Meter

_COUNT = 12  # samples
_CLASSES = 6  # shown for each sample


@torch.inference_mode()
def choose_examples(
    networks: Mapping[str, nn.Module],
    meters: Mapping[str, Meter],
    split: Split,
    hardware: Hardware,
) -> dict[str, np.ndarray]:
    """Return the test samples that the teacher, else the first row's model, is least sure of.

    Args:
        networks: row -> network.
        meters: row -> predictions for the split.
        split: the test samples.
        hardware: the device of the networks, and the precision.

    Returns:
        `row`, the name of the row whose confidence chose the samples; `index` (E,) positions in the
        set; `target` (E,); what the feed shows of them, as `images` or `texts`; `classes` (E, K)
        the target, then those with the highest mean probability over the rows; and for each row
        `ROW/probability` (E, K) float32.
    """
    chooser = "teacher" if "teacher" in meters else next(iter(meters))
    confidence = meters[chooser].predictions().confidence
    least_sure = torch.from_numpy(np.argsort(confidence, kind="stable")[:_COUNT].copy())
    samples = split.select(least_sure)
    probabilities = _probabilities(networks, samples, hardware)
    mean = torch.stack(list(probabilities.values())).mean(0)
    mean = mean.scatter(1, samples.targets[:, None], 2.0)  # the target first
    classes = torch.argsort(mean, dim=1, descending=True, stable=True)[:, :_CLASSES]
    return {
        "row": np.array(chooser),
        "index": samples.ids.numpy(),
        "target": samples.targets.numpy(),
        **samples.feed.shown(),
        "classes": classes.numpy(),
        **{
            f"{row}/probability": values.gather(1, classes).numpy()
            for row, values in probabilities.items()
        },
    }


def _probabilities(
    networks: Mapping[str, nn.Module], samples: Split, hardware: Hardware
) -> dict[str, Tensor]:
    """Return row -> probabilities (E, C) float32, computed in one batch."""
    (batch,) = samples.batches(samples.size)
    probabilities: dict[str, Tensor] = {}
    for row, network in networks.items():
        with evaluating(network), hardware.autocast():
            probabilities[row] = network(batch.inputs).float().softmax(1).cpu()
    return probabilities
