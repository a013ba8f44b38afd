"""Reads config files of a `--config-dir` safely: they may be foreign, so no code in them is run."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import SearchPathQuery
from hydra.plugins.config_source import ConfigResult
from omegaconf.errors import OmegaConfBaseException

from kdrun.core.careful_yaml import read_yaml, yaml_error
from kdrun.core.errors import UserError
from kdrun.core.reading import open_named

CONFIG_DIR = "command-line"  # Hydra's name for the provider of the folder of `--config-dir`


class CheckedFiles(FileConfigSource):
    """A folder of YAML files whose errors name the file and the line."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file.

        Raises:
            UserError: the file is not YAML, has a tag that calls code, or has aliases that expand
                to more text than fits into memory.
        """
        path = Path(self.path, self._normalize_file_name(config_path))
        try:
            read_yaml(open_named(path))
            return super().load_config(config_path)
        except (yaml.YAMLError, OmegaConfBaseException, ValueError, OSError) as error:
            raise yaml_error(path, error) from error


def add_folders(loader: ConfigLoaderImpl, folders: Sequence[str]) -> None:
    """Add folders to the search path of a loader after conf/, as Hydra does for `--config-dir`.

    Raises:
        UserError: a folder does not exist.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise UserError(f"there is no folder {folder!r} with config files.")
        address = f"file://{Path(folder).absolute()}"
        loader.config_search_path.prepend(CONFIG_DIR, address, SearchPathQuery(provider="schema"))
    loader.repository.initialize_sources(loader.config_search_path)
    loader.repository.sources = [
        CheckedFiles(source.provider, source.path) if source.provider == CONFIG_DIR else source
        for source in loader.repository.sources
    ]
