"""Every dataset: its name on the command line -> where its reader is.

A reader returns a `kdrun.dataset.pictures.Raw`. Its parameters are the dataset's own keys; one
that is called like a common key of `kdrun.dataset.settings.Common` is given that key's value.
"""

DATASETS = {
    "cifar10": "kdrun.dataset.torchvision_sets:read_cifar10",
    "cifar100": "kdrun.dataset.torchvision_sets:read_cifar100",
    "digits": "kdrun.dataset.digits:read_digits",
    "fake": "kdrun.dataset.fake:read_fake",
    "fashion_mnist": "kdrun.dataset.torchvision_sets:read_fashion_mnist",
    "imagefolder": "kdrun.dataset.folder:read_imagefolder",
    "imagenet": "kdrun.dataset.imagenet:read_imagenet",
    "kmnist": "kdrun.dataset.torchvision_sets:read_kmnist",
    "mnist": "kdrun.dataset.torchvision_sets:read_mnist",
    "stl10": "kdrun.dataset.torchvision_sets:read_stl10",
    "svhn": "kdrun.dataset.torchvision_sets:read_svhn",
}
