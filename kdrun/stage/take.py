"""A teacher that is there already: from another run, or another project's checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from kdrun import model
from kdrun.core.config import Config, Network
from kdrun.core.errors import UserError
from kdrun.core.folder import RECORD
from kdrun.dataset.data import Data
from kdrun.engine.evaluate import score
from kdrun.engine.lesson import Session
from kdrun.engine.weights import copy_weights
from kdrun.stage.artefact import Artefact, describe_data, read_artefact, write_artefact
from kdrun.stage.base import Bench, Place

_WRAPPERS = ("state_dict", "model", "net", "module", "model_state_dict")
_LINES = 5  # of keys that a report shows


@dataclass(frozen=True)
class Take:
    """Take the teacher's weights as they are; see `Stage`.

    Attributes:
        place: where the stage stands.
        network: the teacher's part of the config.
        path: a checkpoint file, or the folder of an artefact.
    """

    place: Place
    network: Network
    path: Path

    def identity(self, config: Config, data: Data, session: Session) -> dict[str, Any]:
        source = self.path / RECORD if self.path.is_dir() else self.path
        with source.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        return {
            "stage": "take",
            "model": self.network.node,
            "file": digest,
            "data": data.digest,
            "precision": session.hardware.precision,
        }

    def execute(self, bench: Bench, folder: Path, fingerprint: str) -> None:
        network = load_teacher(self.network, self.path, bench.data)
        leave_as_is(bench, folder, network, self.network, str(self.path), fingerprint)


def leave_as_is(
    bench: Bench, folder: Path, network: nn.Module, of: Network, source: str, fingerprint: str
) -> None:
    """Make an artefact of a network that needs no training, with its validation scores."""
    hardware = bench.session.hardware
    network.to(hardware.device)
    scores = score(network, bench.data.validation, hardware, bench.config.evaluate.batch_size)
    record = {
        "fingerprint": fingerprint,
        "stage": "teacher",
        "model": of.node,
        "data": describe_data(bench.data.info),
        "source": source,
        "epochs": None,
        "validation": scores.as_dict(),
        "seconds": None,
        "notes": [f"taken from {source}, not trained here"],
    }
    write_artefact(folder, record, copy_weights(network))


def load_teacher(network: Network, path: Path, data: Data) -> nn.Module:
    """Build the teacher and fill it, strictly, from an artefact or a checkpoint file.

    Raises:
        UserError: another architecture, other classes, a damaged or unreadable file.
    """
    if path.is_dir():
        artefact = read_artefact(path)
        _check_same(network, artefact, data)
        weights = artefact.weights()
    else:
        weights = read_checkpoint(path)
    built = model.build(network.node, data.info)
    _fill(built, weights, network.name, path)
    return built


def artefact_folder(path: Path) -> Path:
    """The teacher's artefact in a run folder, or the artefact folder that was named itself.

    Raises:
        UserError: neither is there.
    """
    for folder in (path, path / "teacher"):
        if (folder / RECORD).exists():
            return folder
    raise UserError(
        f"teacher.run={str(path)!r} is no run folder with a finished teacher, nor an artefact.",
        "  the runs that are there: kdrun list runs",
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict in another project's file, never running code from it.

    Raises:
        UserError: the file can't be read, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {str(path)!r}.") from error
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error
    except Exception as error:
        raise _unreadable(path, error) from error
    return _state_dict(path, content)


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = (
        str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    )
    return UserError(
        f"{str(path)!r} can't be read as a checkpoint: truncated, or more than tensors.",
        f"  {reason}",
        "  save the state dict alone: torch.save(network.state_dict(), PATH)",
    )


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{str(path)!r} holds no state dict, but a {type(content).__name__}.")
    strange = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise UserError(f"{str(path)!r} holds no state dict: {strange[0]!r} is no tensor.")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _fill(network: nn.Module, weights: Mapping[str, Tensor], name: str, path: Path) -> None:
    own = network.state_dict()
    report = [f"missing: {key} {_shape(own[key])}" for key in own if key not in weights]
    report += [f"unexpected: {key} {_shape(weights[key])}" for key in weights if key not in own]
    report += [
        f"other shape: {key} is {_shape(weights[key])} there, {_shape(own[key])} in {name}"
        for key in own
        if key in weights and own[key].shape != weights[key].shape
    ]
    if report:
        more = [f"  and {len(report) - _LINES} more"] if len(report) > _LINES else []
        raise UserError(
            f"{str(path)!r} does not hold the weights of {name!r}: {len(report)} keys differ.",
            *(f"  {line}" for line in report[:_LINES]),
            *more,
        )
    network.load_state_dict(dict(weights))


def _check_same(network: Network, artefact: Artefact, data: Data) -> None:
    found = artefact.record["model"]
    if found != network.node:
        keys = [key for key in found if found[key] != network.node.get(key) and key != "name"]
        words = [f"teacher={found['name']}", *(f"teacher.{key}={found[key]}" for key in keys)]
        raise UserError(
            f"{str(artefact.folder)!r} holds a {found['name']!r}, and the config's teacher is"
            f" another network ({network.name!r}).",
            f"  add {' '.join(words)}",
        )
    classes = tuple(artefact.record["data"]["classes"])
    if classes != data.info.classes:
        raise UserError(
            f"the teacher in {str(artefact.folder)!r} knows {len(classes)} classes, the dataset has"
            f" {data.info.num_classes}"
            + (", in another order." if set(classes) == set(data.info.classes) else "."),
            "  use the dataset that the teacher was trained on, or train a teacher",
        )


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape))
