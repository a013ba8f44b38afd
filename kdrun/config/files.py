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

from kdrun.core.careful_yaml import refuse_unfolding, unreadable
from kdrun.core.errors import Fault, UserError

CONFIG_DIR = "command-line"  # Hydra's name for the provider of the folder of `--config-dir`
# Keys by which Hydra and logging name something to be called -> what may be.
_CALLED = {
    "_target_": ("hydra._internal.core_plugins.", "hydra_plugins."),
    "()": ("colorlog.",),
    "class": ("logging.",),
}


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
            raise unreadable(path, error) from error


def add_folders(loader: ConfigLoaderImpl, folders: Sequence[str]) -> None:
    """Search these too, after kdrun's own conf/, as Hydra does for `--config-dir`.

    Raises:
        UserError: there is no such folder.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise UserError(f"--config-dir: there is no folder {folder!r}.")
        place = f"file://{Path(folder).absolute()}"
        loader.config_search_path.prepend(CONFIG_DIR, place, SearchPathQuery(provider="schema"))
    loader.repository.initialize_sources(loader.config_search_path)
    loader.repository.sources = [
        CarefulFiles(one.provider, one.path) if one.provider == CONFIG_DIR else one
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
