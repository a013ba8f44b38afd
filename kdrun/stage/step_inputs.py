"""The inputs of compression steps in a run: calibration samples, and the costs of networks."""

from collections.abc import Iterator, Mapping
from itertools import islice

import torch
from torch import Tensor, nn

from kdrun.compress.calibrators import CALIBRATORS
from kdrun.compress.step_inputs import StepInputs, TokenUse
from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.inputs.types import Inputs, take
from kdrun.core.registry import build
from kdrun.core.seeds import seed_of
from kdrun.dataset.data import Data
from kdrun.measure.cost import macs
from kdrun.measure.latency import latencies
from kdrun.stage.base import StageContext
from kdrun.stage.timing import blank_inputs

_COUNTED = 512  # texts of a batch in which tokens are counted
_BATCH = 32  # calibration samples in a batch: a moving average needs several batches


def make_step_inputs(context: StageContext, stage: str) -> StepInputs:
    """Return the inputs of the step that a stage applies."""
    info, device = context.data.info, context.runtime.hardware.device
    sample = info.example(1, device)
    seed, count = context.runtime.seed, context.config.compress.calibration
    return StepInputs(
        batches=list(calibration_batches(context.data, seed, count)),
        calibrator=build("calibrator", CALIBRATORS, context.config.compress.calibrator),
        seed=seed_of(seed, "compress", stage),
        macs=lambda network: macs(network, sample),
        latency=lambda network: _latency_in_ms(network, context),
        token_use=lambda encoding: token_use(context.data, encoding),
    )


def calibration_batches(data: Data, seed: int, count: int) -> Iterator[tuple[Inputs, Tensor]]:
    """Yield seeded random samples of the training split, without augmentation.

    If some samples have labels, only those are drawn, as some scores need labels.

    Args:
        data: the splits.
        seed: the run's seed.
        count: number of samples. There are fewer if the split has fewer in whole batches.

    Yields:
        Inputs of networks and labels (B,), which are all -1 if no sample has a label.
    """
    labeled = data.labeled_only().train
    train = labeled if labeled.size else data.train
    size = min(_BATCH, count, train.size)
    order_seed = seed_of(seed, "calibration")
    batches = train.epoch(0, 0, order_seed, size, augment=False, dtype=torch.float32)
    for number, batch in enumerate(islice(batches, -(-count // size))):
        remaining = count - number * size
        labels = batch.targets if labeled.size else torch.full_like(batch.targets, -1)
        yield take(batch.inputs, slice(remaining)), labels[:remaining]


def token_use(data: Data, encoding: Encoding) -> TokenUse:
    """Count the tokens of the training split in one encoding, unlabeled texts among them."""
    counts = torch.zeros(encoding.size, dtype=torch.int64)
    for batch in data.train.batches(_COUNTED):
        assert isinstance(batch.inputs, Mapping)  # checked before the run: these are texts
        ids, mask = tokens_of(batch.inputs, encoding)
        counts += ids[mask].bincount(minlength=encoding.size).cpu()
    return TokenUse(counts, data.tokenizers[encoding.name].special.unknown)


def _latency_in_ms(network: nn.Module, context: StageContext) -> float:
    settings, sample = context.config.evaluate.latency, blank_inputs(context)
    return latencies({"": network}, sample, settings.threads, settings.seconds)[""]["median_ms"]
