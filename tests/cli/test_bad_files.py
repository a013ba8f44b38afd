"""Files that are missing, damaged, hostile or of something else are named, with what to do."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import Refused
from torch import Tensor

from kdrun.loss.table import LOSSES


def weights(classes: int = 10, fill: float = 0.0) -> dict[str, Tensor]:
    """A state dict of the small teacher that the tests are run with."""
    return {
        "layers.0.0.weight": torch.full((32, 64), fill),
        "layers.0.0.bias": torch.zeros(32),
        "head.weight": torch.zeros(classes, 32),
        "head.bias": torch.zeros(classes),
    }


class Hostile:
    """Its pickle makes a file when it is loaded as an object."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.mkdir, ("hacked", 0o700)


CHECKPOINTS = {
    "another architecture": (
        {"conv.weight": torch.zeros(3, 3), **weights()},
        "does not hold the weights of 'mlp' for this dataset: 1 keys differ.\n"
        "  in the file:        in 'mlp':\n"
        "  conv.weight (3, 3)  -",
    ),
    "many other keys": (
        {f"layer{number}": torch.zeros(2) for number in range(9)},
        "does not hold the weights of 'mlp' for this dataset: 9 keys differ.\n"
        "  in the file:  in 'mlp':\n"
        "  layer0 (2,)   layers.0.0.weight (32, 64)\n  layer1 (2,)   layers.0.0.bias (32,)\n"
        "  layer2 (2,)   head.weight (10, 32)\n  layer3 (2,)   head.bias (10,)\n"
        "  layer4 (2,)   -\n  and 4 more",
    ),
    "other classes": (
        weights(classes=5),
        "does not hold the weights of 'mlp' for this dataset: it knows 5 classes.\n"
        "  in the file:         in 'mlp':\n"
        "  head.weight (5, 32)  head.weight (10, 32)\n  head.bias (5,)       head.bias (10,)",
    ),
    "not a number": (
        weights(fill=float("nan")),
        "can't be used: 'layers.0.0.weight' holds NaN, infinite or too large values.",
    ),
    "a list": (
        [1, 2],
        "holds no state dict, but a list.\n"
        "  save the state dict alone: torch.save(network.state_dict(), PATH)",
    ),
    "no tensors": (
        {"epoch": 3},
        "holds no state dict, and no tensors.\n"
        "  save the state dict alone: torch.save(network.state_dict(), PATH)",
    ),
    "hostile": (
        {**weights(), "x": Hostile()},
        "can't be read as a checkpoint: it holds posix.mkdir, and other objects than tensors could"
        " run code.\n  save the state dict alone: torch.save(network.state_dict(), PATH)",
    ),
}
BYTES = {
    "text": (b"hello\n", "it was not written by torch.save, or is damaged."),
    "empty": (b"", "it is empty."),
    "pickle": (pickle.dumps(Hostile()), "it was not written by torch.save, or is damaged."),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_checkpoint_of_something_else(kind: str, refused: Refused, tmp_path: Path) -> None:
    content, sentence = CHECKPOINTS[kind]
    torch.save(content, tmp_path / "net.pt")
    assert refused("teacher.checkpoint=net.pt") == f"teacher.checkpoint: 'net.pt' {sentence}"


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
@pytest.mark.parametrize("kind", BYTES)
def test_a_file_that_is_no_checkpoint(
    kind: str, name: str, refused: Refused, tmp_path: Path
) -> None:
    content, reason = BYTES[kind]
    (tmp_path / name).write_bytes(content)
    if content and name.endswith("safetensors"):
        reason = "it is truncated or damaged."
    start = f"teacher.checkpoint: {name!r} can't be read as a checkpoint: {reason}\n"
    assert refused(f"teacher.checkpoint={name}").startswith(start)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_checkpoint(share: float, refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(weights(), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    said = refused("teacher.checkpoint=net.pt")
    assert "'net.pt' can't be read as a checkpoint: it is truncated or damaged." in said


def test_a_checkpoint_that_is_not_there(refused: Refused) -> None:
    assert refused("teacher.checkpoint=no.pt") == "teacher.checkpoint: there is no file 'no.pt'"
    assert refused("teacher.checkpoint=.") == (
        "teacher.checkpoint: '.' is a folder; a run's is given as teacher.run"
    )
    assert refused("teacher.run=nowhere") == (
        "teacher.run: 'nowhere' is no run folder with a finished teacher, nor an artefact.\n"
        "  the runs that are there: kdrun list runs"
    )


def test_weights_that_nobody_has(refused: Refused) -> None:
    assert refused("teacher.weights=DEFAULT") == (
        "teacher.weights: torchvision has no weights for 'mlp'.\n"
        "  use teacher.checkpoint=PATH for another project's weights"
    )
    said = refused("teacher=resnet18", "teacher.weights=IMAGENET", before=())
    assert said.startswith("teacher.weights: resnet18 has no weights called 'IMAGENET'.\n")


def test_a_start_from_a_teacher_that_has_nothing_in_common(refused: Refused) -> None:
    # Of resnet20, resnet8x4 could take over the head's bias and the counters of its norms.
    wider = refused("teacher=resnet20", "student=resnet8x4", "student.init=teacher", before=())
    assert wider.startswith("student.init: no weights of 'resnet8x4' and 'resnet20' have the same")
    said = refused("teacher=resnet8", "student=mlp", "student.init=teacher", before=())
    assert said == (
        "student.init: no weights of 'mlp' and 'resnet8' have the same name and shape; use scratch"
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A small dataset of picture files."""
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(50):
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def about_photos(refused: Refused, photos: Path, *words: str) -> str:
    # By its whole path, as a process reads a dataset once.
    name = ("dataset=imagefolder", f"dataset.root={photos}", "dataset.subset=null")
    return refused(*name, "recipe.batch_size=8", *words).replace(str(photos), "photos")


def test_a_class_folder_without_pictures(refused: Refused, photos: Path) -> None:
    (photos / "empty").mkdir()
    assert about_photos(refused, photos) == (
        "the class folder 'photos/empty' has no images.\n"
        "  put some in (.jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp) or delete it"
    )


def test_a_single_class(refused: Refused, photos: Path) -> None:
    (photos / "dog").rename(photos / ".dog")
    said = about_photos(refused, photos)
    assert said == "dataset: only the class 'cat' is left, and classification takes two or more"


@pytest.mark.parametrize("limit", ["4.0", "0"], ids=["memory", "stream"])
@pytest.mark.parametrize("kind", ["text", "truncated"])
def test_a_picture_that_cannot_be_read(
    kind: str, limit: str, refused: Refused, photos: Path
) -> None:
    path = photos / "cat" / "7.png"
    path.write_bytes(b"hello" if kind == "text" else path.read_bytes()[:200])
    said = about_photos(refused, photos, f"dataset.memory_limit={limit}")
    assert said.startswith("the image 'photos/cat/7.png' can't be read: ")


def test_pictures_of_two_sizes(refused: Refused, photos: Path) -> None:
    Image.new("RGB", (9, 11)).save(photos / "cat" / "7.png")
    assert about_photos(refused, photos) == (
        "the images differ in size: one is 16x16, another 9x11 pixels.\n"
        "  resize them all: dataset.image_size=16"
    )


def test_files_that_are_not_there_are_named(refused: Refused) -> None:
    said = refused("dataset=mnist", "dataset.root=nowhere", "dataset.download=false")
    assert said.splitlines() == [
        "dataset 'mnist' is not in 'nowhere'.",
        "  expected there: MNIST/raw/train-images-idx3-ubyte, MNIST/raw/train-labels-idx1-ubyte,"
        " MNIST/raw/t10k-images-idx3-ubyte, MNIST/raw/t10k-labels-idx1-ubyte",
        "  name its folder with dataset.root=FOLDER, or download it with dataset.download=true",
    ]
    said = refused("dataset=imagefolder", "dataset.root=nowhere")
    assert said.startswith("dataset 'imagefolder' is not in 'nowhere'.\n  expected: nowhere/train/")


def test_grey_images_into_a_network_for_color(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kdrun.model.image.torchvision_models.take_channels", lambda network, channels: None
    )
    said = refused("teacher=resnet18", "student=mlp", before=())
    assert said.startswith("teacher: ResNet cannot take 8x8 images with 1 channels: ")


LEVELS = "".join(f"a{at}: &a{at} [{','.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 9))
CONFIGS = {
    "loss/mine.yaml": {
        "name: kd\nalpha: [0.5\ntemperature: 2": "', line 3: expected ',' or ']', but got ':'.",
        "name: kd\n alpha: 0.5\n": "', line 2: mapping values are not allowed here.",
        "name: !!python/object/apply:os.mkdir [hacked]": "', line 1: could not determine a"
        " constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.mkdir'.",
        f"a0: &a0 [x]\n{LEVELS}": "' unfolds into more than 100,000 values: its aliases name each"
        " other.",
        "name: &a [*a]": "' unfolds into more than 100,000 values: its aliases name each other.",
        f"# {'x' * 1_000_001}": "' has 1,000,003 bytes, and kdrun reads 1,000,000 bytes at most.",
        "name: kd\nalpha: 0.5\ntemperature: 0": "loss.temperature: 0 should be greater than 0",
        "- 1": "loss: [1] is not a mapping",
        "alpha: 1": f"loss.name: must be given; available: {', '.join(sorted(LOSSES))}",
        "name: ce\n_target_: os.mkdir": "loss._target_: is refused: a config names components,"
        " it calls no code",
        "name: ${nowhere}": "the config can't be resolved: Interpolation key 'nowhere' not found",
        "defaults: [nowhere]": "In 'loss/mine': Could not load 'loss/nowhere'.",
        "defaults: {}": "the config can't be composed: Invalid defaults list in 'loss/mine',"
        " defaults must be a list (got mapping).",
    },
    "recipe/mine.yaml": {
        "- name: kd": "recipe: [{'name': 'kd'}] is not a mapping",
    },
    "experiment/mine.yaml": {
        "# @package _global_\nhydra: {callbacks: {x: {_target_: os.mkdir}}}": "hydra.callbacks.x."
        "_target_: is refused: a config calls no code, and this would call os.mkdir",
        "# @package _global_\nhydra: {job_logging: {formatters: {x: {(): os.mkdir}}}}": "hydra."
        "job_logging.formatters.x.(): is refused: a config calls no code, and this would call"
        " os.mkdir",
        "# @package _global_\nplugins: [json]": "plugins: the plugin 'json' is imported only if"
        " the command itself names it.\n"
        "  if you trust its code, add to the command: plugins=[json]",
        "# @package _global_\nsede: 1": "sede: unknown key of the config; nearest: seed, scheme,"
        " student",
    },
}


@pytest.mark.parametrize(
    ("place", "text"), [(place, text) for place, texts in CONFIGS.items() for text in texts]
)
def test_a_config_file_that_somebody_sent(
    place: str, text: str, refused: Refused, tmp_path: Path
) -> None:
    path = tmp_path / "sent" / place
    path.parent.mkdir(parents=True)
    path.write_text(text)
    status = 3 if "at most" in CONFIGS[place][text] else 2
    said = refused("--config-dir", "sent", f"{path.parent.name}=mine", status=status)
    assert said.endswith(CONFIGS[place][text])
    assert (str(path) in said) == CONFIGS[place][text].startswith("'")


def test_a_choice_of_a_folder_of_ones_own_is_near(refused: Refused, tmp_path: Path) -> None:
    for place in ("loss", "model"):
        (tmp_path / "own" / place).mkdir(parents=True)
        (tmp_path / "own" / place / "special.yaml").write_text("name: ce")
    said = refused("loss=specail", "student=specail", "--config-dir", "own")
    assert said.splitlines()[1:] == [
        "  no loss is called 'specail'.",
        "    nearest: special, focal        all: kdrun list losses",
        "  no student is called 'specail'.",
        "    nearest: special        all: kdrun list models",
    ]


def test_what_is_known_without_the_data_is_reported_with_its_faults(
    refused: Refused, tmp_path: Path
) -> None:
    torch.save({"conv1.weight": torch.zeros(3, 3)}, tmp_path / "other.pt")
    said = refused(
        "teacher.checkpoint=other.pt",
        "student=vgg13",
        "dataset=fake",
        "dataset.image_size=4",
        "dataset.augment.crop=4",
        before=(),
    )
    told = [line.split()[0] for line in said.splitlines()[1:] if line[2] != " "]
    assert told == ["dataset.augment.crop:", "student:", "teacher.checkpoint:"]


def test_a_network_that_fits_no_images_does_not_hide_a_foreign_checkpoint(
    refused: Refused, tmp_path: Path
) -> None:
    torch.save(weights(), tmp_path / "other.pt")
    words = ("teacher=vgg13", "teacher.checkpoint=other.pt", "dataset=fake", "dataset.image_size=4")
    said = refused(*words, "student=mlp", before=())
    assert "  teacher: CifarVGG cannot take 4x4 images" in said
    assert "  teacher.checkpoint: 'other.pt' does not hold the weights of 'vgg13'" in said
