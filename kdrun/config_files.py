"""Config folders from `--config-dir`: files that somebody may have sent, read with care."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import SearchPathQuery
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kdrun.core.errors import Fault, UserError

_PROVIDER = "command-line"  # as Hydra calls it
# Keys by which Hydra and logging name something to be called -> what may be.
_CALLED = {
    "_target_": ("hydra._internal.core_plugins.", "hydra_plugins."),
    "()": ("colorlog.",),
    "class": ("logging.",),
}
_BYTES = 1_000_000  # more than any config has
_NODES = 100_000  # that aliases may unfold into


class CarefulFiles(FileConfigSource):
    """A folder of YAML files whose faults are said with file and line."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file.

        Raises:
            UserError: it is no YAML, asks for code to be run, or is made to fill the memory.
        """
        path = Path(self.path, self._normalize_file_name(config_path))
        try:
            refuse_unfolding(path)
            return super().load_config(config_path)
        except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
            raise _unreadable(path, error) from error


def add_folders(loader: ConfigLoaderImpl, folders: Sequence[str]) -> None:
    """Search these too, after kdrun's own conf/, as Hydra does for `--config-dir`.

    Raises:
        UserError: there is no such folder.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise UserError(
                f"there is no folder {folder!r}.", "  name another: --config-dir FOLDER"
            )
        place = f"file://{Path(folder).absolute()}"
        loader.config_search_path.prepend(_PROVIDER, place, SearchPathQuery(provider="schema"))
    loader.repository.initialize_sources(loader.config_search_path)
    loader.repository.sources = [
        CarefulFiles(one.provider, one.path) if one.provider == _PROVIDER else one
        for one in loader.repository.sources
    ]


def foreign_code(node: Any, where: str = "hydra") -> list[Fault]:
    """What Hydra would call while it starts, other than Hydra and its plugins."""
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=False)
    if isinstance(node, list):
        return [fault for item in node for fault in foreign_code(item, where)]
    if not isinstance(node, dict):
        return []
    return [
        Fault(f"{where}.{key}", f"is refused: a config calls no code, and this would call {value}")
        for key, value in node.items()
        if key in _CALLED and not str(value).startswith(_CALLED[key])
    ] + [fault for key, item in node.items() for fault in foreign_code(item, f"{where}.{key}")]


def refuse_unfolding(path: Path) -> None:
    """Refuse a file that is small to send and large to hold.

    Raises:
        UserError: it is larger than a config, or its aliases name each other over and over.
    """
    size = path.stat().st_size
    if size > _BYTES:
        raise UserError(f"{str(path)!r} has {size:,} bytes, too many for a config.")
    with path.open(encoding="utf-8") as file:
        root = yaml.compose(file, Loader=yaml.SafeLoader)
    if root is not None and _unfolded(root, {}) > _NODES:
        raise UserError(
            f"{str(path)!r} unfolds into more than {_NODES:,} values: its aliases name each other."
        )


def _unfolded(node: yaml.Node, known: dict[int, float]) -> float:
    """Values below a node, those behind an alias counted each time; infinite for a circle."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")
        pairs = isinstance(node, yaml.MappingNode)
        parts = [part for pair in node.value for part in pair] if pairs else node.value
        known[id(node)] = 1 + sum(_unfolded(part, known) for part in parts)
    return known[id(node)]


def _unreadable(path: Path, error: Exception) -> UserError:
    mark = getattr(error, "problem_mark", None)
    line = f", line {mark.line + 1}" if mark is not None else ""
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    return UserError(f"{str(path)!r}{line}: {reason}.")
