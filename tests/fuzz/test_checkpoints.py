"""Checkpoints with other bytes, or with other contents under a right digest: one error class."""

import itertools
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from damage import KINDS, Damage, damage_bytes, damage_value, damages
from forked import ROOT
from fuzzer import fuzz
from hypothesis import strategies as st
from text_data import dataset_node
from torch import Tensor, nn

from kdrun import dataset
from kdrun.core.config import Recipe
from kdrun.core.device import Hardware
from kdrun.core.errors import DamagedFile, KdrunError
from kdrun.core.screen import Screen
from kdrun.engine.checkpoint import CURRENT, load, save
from kdrun.engine.display import Display
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.loop import train
from kdrun.engine.training_spec import Runtime, TrainingSpec
from kdrun.engine.watch import make_watch
from kdrun.loss.logits import CrossEntropy

HEAD = 8 + 32  # bytes of the magic number and of the digest
BYTES = ("flip", "cut", "insert", "zeros", "empty")


@pytest.fixture(scope="module")
def learn(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, int], None]:
    """Train a network of a few weights for some epochs, or go on with that."""
    digits = dataset.load(dataset_node("digits", root="data", subset=64))
    tree = {**settings("recipe", "quick"), "batch_size": 32, "warmup_epochs": 0}
    tree |= {"optimizer": {"name": "sgd", "momentum": 0.9}, "schedule": {"name": "constant"}}
    del tree["defaults"]
    hardware = Hardware(torch.device("cpu"), "fp32", 1, 1, "test")
    watch = make_watch("none", tmp_path_factory.mktemp("watch"))

    def run(folder: Path, epochs: int) -> None:
        screen = Screen()
        screen.console.quiet = True
        runtime = Runtime(0, hardware, False, 1e9, Display(screen), Interrupt(), watch)
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 10))
        recipe = Recipe.model_validate({**tree, "epochs": epochs})
        folder.mkdir(exist_ok=True)
        loss = CrossEntropy()
        train(TrainingSpec("test", "mlp", network, None, loss, digits, recipe), runtime, folder)

    return run


def settings(group: str, name: str) -> dict[str, Any]:
    files = (ROOT / "conf" / group / f"{file}.yaml" for file in ("_base", name))
    return {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}


@pytest.fixture
def checkpoint(learn: Callable[[Path, int], None], tmp_path: Path) -> Path:
    """The last checkpoint of a training."""
    learn(tmp_path / "stage", 1)
    return tmp_path / "stage" / CURRENT


def test_other_bytes_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    content = checkpoint.read_bytes()
    folder = tmp_path / "other"
    folder.mkdir()

    def end_of(damage: Damage) -> str:
        changed = damage_bytes(content, damage.kind, damage.where % len(content))
        (folder / CURRENT).write_bytes(changed)
        try:
            load(folder, print)
        except DamagedFile:
            return ""
        return "" if changed == content else "other bytes were read"

    count, wrong = fuzz(damages(BYTES), end_of)
    assert not wrong, f"{len(wrong)} wrong ends of {count}: {wrong}"


def test_other_bytes_with_a_right_digest_are_a_state_or_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    """Of the header, that is; which weights the rest has, nobody can tell."""
    content = checkpoint.read_bytes()[HEAD:]
    folder = tmp_path / "other"
    folder.mkdir()

    def end_of(damage: Damage) -> str:
        changed = damage_bytes(content, damage.kind, damage.where % 3000)
        digest = sha256(changed).digest()
        (folder / CURRENT).write_bytes(checkpoint.read_bytes()[:8] + digest + changed)
        try:
            state = load(folder, print)
        except KdrunError:
            return ""
        return "" if isinstance(state, dict) else f"{type(state).__name__} was read"

    count, wrong = fuzz(damages(BYTES), end_of)
    assert not wrong, f"{len(wrong)} wrong ends of {count}: {wrong}"


def test_another_state_is_continued_or_refused(
    checkpoint: Path,
    learn: Callable[[Path, int], None],
    tmp_path: Path,
) -> None:
    state = load(checkpoint.parent, print)
    numbers = itertools.count()

    def end_of(example: tuple[Damage, int]) -> str:
        damage, shape = example
        folder = tmp_path / str(next(numbers))
        shutil.copytree(checkpoint.parent, folder)
        other = damage_value(state, damage)
        other = resize(other, shape) if shape else other
        (folder / CURRENT).unlink()
        try:
            save(folder, other)
            learn(folder, 2)
        except KdrunError:
            return ""
        except Exception as error:  # noqa: BLE001 - what a fuzzer reports
            return f"{type(error).__name__}: {error}"[:200]
        finally:
            shutil.rmtree(folder)
        return ""

    strategy = st.tuples(damages(KINDS), st.sampled_from((0, 0, 0, 1, 2, 3)))
    count, wrong = fuzz(strategy, end_of, share=0.5)
    assert not wrong, f"{len(wrong)} wrong ends of {count}: {wrong}"


def resize(value: Any, shape: int) -> Any:
    """Give all tensors another shape or type."""
    if isinstance(value, dict):
        return {key: resize(item, shape) for key, item in value.items()}
    if not isinstance(value, Tensor):
        return value
    return (value, value.flatten()[:1], value.to(torch.int64), value[None])[shape]
