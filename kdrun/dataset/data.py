"""A dataset in three splits that serve batches.

Shapes: N samples in a split, B samples in a batch.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import tee
from typing import TYPE_CHECKING, Any, Protocol, Self

import torch
from torch import Tensor

from kdrun.core.inputs.text import TextInputs
from kdrun.core.inputs.types import Inputs
from kdrun.core.seeds import generator, seed_of, uniform
from kdrun.core.types import Batch, DataInfo
from kdrun.dataset.feed import Feed, Request
from kdrun.task.base import Task
from kdrun.task.classification import CLASSIFICATION

if TYPE_CHECKING:
    from kdrun.dataset.text.tokenizers.tokenizer import Tokenizer

_SPLITS = ("train", "validation", "test")
_BLOCK = 256  # batches whose random numbers are drawn at once, as one batch takes just as long


class Normalize(Protocol):
    """Turns a batch of raw samples, of the form that the feed has, into inputs of a network."""

    def __call__(self, samples: Any, /, dtype: torch.dtype, channels_last: bool) -> Inputs:
        """Return inputs of this dtype; images in this memory format."""

    def to(self, device: torch.device, /) -> Self:
        """Return a copy on another device."""


@dataclass(frozen=True)
class Split:
    """The samples of training, validation or test.

    Attributes:
        source: the split of the original dataset with these samples: train, validation or test.
        ids: (N,) int64 positions in the source, ascending.
        targets: (N,) int64 labels, in host memory; 0 for samples without a label.
        num_classes: number of classes.
        feed: serves the samples, augmented where a request says so.
        normalize: turns the feed's batches into inputs of a network.
        labels: the targets on the device.
        labeled: (N,) bool on the device, which samples have a label; None: all have.
        task: what networks answer for the samples.
    """

    source: str
    ids: Tensor
    targets: Tensor
    num_classes: int
    feed: Feed
    normalize: Normalize
    labels: Tensor
    labeled: Tensor | None = None
    task: Task = CLASSIFICATION

    @property
    def size(self) -> int:
        return len(self.ids)

    @property
    def has_label(self) -> Tensor:
        """(N,) bool in host memory, which samples have a label."""
        if self.labeled is None:
            return torch.ones(self.size, dtype=torch.bool)
        return self.labeled.cpu()

    def steps(self, batch_size: int) -> int:
        """Return the number of full batches in an epoch; 1 if all samples don't fill a batch."""
        return max(1, self.size // batch_size)

    def batches(
        self, batch_size: int, dtype: torch.dtype = torch.float32, channels_last: bool = True
    ) -> Iterator[Batch]:
        """Yield all samples, without augmentation; the last batch may be smaller.

        They come in the order in which they are served fastest, which is that of the split for
        images; `Batch.index` has their positions.
        """
        requests = self._requests(self.feed.fastest_order(batch_size), batch_size)
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
        """Yield the batches of one training epoch, which depend on the arguments alone.

        Args:
            epoch: decides the order of the samples, together with the seed.
            view: decides the augmentation of a sample, together with the seed and its index.
            seed: the run's seed.
            batch_size: samples in a batch.
            start_step: batches to skip, without computing them.
            augment: whether samples are augmented.
            dtype: dtype of the inputs.
            channels_last: memory format of the inputs.
            whole: whether the last batch may be smaller; if not, samples that don't fill a batch
                are left out.
        """
        order = torch.randperm(self.size, generator=generator(seed, "order", epoch))
        end = self.size if whole else self.steps(batch_size) * batch_size
        random = generator(seed, "batches", epoch)
        order = self.feed.arrange(order[:end], batch_size, random)[start_step * batch_size :]
        augmentation = (seed_of(seed, "augment"), view) if augment else None
        requests = self._requests(order, batch_size, augmentation)
        return self._serve(requests, view, dtype, channels_last)

    def to(self, device: torch.device) -> Self:
        """Return the same split with batches on the device."""
        return replace(
            self,
            feed=self.feed.to(device),
            normalize=self.normalize.to(device),
            labels=self.targets.to(device),
            labeled=None if self.labeled is None else self.labeled.to(device),
        )

    def only(self, encodings: Collection[str]) -> Self:
        """Return the same samples in some of their encodings; see `Feed`."""
        return replace(self, feed=self.feed.only(encodings))

    def select(self, positions: Tensor) -> Self:
        """Return the samples at these positions, in this order."""
        return replace(
            self,
            ids=self.ids[positions],
            targets=self.targets[positions],
            feed=self.feed.select(positions),
            labels=self.labels[positions.to(self.labels.device)],
            labeled=None
            if self.labeled is None
            else self.has_label[positions].to(self.labels.device),
        )

    def labeled_only(self, size: int | None = None) -> Self:
        """Return the samples that have labels.

        Args:
            size: the number of samples to return, by repeating them in turn; None: each once.
        """
        positions = self.has_label.nonzero().squeeze(1)
        if size is not None and len(positions):
            positions = positions[torch.arange(size) % len(positions)]
        return replace(self.select(positions), labeled=None)

    def relabel(self, table: Tensor, num_classes: int) -> Self:
        """Map old labels to new ones by a table; samples whose new label is -1 are left out.

        Samples without a label stay.

        Args:
            table: (classes before,) the new label of each old one.
            num_classes: number of new classes.
        """
        kept_mask = (table[self.targets] >= 0) | ~self.has_label
        kept = self if kept_mask.all() else self.select(kept_mask.nonzero().squeeze(1))
        targets = table[kept.targets].where(kept.has_label, 0)
        return replace(
            kept,
            targets=targets,
            labels=targets.to(kept.labels.device),
            num_classes=num_classes,
        )

    def _requests(
        self, order: Tensor, batch_size: int, augmentation: tuple[int, int] | None = None
    ) -> Iterator[Request]:
        """Yield requests for the samples in this order.

        Args:
            augmentation: the seed and the view that draws follow from; None for no augmentation.
        """
        if not len(order):  # torch would split an empty tensor into one empty batch
            return
        device, columns = self.feed.request_device, self.feed.draw_columns
        for block in order.split(batch_size * _BLOCK):
            indices = block.to(device).split(batch_size)
            if augmentation is None or not columns:
                yield from (Request(index, None) for index in indices)
                continue
            draws = _draw(*augmentation, block, columns).to(device)
            pairs = zip(indices, draws.split(batch_size), strict=True)
            yield from (Request(index, rows) for index, rows in pairs)

    def _serve(
        self, requests: Iterable[Request], view: int, dtype: torch.dtype, channels_last: bool
    ) -> Iterator[Batch]:
        to_read, to_serve = tee(requests)  # a feed may read ahead
        for samples, request in zip(self.feed.read(to_read), to_serve, strict=True):
            index = request.index.to(self.feed.device)
            yield Batch(
                inputs=self.normalize(samples, dtype, channels_last),
                targets=self.labels.index_select(0, index),
                index=index,
                view=torch.full_like(index, view),
                labeled=None if self.labeled is None else self.labeled.index_select(0, index),
            )


def _draw(seed: int, view: int, index: Tensor, columns: int) -> Tensor:
    """Draw uniform numbers (B, columns) in [0, 1), of 24 bits, so that none is rounded to 1.

    They are computed in host memory, as not every device has the float64 that they are made from.
    """
    draws = uniform(seed, index, torch.full_like(index, view), columns)
    return ((draws * 2**24).floor() / 2**24).float()


@dataclass(frozen=True)
class Data:
    """A dataset in three splits.

    Attributes:
        info: the description of the dataset for networks and losses.
        train: the samples that networks learn from.
        validation: the samples by which hyper-parameters and epochs are chosen.
        test: the samples whose results are reported; nothing is chosen by them.
        augment: settings of the training augmentation.
        digest: hash of all that determines inputs, labels and splits.
        origin: which dataset this is and how it is split; artefacts record it.
        notes: sentences for the user about how the dataset was read.
        tokenizers: name of each encoding -> its tokenizer; empty for images.
        labeled_digest: the digest of `labeled_only()`; None if all samples have labels.
        domain: the name of another domain that models are tested on as well; empty for the run's
            own dataset.
    """

    info: DataInfo
    train: Split
    validation: Split
    test: Split
    augment: dict[str, Any]
    digest: str
    origin: dict[str, Any]
    notes: tuple[str, ...]
    tokenizers: Mapping[str, "Tokenizer"] = field(default_factory=dict)
    labeled_digest: str | None = None
    domain: str = ""

    @property
    def task(self) -> Task:
        """What networks answer for the samples."""
        return self.train.task

    def of_task(self, task: Task) -> Self:
        """Return the same dataset for another task."""
        splits = {name: replace(getattr(self, name), task=task) for name in _SPLITS}
        return replace(self, **splits)

    def for_networks(self, nodes: Iterable[Mapping[str, Any]]) -> Self:
        """Return the same dataset, with batches that have what some networks read and no more.

        Args:
            nodes: the config nodes of the networks.
        """
        inputs = self.info.inputs
        if not isinstance(inputs, TextInputs):
            return self
        encodings = set().union(*map(inputs.names_of, nodes))
        splits: dict[str, Any] = {name: getattr(self, name).only(encodings) for name in _SPLITS}
        return replace(self, **splits)

    def labeled_only(self, repeat: bool = False) -> Self:
        """Return the same dataset without the training samples that have no label.

        Args:
            repeat: whether labeled samples are repeated until there are as many as all samples.
        """
        if self.train.labeled is None:
            return self
        train = self.train.labeled_only(self.train.size if repeat else None)
        digest = self.labeled_digest or f"{self.digest}-labeled"
        return replace(
            self,
            info=replace(self.info, train_size=train.size),
            train=train,
            digest=f"{digest}-{train.size}" if repeat else digest,
            labeled_digest=None,
        )

    def to(self, device: torch.device) -> Self:
        """Return the same dataset with batches on the device."""
        splits = {name: getattr(self, name).to(device) for name in _SPLITS}
        return replace(self, **splits)
