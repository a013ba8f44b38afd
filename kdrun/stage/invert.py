"""Makes training images from a trained network alone: DeepInversion."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

from kdrun.core.atomic import fault_point
from kdrun.core.config import Config, Network
from kdrun.core.errors import UserError
from kdrun.core.inputs.image import image_inputs
from kdrun.core.instructions import instruction_set
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.seeds import generator
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Data, Split
from kdrun.dataset.image.feeds import MemoryFeed
from kdrun.dataset.image.settings import Augment
from kdrun.engine.training_spec import Runtime
from kdrun.engine.weights import read_weights, write_weights
from kdrun.stage.artefact import Artefact, describe_data, write_artefact
from kdrun.stage.base import Stage, StageContext, StageInfo

_JITTER = 2  # the most pixels by which images are shifted at random before each forward pass


@dataclass(frozen=True)
class Inversion:
    """The settings of `scheme=deep_inversion`.

    Attributes:
        images: the number of images.
        batch_size: images of a batch, whose statistics are made similar to those of the norms.
        iterations: Adam steps on each batch.
        rate: Adam's learning rate.
        norms: weight of the distance to the norms' running statistics.
        smoothness: weight of the total variation.
        size: weight of the L2 norm of a batch's pixels.
    """

    images: int
    batch_size: int
    iterations: int
    rate: float
    norms: float
    smoothness: float
    size: float


@dataclass(frozen=True)
class Invert:
    """Make images of all classes from the teacher; see `Stage`.

    Yin et al. 2020 (arXiv:1912.08795), equations 2 to 4, without the competition with a student,
    so that the images follow from the teacher alone and runs can share them.

    Attributes:
        info: the name of the stage and its folder.
        teacher: the stage that makes the teacher.
        how: the settings of the inversion.
    """

    info: StageInfo
    teacher: Stage
    how: Inversion

    @property
    def role(self) -> str:
        return self.teacher.role

    @property
    def network(self) -> Network:
        return self.teacher.network

    def check(self, network: nn.Module, info: DataInfo) -> None:
        """Check that images can be made from a network.

        Raises:
            UserError: the dataset is of texts, or the network has no batch norms.
        """
        image_inputs(info.inputs, "scheme=deep_inversion")
        Norms(network).close()

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        images = image_inputs(data.info.inputs, "scheme=deep_inversion")
        return {
            "stage": "invert",
            "how": vars(self.how),
            "data": [images.mean, images.std, data.info.classes, images.image_size],
            "seed": runtime.seed,
            "device": runtime.hardware.device.type,
            # The order of sums, and so the last bits, depends on device and threads.
            "threads": runtime.hardware.threads if runtime.hardware.device.type == "cpu" else None,
            "deterministic": config.deterministic,
            "torch": torch.__version__,
        }

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        artefact = context.artefacts[self.teacher.info.name]
        network = artefact.network().to(context.runtime.hardware.device).requires_grad_(False)
        targets = torch.arange(self.how.images) % context.data.info.num_classes
        batches, correct = [], 0.0
        label_batches = list(enumerate(targets.split(self.how.batch_size)))
        for number, labels in label_batches:
            path = folder / f"images-{number}.safetensors"  # a finished batch is not made again
            if not path.exists():
                write_weights(path, {"images": self._make_batch(network, labels, number, context)})
                context.screen.say(
                    f"{self.info.name}: batch {number + 1} of {len(label_batches)} is made"
                )
            images = read_weights(path)["images"]
            batches.append(images)
            correct += self._count_correct(network, images, labels, context)
        share = correct / self.how.images
        record: ArtefactRecord = {
            "fingerprint": fingerprint,
            "instructions": [instruction_set()],
            "stage": self.info.name,
            "model": artefact.record["model"],
            "data": describe_data(context.data),
            "validation": {"accuracy": share},
            "epochs": None,
            "seconds": None,
            "notes": [],
            "said": f"{self.how.images} images, {share:.2%} of which the teacher assigns to their"
            " class",
        }
        write_artefact(folder, record, {"images": torch.cat(batches), "targets": targets})
        for number, _ in label_batches:
            (folder / f"images-{number}.safetensors").unlink()

    def _make_batch(
        self, network: nn.Module, labels: Tensor, number: int, context: StageContext
    ) -> Tensor:
        """Make a batch of images (B, H, W, C) uint8."""
        data, device = context.data, context.runtime.hardware.device
        random = generator(context.runtime.seed, self.info.name, number)
        shape = (len(labels), *image_inputs(data.info.inputs, "scheme=deep_inversion").shape)
        images = torch.randn(shape, generator=random).to(device).requires_grad_()
        labels, adam = labels.to(device), torch.optim.Adam([images], lr=self.how.rate)
        norms = Norms(network)
        for _ in range(self.how.iterations):
            shift = torch.randint(-_JITTER, _JITTER + 1, (2,), generator=random).tolist()
            shifted = torch.roll(images, shift, dims=(2, 3))
            adam.zero_grad()
            objective(network(shifted), labels, shifted, norms.distance(), self.how).backward()
            adam.step()
            fault_point("image")
            context.runtime.interrupt.check(self.info.name)
        norms.close()
        return to_bytes(images.detach().cpu(), data)

    def _count_correct(
        self, network: nn.Module, images: Tensor, labels: Tensor, context: StageContext
    ) -> float:
        """Return how many of the stored images the network assigns to their labels."""
        device = context.runtime.hardware.device
        normalized = context.data.train.normalize(
            images.to(device), torch.float32, channels_last=True
        )
        with torch.no_grad():
            return float((network(normalized).argmax(dim=1).cpu() == labels).sum())


class Norms:
    """Measures how far the statistics of a batch are from the running statistics of batch norms.

    Args:
        network: a network in eval mode.

    Raises:
        UserError: the network has no batch norms with running statistics.
    """

    def __init__(self, network: nn.Module) -> None:
        self._distances: list[Tensor] = []
        self._handles: list[RemovableHandle] = []
        for layer in network.modules():
            if isinstance(layer, _BatchNorm):
                mean, variance = layer.running_mean, layer.running_var
                if mean is not None and variance is not None:
                    hook = partial(self._measure, mean, variance)
                    self._handles.append(layer.register_forward_pre_hook(hook))
        if not self._handles:
            raise UserError(
                "images are made from the running statistics of batch norms, and the teacher has"
                " none.",
                "  take scheme=dafl or scheme=zskt, or a teacher with batch norms",
            )

    def distance(self) -> Tensor:
        """Return the sum over norms of |mean - running mean| + |var - running var| of a batch."""
        distances, self._distances = self._distances, []
        return torch.stack(distances).sum()

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _measure(
        self,
        running_mean: Tensor,
        running_var: Tensor,
        layer: nn.Module,
        inputs: tuple[Tensor, ...],
    ) -> None:
        by_channel = inputs[0].transpose(0, 1).flatten(1)
        mean, variance = by_channel.mean(dim=1), by_channel.var(dim=1, unbiased=False)
        self._distances.append((mean - running_mean).norm() + (variance - running_var).norm())


def objective(
    logits: Tensor, labels: Tensor, images: Tensor, norms: Tensor, how: Inversion
) -> Tensor:
    """Return CE(z, y) + how.norms * R_BN + how.smoothness * R_TV + how.size * |x| of a batch.

    Args:
        logits: z, of the teacher.
        labels: y.
        images: x.
        norms: R_BN, the distance to the norms' running statistics.
        how: the weights of the terms; R_TV is the total variation.
    """
    return (
        F.cross_entropy(logits, labels)
        + how.norms * norms
        + how.smoothness * total_variation(images)
        + how.size * images.norm()
    )


def total_variation(images: Tensor) -> Tensor:
    """Return the sum of L2 norms of a batch's differences: across, down, along both diagonals."""
    return (
        (images[:, :, :, :-1] - images[:, :, :, 1:]).norm()
        + (images[:, :, :-1] - images[:, :, 1:]).norm()
        + (images[:, :, 1:, :-1] - images[:, :, :-1, 1:]).norm()
        + (images[:, :, :-1, :-1] - images[:, :, 1:, 1:]).norm()
    )


def to_bytes(images: Tensor, data: Data) -> Tensor:
    """Convert normalized images (B, C, H, W) to (B, H, W, C) uint8, the format of datasets."""
    inputs = image_inputs(data.info.inputs, "scheme=deep_inversion")
    mean, std = (torch.tensor(values)[:, None, None] for values in (inputs.mean, inputs.std))
    return ((images * std + mean) * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1)


def train_on(data: Data, images: Artefact) -> Data:
    """Return the dataset with the images of an `Invert` stage as its training split."""
    stored, train = images.weights(), data.train
    targets, device = stored["targets"], train.labels.device
    split = Split(
        source="images",
        ids=torch.arange(len(targets)),
        targets=targets,
        num_classes=train.num_classes,
        feed=MemoryFeed(stored["images"].contiguous().to(device), Augment(**data.augment)),
        normalize=train.normalize,
        labels=targets.to(device),
    )
    return replace(data, train=split, info=replace(data.info, train_size=len(targets)))
