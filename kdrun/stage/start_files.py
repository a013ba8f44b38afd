"""The files from which the weights of a network start: those of a Hugging Face folder."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.home import in_home
from kdrun.core.hub_folder import hub_folder
from kdrun.core.number_format import many
from kdrun.core.reading import digest, open_named
from kdrun.model.text.hf_config import CONFIG, read_json
from kdrun.stage.checkpoint_file import read_checkpoint
from kdrun.stage.state_dict import MAX_LISTED, fill

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_POOLER = "pooler."  # heads of other tasks don't have it
_OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}  # of norms, in the first files of BERT


def file_digests(node: Mapping[str, Any]) -> dict[str, str]:
    """Return the name -> digest of the files that decide a network and its starting weights.

    Args:
        node: the config node of the network.

    Raises:
        UserError: one is missing.
    """
    files = [in_home(node["vectors"])] if node.get("vectors") else []
    if node["name"] == "hf" and node.get("path"):
        if not node.get("config"):
            files.append(hub_folder(node["path"]) / CONFIG)
        if node.get("pretrained"):
            files += weight_files(hub_folder(node["path"]))
    return {file.name: _digest(file) for file in files}


def weight_files(folder: Path) -> list[Path]:
    """Return the files with the weights of a Hugging Face folder.

    Raises:
        UserError: it has none in the format of safetensors, or names others than its own.
    """
    if (folder / _WEIGHTS).exists():
        return [folder / _WEIGHTS]
    if not (folder / _INDEX).exists():
        others = sorted(path.name for path in folder.glob("*.bin"))
        reason = f", and {others[0]} could run code when it is read" if others else ""
        raise UserError(
            f"the folder {str(folder)!r} has no {_WEIGHTS}{reason}.",
            "  save its weights as safetensors: network.save_pretrained(FOLDER); or take random"
            " ones: pretrained=false",
        )
    parts = read_json(folder / _INDEX).get("weight_map")
    names = set(parts.values()) if isinstance(parts, dict) else set()
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith("safetensors"):
            raise UserError(f"{str(folder / _INDEX)!r} names {name!r}, which is no file beside it.")
    return [folder / name for name in sorted(names)]


def load_folder_weights(network: nn.Module, path: str) -> list[str]:
    """Load the weights of a Hugging Face folder; return sentences on what was loaded.

    Layers of other tasks are left out, and those that the folder lacks keep their random weights.

    Args:
        network: a network of `kdrun.model.text.hf`.
        path: the folder, or an id that was downloaded.

    Raises:
        UserError: the folder lacks weights of the network's body, or has others.
    """
    folder = hub_folder(path)
    encoder: Any = network.get_submodule("network")
    prefix = f"{encoder.base_model_prefix}."
    found = _read(folder, prefix)
    expected = encoder.state_dict()
    names = {name.removeprefix(prefix): name for name in expected}
    body = {name for name, full in names.items() if encoder.base_model is encoder or full != name}
    lacking = [
        name
        for name in sorted(body)
        if not name.startswith(_POOLER)
        and (name not in found or found[name].shape != expected[names[name]].shape)
    ]
    if lacking:
        listed = ", ".join(lacking[:MAX_LISTED])
        raise UserError(
            f"{str(folder)!r} lacks {many(len(lacking), 'weight')} of the network that its"
            f" {CONFIG} describes, or has others in their place: {listed}.",
            "  choose another folder, or take random weights: pretrained=false",
        )
    loaded = {
        full: found[name]
        for name, full in names.items()
        if name in found and found[name].shape == expected[full].shape
    }
    fill(encoder, {**expected, **loaded}, path, folder)
    new = sorted(expected.keys() - loaded.keys())
    return [
        f"started from the weights of {str(folder)!r}" + (f"; new: {', '.join(new)}" * bool(new))
    ]


def _read(folder: Path, prefix: str) -> dict[str, Tensor]:
    """Return the tensors of a folder, by their names without the prefix of the body."""
    tensors: dict[str, Tensor] = {}
    for file in weight_files(folder):
        for name, value in read_checkpoint(file).state_dicts[""].items():
            for old, new in _OLD_NAMES.items():
                if "LayerNorm" in name and name.endswith(old):
                    name = name.removesuffix(old) + new
            tensors[name.removeprefix(prefix)] = value
    return tensors


def _digest(file: Path) -> str:
    try:
        status = file.stat()
        return _cached_digest(file, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UserError(f"{str(file)!r} can't be read: {error.strerror or error}.") from error


@lru_cache(maxsize=64)
def _cached_digest(file: Path, size: int, changed: int) -> str:
    return digest(open_named(file))
