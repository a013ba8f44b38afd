"""The embedded dataset: scikit-learn's 1,797 scanned digits, 8x8 pixels in 17 grey levels."""

import torch
from sklearn.datasets import load_digits

from kdrun.dataset.image.images import InMemory
from kdrun.dataset.samples import RawDataset


def read_digits() -> RawDataset[InMemory]:
    """Read the test set of UCI's "Optical Recognition of Handwritten Digits", 1998.

    It is by Alpaydin and Kaynak. Grey levels 0 to 16 become 0 to 255. There is no test split.
    """
    digits = load_digits()
    levels = torch.from_numpy(digits.images).long()
    images = ((levels * 255 + 8) // 16).to(torch.uint8).unsqueeze(-1)
    targets = torch.from_numpy(digits.target).long()
    return RawDataset(tuple(str(digit) for digit in range(10)), InMemory(images, targets))
