"""Hydra's config loader, which also reads `--config-dir`, and the registration of plugins.

Plugins are Python modules that add components to kdrun, such as losses or models.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from kdrun.config.choices import (
    conf_folder,
    register_models,
    register_plugin_components,
    register_steps,
)
from kdrun.config.command import listed
from kdrun.config.environment_references import watch_environment
from kdrun.config.files import add_folders
from kdrun.config.foreign_code import refuse_foreign_code
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.plugins import install_plugins, plugin_modules


class CheckedLoader(ConfigLoaderImpl):
    """Composes the configs of a sweep's jobs, and refuses those that would run foreign code."""

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Return the config of a job, as Hydra's launchers ask for it.

        Raises:
            ConfigError: the config would run foreign code.
        """
        config = super().load_sweep_config(master_config, sweep_overrides)
        refuse_foreign_code(config)
        return config


@contextmanager
def hydra_loader(folders: Sequence[str]) -> Iterator[ConfigLoaderImpl]:
    """Return a context manager that initializes Hydra and yields its config loader.

    Args:
        folders: more folders with config groups, from `--config-dir`.

    Raises:
        UserError: a folder does not exist.
    """
    watch_environment()
    register_models(folders)
    register_steps(folders)
    with initialize_config_dir(str(conf_folder()), job_name="kdrun", version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        if not isinstance(loader, ConfigLoaderImpl):
            raise TypeError(f"Hydra has another loader: {loader}")
        add_folders(loader, folders)
        yield loader


def make_loader(folders: Sequence[str] = ()) -> ConfigLoaderImpl:
    """Return a config loader without changing Hydra's global state.

    Args:
        folders: more folders with config groups, from `--config-dir`.

    Raises:
        UserError: a folder does not exist.
    """
    watch_environment()
    loader = CheckedLoader(create_config_search_path(str(conf_folder())))
    add_folders(loader, folders)
    return loader


def find_plugins(settings: Sequence[str]) -> dict[str, str]:
    """Return the plugins that the settings name, and the plugins that pip has installed.

    Args:
        settings: `key=value` strings; `plugins=[a,b]` names plugins.

    Returns:
        Name of each plugin -> its module.
    """
    return plugin_modules(listed(settings, "plugins"))


def install_named_plugins(settings: Sequence[str], folders: Sequence[str] = ()) -> list[Fault]:
    """Add the components of all plugins to kdrun's tables, and register them as choices.

    Args:
        settings: `key=value` strings; `plugins=[a,b]` names plugins.
        folders: more folders with config groups, from `--config-dir`.

    Returns:
        Faults of plugins that can't be imported or added. The check of the config reports these
        faults again, together with all others.
    """
    try:
        register_plugin_components(install_plugins(find_plugins(settings)), folders)
    except ConfigError as error:
        return list(error.faults)
    return []
