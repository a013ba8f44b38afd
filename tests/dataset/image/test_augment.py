"""Crops and flips are torchvision's: the same pixels for the same place, the same distribution."""

from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision import transforms
from torchvision.transforms import functional

from kdrun.core.seeds import seed_of, uniform
from kdrun.dataset.image.augment import crop_and_flip, crop_box, draw_columns
from kdrun.dataset.image.image_files import ImageFormat, cut, fit
from kdrun.dataset.image.settings import Augment

PADDING = 4
PLACES = 2 * PADDING + 1


def random_images(count: int, size: tuple[int, int] = (32, 32), channels: int = 3) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, *size, channels), generator=random, dtype=torch.uint8)


def draws(count: int, columns: int = 3) -> torch.Tensor:
    index = torch.arange(count)
    return uniform(seed_of("test"), index, torch.zeros_like(index), columns).float()


def with_pillow(image: torch.Tensor, top: int, left: int, flip: bool) -> np.ndarray:
    picture = functional.pad(Image.fromarray(image.numpy()), [PADDING])
    picture = functional.crop(picture, top, left, *image.shape[:2])
    return np.asarray(functional.hflip(picture) if flip else picture)


def test_every_crop_and_flip_equals_the_same_one_of_torchvision():
    places = list(product(range(PLACES), range(PLACES), (False, True)))
    images = random_images(len(places))
    rows = torch.tensor(
        [[(t + 0.5) / PLACES, (le + 0.5) / PLACES, 0.25 if f else 0.75] for t, le, f in places]
    )
    ours = crop_and_flip(images, rows, PADDING, flip=True)
    for image, got, place in zip(images, ours, places, strict=True):
        assert np.array_equal(got.numpy(), with_pillow(image, *place)), place


@pytest.mark.parametrize(("size", "channels"), [((8, 8), 1), ((9, 5), 3)])
def test_crop_and_flip_of_any_shape(size: tuple[int, int], channels: int):
    images = random_images(2, size, channels)
    rows = torch.tensor([[0.0, 0.999, 0.1], [0.5, 0.5, 0.9]])
    ours = crop_and_flip(images, rows, 1, flip=True)
    padded = torch.nn.functional.pad(images, (0, 0, 1, 1, 1, 1))
    height, width = size
    assert torch.equal(ours[0], padded[0, :height, 2 : 2 + width].flip(1))
    assert torch.equal(ours[1], padded[1, 1 : 1 + height, 1 : 1 + width])


def test_without_padding_and_flip_nothing_changes():
    images = random_images(5)
    assert torch.equal(crop_and_flip(images, draws(5), 0, flip=False), images)


def test_the_largest_draw_stays_inside_the_padding():
    rows = torch.full((1, 3), 1 - 2**-24)
    images = random_images(1)
    ours = crop_and_flip(images, rows, PADDING, flip=False)
    assert np.array_equal(ours[0].numpy(), with_pillow(images[0], PLACES - 1, PLACES - 1, False))


def place_codes(images: np.ndarray) -> np.ndarray:
    """Of images whose pixels say where they were: (top, left, flip) of each as one number."""
    middle, beside = images[:, 16, 16].astype(int), images[:, 16, 17].astype(int)
    flip = beside[:, 1] < middle[:, 1]
    top, left = middle[:, 0] - 16, np.where(flip, middle[:, 1] - 15, middle[:, 1] - 16)
    return ((top + PADDING) * PLACES + left + PADDING) * 2 + flip


def test_crops_and_flips_are_distributed_as_torchvisions():
    count, cells = 16_200, PLACES * PLACES * 2
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    coded = torch.stack([rows, columns, rows], 2).to(torch.uint8)
    ours = crop_and_flip(coded.expand(count, -1, -1, -1), draws(count), PADDING, flip=True)
    theirs = transforms.Compose(
        [transforms.RandomCrop(32, PADDING), transforms.RandomHorizontalFlip()]
    )
    torch.manual_seed(0)
    picture = coded.permute(2, 0, 1)
    sampled = torch.stack([theirs(picture) for _ in range(count // 4)]).permute(0, 2, 3, 1)
    counts = [np.bincount(place_codes(x.numpy()), minlength=cells) for x in (ours, sampled)]
    assert [len(row) for row in counts] == [cells, cells]
    assert stats.chisquare(counts[0]).pvalue > 0.001
    assert stats.chi2_contingency(np.stack(counts)).pvalue > 0.001


def test_resized_crops_are_distributed_as_torchvisions():
    count, size = 3000, (60, 80)
    ours = np.array([crop_box(row, size, 0.08) for row in draws(count, 23).tolist()])
    torch.manual_seed(0)
    picture = torch.empty(3, *size)
    theirs = np.array(
        [
            transforms.RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3])
            for _ in range(count)
        ]
    )
    for column in range(4):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 0.001
    area = [boxes[:, 2] * boxes[:, 3] for boxes in (ours, theirs)]
    assert stats.ks_2samp(*area).pvalue > 0.001


def test_resized_crops_stay_inside_the_image():
    for size in ((1, 1), (3, 200), (200, 3), (37, 41)):
        for row in [*draws(200, 23).tolist(), [1 - 2**-24] * 23, [0.0] * 23]:
            top, left, height, width = crop_box(row, size, 0.08)
            assert min(top, left) >= 0
            assert min(height, width) >= 1
            assert top + height <= size[0]
            assert left + width <= size[1]


def test_a_resized_crop_has_the_pixels_of_torchvisions():
    image = Image.fromarray(random_images(1, (50, 70))[0].numpy())
    theirs = functional.resized_crop(image, 5, 9, 31, 40, [24, 24])
    ours = cut(image, (5, 9, 31, 40), ImageFormat((24, 24), 3, 24))
    assert np.array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("size", [(50, 71), (71, 50), (28, 28), (32, 40), (24, 24)])
def test_resize_and_center_crop_have_the_pixels_of_torchvisions(size: tuple[int, int]):
    image = Image.fromarray(random_images(1, size)[0].numpy())
    theirs = functional.center_crop(functional.resize(image, [28]), [24, 24])
    assert np.array_equal(fit(image, ImageFormat((24, 24), 3, 28)), np.asarray(theirs))


def test_only_resized_crops_draw_proposals():
    assert draw_columns(Augment(crop=4, flip=True, resized_crop=None)) == 3
    assert draw_columns(Augment(crop=0, flip=True, resized_crop=0.08)) == 23
