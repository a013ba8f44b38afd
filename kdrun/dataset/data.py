"""A dataset as training sees it: three splits that hand out batches, each by one rule.

Shapes: B samples in a batch, (B, C, H, W) images.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import tee
from typing import Any, Self

import torch
from torch import Tensor

from kdrun.core.seeds import generator, seed_of, uniform
from kdrun.core.types import Batch, DataInfo
from kdrun.dataset.feed import Feed, Request
from kdrun.dataset.image.augment import draw_columns
from kdrun.dataset.settings import Augment

_BLOCK = 256  # batches whose random numbers are drawn at once: small draws cost as much as large


@dataclass(frozen=True)
class Normalizer:
    """Bytes to numbers of mean 0 and standard deviation 1, channel by channel.

    Attributes:
        scale: (W * C,) factors of a row of pixels.
        shift: (W * C,) what is then added.
    """

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float], width: int) -> Self:
        """From statistics on the scale of 0 to 1.

        A whole row of factors, as an inner dimension of three channels is not vectorized.
        """
        scale = [1 / (255 * spread) for spread in std]
        shift = [-center / spread for center, spread in zip(mean, std, strict=True)]
        return cls(torch.tensor(scale * width), torch.tensor(shift * width))

    def __call__(self, images: Tensor, dtype: torch.dtype, channels_last: bool) -> Tensor:
        """(B, H, W, C) uint8 to (B, C, H, W) in the dtype and memory format asked for."""
        rows = torch.addcmul(self.shift, images.flatten(2).float(), self.scale)
        values = rows.to(dtype).view(images.shape).permute(0, 3, 1, 2)
        return values if channels_last else values.contiguous()

    def to(self, device: torch.device) -> Self:
        return replace(self, scale=self.scale.to(device), shift=self.shift.to(device))


@dataclass(frozen=True)
class Split:
    """Samples that are used for one purpose.

    Attributes:
        part: the part of the original set that they come from: train, validation or test.
        ids: (N,) int64 positions in that part, ascending.
        targets: (N,) int64 labels, in host memory.
        num_classes: how many classes the labels are of.
        feed: serves the pixels.
        normalize: makes inputs of pixels.
        augment: what the pixels of an augmented epoch undergo.
        labels: the targets on the device.
        labeled: (N,) bool on the device, whose targets are labels; those of the others are 0 and
            mean nothing. None: all are.
    """

    part: str
    ids: Tensor
    targets: Tensor
    num_classes: int
    feed: Feed
    normalize: Normalizer
    augment: Augment
    labels: Tensor
    labeled: Tensor | None = None

    @property
    def size(self) -> int:
        return len(self.ids)

    @property
    def known(self) -> Tensor:
        """(N,) bool in host memory, whose targets are labels."""
        if self.labeled is None:
            return torch.ones(self.size, dtype=torch.bool)
        return self.labeled.cpu()

    def steps(self, batch_size: int) -> int:
        """Batches of a training epoch: whole ones, or one that has all samples."""
        return max(1, self.size // batch_size)

    def batches(
        self, batch_size: int, dtype: torch.dtype = torch.float32, channels_last: bool = True
    ) -> Iterator[Batch]:
        """Every sample once, in order, not augmented; the last batch may be smaller."""
        requests = self._requests(torch.arange(self.size), batch_size)
        return self._serve(requests, 0, dtype, channels_last)

    def epoch(
        self,
        epoch: int,
        view: int,
        seed: int,
        batch_size: int,
        start_step: int = 0,
        augment: bool = True,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = True,
        whole: bool = False,
    ) -> Iterator[Batch]:
        """One training epoch; every batch follows from the arguments alone.

        Args:
            epoch: decides the order, with the seed.
            view: decides each sample's augmentation, with the seed and its index.
            seed: the run's.
            batch_size: samples in a batch; those left over at the end are left out.
            start_step: batches to skip, without computing them.
            augment: whether images are augmented.
            dtype: of the inputs.
            channels_last: memory format of the inputs.
            whole: keep what is left over, as a last batch that is smaller.
        """
        order = torch.randperm(self.size, generator=generator(seed, "order", epoch))
        end = self.size if whole else self.steps(batch_size) * batch_size
        order = order[start_step * batch_size : end]
        drawing = (seed_of(seed, "augment"), view) if augment and not self.augment.off else None
        requests = self._requests(order, batch_size, drawing)
        return self._serve(requests, view, dtype, channels_last)

    def to(self, device: torch.device) -> Self:
        """The same split with batches on the device."""
        return replace(
            self,
            feed=self.feed.to(device),
            normalize=self.normalize.to(device),
            labels=self.targets.to(device),
            labeled=None if self.labeled is None else self.labeled.to(device),
        )

    def select(self, positions: Tensor) -> Self:
        """Only these samples, in this order."""
        return replace(
            self,
            ids=self.ids[positions],
            targets=self.targets[positions],
            feed=self.feed.select(positions),
            labels=self.labels[positions.to(self.labels.device)],
            labeled=None if self.labeled is None else self.known[positions].to(self.labels.device),
        )

    def labeled_only(self) -> Self:
        """Only the samples that have labels."""
        return replace(self.select(self.known.nonzero().squeeze(1)), labeled=None)

    def relabel(self, table: Tensor, num_classes: int) -> Self:
        """New labels by a table of the old ones; samples whose new label is -1 are left out.

        Samples without a label stay.
        """
        kept = (table[self.targets] >= 0) | ~self.known
        found = self if kept.all() else self.select(kept.nonzero().squeeze(1))
        targets = table[found.targets].where(found.known, 0)
        return replace(
            found,
            targets=targets,
            labels=targets.to(found.labels.device),
            num_classes=num_classes,
        )

    def _requests(
        self, order: Tensor, batch_size: int, drawing: tuple[int, int] | None = None
    ) -> Iterator[Request]:
        if not len(order):  # torch would split nothing into one empty batch
            return
        for block in order.split(batch_size * _BLOCK):
            indices = block.to(self.feed.place).split(batch_size)
            if drawing is None:
                yield from (Request(index, None) for index in indices)
                continue
            draws = _draw(*drawing, block, draw_columns(self.augment)).to(self.feed.place)
            pairs = zip(indices, draws.split(batch_size), strict=True)
            yield from (Request(index, rows) for index, rows in pairs)

    def _serve(
        self, requests: Iterable[Request], view: int, dtype: torch.dtype, channels_last: bool
    ) -> Iterator[Batch]:
        ahead, behind = tee(requests)
        for images, request in zip(self.feed.read(ahead), behind, strict=True):
            index = request.index.to(self.feed.device)
            yield Batch(
                inputs=self.normalize(images, dtype, channels_last),
                targets=self.labels.index_select(0, index),
                index=index,
                view=torch.full_like(index, view),
                labeled=None if self.labeled is None else self.labeled.index_select(0, index),
            )


def _draw(seed: int, view: int, index: Tensor, columns: int) -> Tensor:
    """Uniform numbers (B, columns), cut to the 24 bits that stay below 1 in float32.

    Drawn in host memory, as not every device has the doubles that they are made of.
    """
    draws = uniform(seed, index, torch.full_like(index, view), columns)
    return ((draws * 2**24).floor() / 2**24).float()


@dataclass(frozen=True)
class Data:
    """A dataset, split.

    Attributes:
        info: what networks and losses may know of it.
        train: what is learned from.
        validation: what choices are made on.
        test: what figures are reported on, and nothing is chosen by.
        mean: of each channel, on the scale of 0 to 1; inputs have it taken away.
        std: of each channel; inputs are divided by it.
        augment: what training images undergo, as plain settings.
        digest: hash of all that determines pixels, labels and splits.
        origin: what tells the set and its split from others, for what is trained on it.
        notes: what the user should know of how it was read, in sentences.
        labeled_digest: the digest of the same with the labeled training samples alone.
        domain: what its images are called, where they are of another kind than the run's dataset
            and its test split shows how models do on them.
    """

    info: DataInfo
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: dict[str, Any]
    digest: str
    origin: dict[str, Any]
    notes: tuple[str, ...]
    labeled_digest: str | None = None
    domain: str = ""

    def labeled_only(self) -> Self:
        """The same with the labeled training samples alone."""
        if self.train.labeled is None:
            return self
        train = self.train.labeled_only()
        return replace(
            self,
            info=replace(self.info, train_size=train.size),
            train=train,
            digest=self.labeled_digest or f"{self.digest}-labeled",
            labeled_digest=None,
        )

    def to(self, device: torch.device) -> Self:
        """The same data with batches on the device."""
        splits = {name: getattr(self, name).to(device) for name in ("train", "validation", "test")}
        return replace(self, **splits)
