"""AlexNet: torchvision's form, and a form for small images."""

from torch import Tensor, nn

from kdrun.core.ranges import UnitBelowOne
from kdrun.model.image.blocks import Form, draw_weights, is_small, name_roles
from kdrun.model.image.torchvision_models import build_torchvision

_WIDTHS = (64, 192, 384, 256, 256)  # Krizhevsky 2014, arXiv:1404.5997, footnote 1
_POOLED = (0, 1, 4)  # the numbers of the convolutions that a max-pooling follows


def build_alexnet(
    form: Form,
    dropout: UnitBelowOne,
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
) -> nn.Module:
    """Build torchvision's AlexNet, or the form for small images.

    Args:
        form: `imagenet`, `cifar`, or `auto`, which decides by the image size.
        dropout: share of the classifier's inputs that is dropped in training.
    """
    if is_small(form, image_size):
        return SmallAlexNet(dropout, num_classes, in_channels)
    network = build_torchvision("alexnet", "imagenet", num_classes, in_channels, image_size)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    return network


class SmallAlexNet(nn.Module):
    """AlexNet's five convolutions and three poolings for images of 64 pixels or fewer.

    All filters are 3x3 with stride 1, because the first layer of torchvision's form (11x11, stride
    4) reduces 32 pixels to 7; the classifier is one linear layer on the average of the last maps.
    """

    def __init__(self, dropout: float, num_classes: int, in_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        stages = []
        for number, width in enumerate(_WIDTHS):
            channels_in = _WIDTHS[number - 1] if number else in_channels
            layers += [nn.Conv2d(channels_in, width, 3, padding=1), nn.ReLU()]
            if number in _POOLED:
                stages.append(f"features.{len(layers) - 1}")
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(_WIDTHS[-1], num_classes)
        self.roles = name_roles(stages, "classifier")
        draw_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        embedding = self.flatten(self.pool(self.features(images)))
        return self.classifier(self.dropout(embedding))
