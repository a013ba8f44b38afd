"""LeNet-5."""

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.model.image.blocks import name_roles


class LeNet5(nn.Module):
    """LeCun, Bottou, Bengio, Haffner 1998 (doi:10.1109/5.726791), section II.B.

    Widths 6, 16, 120 and 84 as in the paper; ReLU, max-pooling and one linear output per class as
    in today's use of the name. Images below 32 pixels get two pixels of padding, so that MNIST's 28
    pixels become the 32 of the paper.

    Raises:
        UserError: the images are smaller than the two convolutions need.
    """

    roles = name_roles(["relu1", "relu2"], "fc3")

    def __init__(self, num_classes: int, in_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        padding = 2 if min(image_size) < 32 else 0
        sides = [_side_after_pooling(side, padding) for side in image_size]
        if min(sides) < 1:
            height, width = image_size
            raise UserError(
                f"lenet5 cannot take {height}x{width} images: its convolutions need 12 pixels or"
                " more.",
                "  use larger images or a network such as resnet8",
            )
        self.conv1 = nn.Conv2d(in_channels, 6, 5, padding=padding)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(16 * sides[0] * sides[1], 120)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(120, 84)
        self.relu4 = nn.ReLU()
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.pool1(self.relu1(self.conv1(images)))
        maps = self.pool2(self.relu2(self.conv2(maps)))
        hidden = self.relu3(self.fc1(self.flatten(maps)))
        return self.fc3(self.relu4(self.fc2(hidden)))


def _side_after_pooling(side: int, padding: int) -> int:
    """Return the pixels of a side after two 5x5 convolutions, each followed by a 2x2 pooling."""
    return ((side + 2 * padding - 4) // 2 - 4) // 2
