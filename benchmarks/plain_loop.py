"""A distillation loop as people write it by hand, which kdrun is compared with."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class PlainDataset(Dataset[tuple[Tensor, int]]):
    """Images in memory that are augmented one by one, as in torchvision's CIFAR datasets.

    Args:
        images: (N, H, W, C) uint8.
        labels: (N,) integers.
        mean: of each channel, on the scale of 0 to 1.
        std: standard deviation of each channel.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        self.images, self.labels = images, labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(images.shape[1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def train_plain_loop(
    teacher: nn.Module,
    student: nn.Module,
    dataset: PlainDataset,
    device: torch.device,
    tick: Callable[[], None],
    batch_size: int = 64,
) -> None:
    """Distill as Hinton does, alpha 0.9 and T 4, without end; calls `tick` after each step."""
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True, drop_last=True)
    optimizer = SGD(student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    teacher, student = teacher.to(device), student.to(device)
    teacher.eval()
    student.train()
    temperature, alpha = 4.0, 0.9
    while True:
        loss_sum, hits = 0.0, 0.0
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            with torch.no_grad():
                teacher_logits = teacher(images)
            logits = student(images)
            hard = F.cross_entropy(logits, labels)
            soft = F.kl_div(
                F.log_softmax(logits / temperature, dim=1),
                F.softmax(teacher_logits / temperature, dim=1),
                reduction="batchmean",
            )
            loss = (1 - alpha) * hard + alpha * temperature**2 * soft
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
            hits += (logits.argmax(1) == labels).sum().item()
            tick()
