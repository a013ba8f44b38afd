"""Hydra's loader of config files over conf/, folders of `--config-dir` and parts of plugins."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra

from kdrun.config.choices import conf_folder, offer_models, offer_plugin_parts, offer_steps
from kdrun.config.files import add_folders
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.plugins import install_plugins, plugin_modules


@contextmanager
def hydra_loader(folders: Sequence[str]) -> Iterator[ConfigLoaderImpl]:
    """Initialize Hydra for the time of the context, and yield its loader.

    Args:
        folders: more folders with config groups, from `--config-dir`.

    Raises:
        UserError: a folder does not exist.
    """
    offer_models(folders)
    offer_steps(folders)
    with initialize_config_dir(str(conf_folder()), job_name="kdrun", version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        if not isinstance(loader, ConfigLoaderImpl):
            raise TypeError(f"Hydra has another loader: {loader}")
        add_folders(loader, folders)
        yield loader


def make_loader(folders: Sequence[str] = ()) -> ConfigLoaderImpl:
    """Make a loader that leaves Hydra's global state alone.

    Args:
        folders: more folders with config groups, from `--config-dir`.

    Raises:
        UserError: a folder does not exist.
    """
    loader = ConfigLoaderImpl(create_config_search_path(str(conf_folder())))
    add_folders(loader, folders)
    return loader


def named_plugins(settings: Sequence[str]) -> dict[str, str]:
    """Return the plugins that settings name, and those that are installed.

    Args:
        settings: `key=value` strings; `plugins=[a,b]` names plugins.

    Returns:
        Name of each plugin -> its module.
    """
    values = [setting.partition("=")[2] for setting in settings if setting.startswith("plugins=")]
    names = values[-1].strip("[]").split(",") if values else []
    return plugin_modules(name.strip(" '\"") for name in names if name.strip())


def install_named_plugins(settings: Sequence[str], folders: Sequence[str] = ()) -> list[Fault]:
    """Install the plugins that settings name, and make their parts choices.

    Args:
        settings: `key=value` strings; `plugins=[a,b]` names plugins.
        folders: more folders with config groups, from `--config-dir`.

    Returns:
        Why plugins cannot be installed. The check of the config reports the same faults, together
        with all others.
    """
    try:
        offer_plugin_parts(install_plugins(named_plugins(settings)), folders)
    except ConfigError as error:
        return list(error.faults)
    return []
