"""A few test images with what every model makes of them: soft labels to look at."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from kdrun.core.device import Hardware
from kdrun.dataset.data import Split
from kdrun.dataset.feed import Request
from kdrun.measure.metrics import Meter
from kdrun.measure.mode import evaluating

_COUNT = 12  # images
_CLASSES = 6  # of each image: those that are shown
_SIDE = 64  # pixels of an image's longer side, at most


@torch.inference_mode()
def examples(
    networks: Mapping[str, nn.Module],
    meters: Mapping[str, Meter],
    split: Split,
    hardware: Hardware,
) -> dict[str, np.ndarray]:
    """The test images of which the teacher is least sure; of the first row where there is none.

    Args:
        networks: each row's network.
        meters: each row's answers to the split.
        split: the test samples.
        hardware: where the networks are.

    Returns:
        `row`, whose confidence chose; `index` (E,) positions in the set; `target` (E,);
        `images` (E, H, W, C) uint8, made smaller where they are large; `classes` (E, K) the
        target, then those with the highest mean probability over the rows; and for each row
        `ROW/probability` (E, K) float32.
    """
    chooser = "teacher" if "teacher" in meters else next(iter(meters))
    sure = meters[chooser].predictions().confidence
    chosen = torch.from_numpy(np.argsort(sure, kind="stable")[:_COUNT].copy())
    few = split.select(chosen)
    (batch,) = few.batches(len(chosen))
    found: dict[str, Tensor] = {}
    for row, network in networks.items():
        with evaluating(network), hardware.autocast():
            found[row] = network(batch.inputs).float().softmax(1).cpu()
    mean = torch.stack(list(found.values())).mean(0)
    mean = mean.scatter(1, few.targets[:, None], 2.0)  # the target first
    classes = torch.argsort(mean, dim=1, descending=True, stable=True)[:, :_CLASSES]
    return {
        "row": np.array(chooser),
        "index": few.ids.numpy(),
        "target": few.targets.numpy(),
        "images": _thumbnails(few),
        "classes": classes.numpy(),
        **{
            f"{row}/probability": shares.gather(1, classes).numpy() for row, shares in found.items()
        },
    }


def _thumbnails(few: Split) -> np.ndarray:
    """(E, H, W, C) uint8, no side above the limit."""
    place = few.feed.request_device
    (images,) = few.feed.read([Request(torch.arange(few.size, device=place), None)])
    images = images.cpu()
    height, width = images.shape[1:3]
    shrink = _SIDE / max(height, width)
    if shrink >= 1:
        return images.numpy()
    size = [max(1, round(height * shrink)), max(1, round(width * shrink))]
    small = nn.functional.interpolate(
        images.permute(0, 3, 1, 2).float(), size=size, mode="bilinear", antialias=True
    )
    return small.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
