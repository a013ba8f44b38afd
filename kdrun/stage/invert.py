"""Images made from a trained network alone."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from kdrun.core.atomic import fault_point
from kdrun.core.config import Config, Network
from kdrun.core.errors import UserError
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.seeds import generator
from kdrun.dataset.data import Data, Split
from kdrun.dataset.image.feeds import MemoryFeed
from kdrun.dataset.image.settings import Augment
from kdrun.engine.training_spec import Runtime
from kdrun.engine.weights import read_weights, write_weights
from kdrun.stage.artefact import Artefact, describe_data, write_artefact
from kdrun.stage.base import Stage, StageContext, StageInfo

_JITTER = 2  # pixels by which the images are rolled at random before each look


@dataclass(frozen=True)
class Inversion:
    """How images are made; the keys of `scheme=deep_inversion`.

    Attributes:
        images: how many.
        batch_size: how many at a time: their statistics are matched together.
        iterations: Adam steps on each batch.
        rate: Adam's learning rate.
        norms: weight of the distance to the norms' running statistics.
        smoothness: weight of the total variation.
        size: weight of the length of a batch.
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
        info: where the stage stands.
        teacher: the stage whose network is looked into.
        how: numbers and weights.
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

    def check(self, network: nn.Module) -> None:
        """Whether images can be made from such a network.

        Raises:
            UserError: it has no batch norms.
        """
        Norms(network).close()

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        return {
            "stage": "invert",
            "how": vars(self.how),
            "data": [data.mean, data.std, data.info.classes, data.info.image_size],
            "seed": runtime.seed,
            "device": runtime.hardware.device.type,
            # The order of sums, and so the last bits, depends on both.
            "threads": runtime.hardware.threads if runtime.hardware.device.type == "cpu" else None,
            "deterministic": config.deterministic,
            "torch": torch.__version__,
        }

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        artefact = context.artefacts[self.teacher.info.name]
        network = artefact.network().to(context.runtime.hardware.device).requires_grad_(False)
        targets = torch.arange(self.how.images) % context.data.info.num_classes
        made, right = [], 0.0
        blocks = list(enumerate(targets.split(self.how.batch_size)))
        for number, labels in blocks:
            path = folder / f"images-{number}.safetensors"  # finished ones are not made again
            if not path.exists():
                write_weights(path, {"images": self._block(network, labels, number, context)})
                context.screen.say(f"{self.info.name}: batch {number + 1} of {len(blocks)} is made")
            images = read_weights(path)["images"]
            made.append(images)
            right += self._agreement(network, images, labels, context)
        share = right / self.how.images
        record: ArtefactRecord = {
            "fingerprint": fingerprint,
            "stage": self.info.name,
            "model": artefact.record["model"],
            "data": describe_data(context.data),
            "validation": {"accuracy": share},
            "epochs": None,
            "seconds": None,
            "notes": [],
            "said": f"{self.how.images} images, {share:.2%} of which the teacher takes for what"
            " they are to be",
        }
        write_artefact(folder, record, {"images": torch.cat(made), "targets": targets})
        for number, _ in blocks:
            (folder / f"images-{number}.safetensors").unlink()

    def _block(
        self, network: nn.Module, labels: Tensor, number: int, context: StageContext
    ) -> Tensor:
        """A batch of images (B, H, W, C) uint8."""
        data, device = context.data, context.runtime.hardware.device
        random = generator(context.runtime.seed, self.info.name, number)
        shape = (len(labels), data.info.channels, *data.info.image_size)
        images = torch.randn(shape, generator=random).to(device).requires_grad_()
        labels, adam = labels.to(device), torch.optim.Adam([images], lr=self.how.rate)
        norms = Norms(network)
        for _ in range(self.how.iterations):
            shift = torch.randint(-_JITTER, _JITTER + 1, (2,), generator=random).tolist()
            seen = torch.roll(images, shift, dims=(2, 3))
            adam.zero_grad()
            objective(network(seen), labels, seen, norms.distance(), self.how).backward()
            adam.step()
            fault_point("image")
            context.runtime.interrupt.check(self.info.name)
        norms.close()
        return to_bytes(images.detach().cpu(), data)

    def _agreement(
        self, network: nn.Module, images: Tensor, labels: Tensor, context: StageContext
    ) -> float:
        """How many images the network takes for what they are to be, as they were stored."""
        device = context.runtime.hardware.device
        seen = context.data.train.normalize(images.to(device), torch.float32, channels_last=True)
        with torch.no_grad():
            return float((network(seen).argmax(dim=1).cpu() == labels).sum())


class Norms:
    """How far a batch's statistics are from those that a network's batch norms remember.

    Args:
        network: in eval mode.

    Raises:
        UserError: it has no batch norms with running statistics.
    """

    def __init__(self, network: nn.Module) -> None:
        layers = [
            layer
            for layer in network.modules()
            if isinstance(layer, _BatchNorm) and layer.track_running_stats
        ]
        if not layers:
            raise UserError(
                "images are made from what batch norms remember, and the teacher has none.",
                "  take scheme=dafl or scheme=zskt, or a teacher with batch norms",
            )
        self._found: list[Tensor] = []
        self._handles = [layer.register_forward_pre_hook(self._look) for layer in layers]

    def distance(self) -> Tensor:
        """Sum over norms of |mean - running mean| + |var - running var| of the last batch."""
        found, self._found = self._found, []
        return torch.stack(found).sum()

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _look(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen = inputs[0].transpose(0, 1).flatten(1)
        mean, variance = seen.mean(dim=1), seen.var(dim=1, unbiased=False)
        assert isinstance(layer, _BatchNorm)
        assert layer.running_mean is not None and layer.running_var is not None
        self._found.append(
            (mean - layer.running_mean).norm() + (variance - layer.running_var).norm()
        )


def objective(
    logits: Tensor, labels: Tensor, images: Tensor, norms: Tensor, how: Inversion
) -> Tensor:
    """CE(z, y) + norms * R_BN + smoothness * R_TV + size * |x|, of a batch of images."""
    return (
        F.cross_entropy(logits, labels)
        + how.norms * norms
        + how.smoothness * total_variation(images)
        + how.size * images.norm()
    )


def total_variation(images: Tensor) -> Tensor:
    """The sum of the lengths of a batch's differences across, down and along both diagonals."""
    return (
        (images[:, :, :, :-1] - images[:, :, :, 1:]).norm()
        + (images[:, :, :-1] - images[:, :, 1:]).norm()
        + (images[:, :, 1:, :-1] - images[:, :, :-1, 1:]).norm()
        + (images[:, :, :-1, :-1] - images[:, :, 1:, 1:]).norm()
    )


def to_bytes(images: Tensor, data: Data) -> Tensor:
    """Normalized images (B, C, H, W) as (B, H, W, C) uint8, as a dataset has them."""
    mean, std = (torch.tensor(each)[:, None, None] for each in (data.mean, data.std))
    return ((images * std + mean) * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1)


def train_on(data: Data, images: Artefact) -> Data:
    """A dataset whose training split is images that `Invert` left."""
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
