"""VGG: torchvision's form, and the form for small images of Tian et al. 2020."""

from typing import Literal

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.model.image.blocks import Form, draw_small_head, draw_weights, is_small, name_roles
from kdrun.model.image.torchvision_models import build_torchvision

_WIDTHS = (64, 128, 256, 512, 512)

# Convolutions in each of the five blocks: Simonyan and Zisserman 2014 (arXiv:1409.1556), table 1,
# configurations A, B, D and E; vgg8 is from Tian et al. 2020.
_CONVOLUTIONS = {
    "vgg8": (1, 1, 1, 1, 1),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


def build_vgg(
    name: str,
    form: Form,
    batch_norm: bool | Literal["auto"],
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
) -> nn.Module:
    """Build torchvision's VGG, or the form for small images.

    Args:
        form: `imagenet`, `cifar`, or `auto`, which decides by the image size.
        batch_norm: whether norms follow the convolutions; `auto` is true for small images only.

    Raises:
        UserError: torchvision has no network of this depth.
    """
    small = is_small(form, image_size) or (name == "vgg8" and form == "auto")
    if small:
        has_norm = batch_norm in ("auto", True)
        return CifarVGG(_CONVOLUTIONS[name], has_norm, num_classes, in_channels, image_size)
    if name == "vgg8":
        raise UserError("torchvision has no vgg8.", "  use form=cifar, or vgg11")
    torchvision_name = f"{name}_bn" if batch_norm is True else name
    return build_torchvision(torchvision_name, "imagenet", num_classes, in_channels, image_size)


class CifarVGG(nn.Module):
    """Blocks of 3x3 convolutions, an average over the last maps, and one linear layer.

    Between the blocks are max-poolings, the last one only for images of 64 pixels or more, so that
    32 pixels end in maps of 4x4, as in Tian et al. 2020 (arXiv:1910.10699), whose public
    checkpoints have the same names of parameters. As in their tables of distillation results, the
    first block, at full size, is no stage.

    Args:
        convolutions: number of convolutions in each of the five blocks.
        batch_norm: whether a norm follows each convolution.
    """

    roles = name_roles(["block1", "block2", "block3", "block4"], "classifier")

    def __init__(
        self,
        convolutions: tuple[int, ...],
        batch_norm: bool,
        num_classes: int,
        in_channels: int,
        image_size: tuple[int, int],
    ) -> None:
        super().__init__()
        sources = (in_channels, *_WIDTHS)
        blocks = [
            _block(channels, width, count, batch_norm)
            for channels, width, count in zip(sources, _WIDTHS, convolutions, strict=False)
        ]
        self.block0, self.block1, self.block2, self.block3, self.block4 = blocks
        self.pool0 = nn.MaxPool2d(2)
        self.pool1 = nn.MaxPool2d(2)
        self.pool2 = nn.MaxPool2d(2)
        self.pool3 = nn.MaxPool2d(2) if min(image_size) >= 64 else nn.Identity()
        self.pool4 = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(_WIDTHS[-1], num_classes)
        draw_weights(self)
        draw_small_head(self.classifier)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.pool0(self.block0(images))
        maps = self.pool1(self.block1(maps))
        maps = self.pool2(self.block2(maps))
        maps = self.pool3(self.block3(maps))
        return self.classifier(self.flatten(self.pool4(self.block4(maps))))


def _block(channels_in: int, width: int, count: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(count):
        layers.append(nn.Conv2d(width if number else channels_in, width, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)
