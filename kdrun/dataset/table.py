"""Every dataset: its name on the command line -> its reader.

A reader returns a `kdrun.dataset.samples.RawDataset`. Its parameters are keys of the dataset's
YAML: some of this dataset alone, some of the settings of its modality.
"""

DATASETS = {
    "cifar10": "kdrun.dataset.image.torchvision_sets:read_cifar10",
    "cifar100": "kdrun.dataset.image.torchvision_sets:read_cifar100",
    "digits": "kdrun.dataset.image.digits:read_digits",
    "docstrings": "kdrun.dataset.text.docstrings:read_docstrings",
    "fake": "kdrun.dataset.image.fake:read_fake",
    "fashion_mnist": "kdrun.dataset.image.torchvision_sets:read_fashion_mnist",
    "imagefolder": "kdrun.dataset.image.folder:read_imagefolder",
    "imagenet": "kdrun.dataset.image.imagenet:read_imagenet",
    "kmnist": "kdrun.dataset.image.torchvision_sets:read_kmnist",
    "lines": "kdrun.dataset.text.lines:read_lines_with_labels",
    "mnist": "kdrun.dataset.image.torchvision_sets:read_mnist",
    "sentences": "kdrun.dataset.text.sentences:read_sentences",
    "stl10": "kdrun.dataset.image.torchvision_sets:read_stl10",
    "svhn": "kdrun.dataset.image.torchvision_sets:read_svhn",
    "table": "kdrun.dataset.text.table:read_table",
}
