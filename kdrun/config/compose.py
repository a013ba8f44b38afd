"""Hydra over conf/, with everything that can be chosen by name offered to it."""

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
def composing(folders: Sequence[str]) -> Iterator[ConfigLoaderImpl]:
    """Hydra's reader of configs, while it is there.

    Args:
        folders: more folders with groups, from `--config-dir`.

    Raises:
        UserError: there is no such folder.
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
    """A loader of config files for use outside of `composing`.

    Args:
        folders: more folders with config groups, after conf/.
    """
    loader = ConfigLoaderImpl(create_config_search_path(str(conf_folder())))
    add_folders(loader, folders)
    return loader


def install_named_plugins(settings: Sequence[str], folders: Sequence[str] = ()) -> list[Fault]:
    """Install the plugins that a command names, so that their parts can be chosen.

    Args:
        settings: `key=value` words of the command.
        folders: more folders with config groups, from `--config-dir`.

    Returns:
        Why plugins can't be installed. The check of the config finds the same faults again, among
        all others.
    """
    values = [word.partition("=")[2] for word in settings if word.startswith("plugins=")]
    names = values[-1].strip("[]").split(",") if values else []
    modules = plugin_modules(name.strip(" '\"") for name in names if name.strip())
    try:
        offer_plugin_parts(install_plugins(modules), folders)
    except ConfigError as error:
        return list(error.faults)
    return []


def quoted(text: str) -> str:
    """A text as a value that Hydra takes for nothing else."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
