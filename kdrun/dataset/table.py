"""Every dataset: its name on the command line -> its reader.

A reader returns a `kdrun.dataset.samples.RawDataset`. Its parameters are keys of the dataset's
YAML: some of this dataset alone, some of `kdrun.dataset.image.settings.ImageSettings`.
"""

DATASETS = {
    "cifar10": "kdrun.dataset.image.torchvision_sets:read_cifar10",
    "cifar100": "kdrun.dataset.image.torchvision_sets:read_cifar100",
    "digits": "kdrun.dataset.image.digits:read_digits",
    "fake": "kdrun.dataset.image.fake:read_fake",
    "fashion_mnist": "kdrun.dataset.image.torchvision_sets:read_fashion_mnist",
    "imagefolder": "kdrun.dataset.image.folder:read_imagefolder",
    "imagenet": "kdrun.dataset.image.imagenet:read_imagenet",
    "kmnist": "kdrun.dataset.image.torchvision_sets:read_kmnist",
    "mnist": "kdrun.dataset.image.torchvision_sets:read_mnist",
    "stl10": "kdrun.dataset.image.torchvision_sets:read_stl10",
    "svhn": "kdrun.dataset.image.torchvision_sets:read_svhn",
}
