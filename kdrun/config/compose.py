"""Hydra over conf/, with everything that can be chosen by name offered to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra

from kdrun.config.choices import conf_folder, offer_models, offer_plugins, offer_steps
from kdrun.config.files import add_folders
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.plugins import install_plugins


@contextmanager
def composing(folders: Sequence[str]) -> Iterator[ConfigLoaderImpl]:
    """Hydra's reader of configs, while it is there.

    Args:
        folders: more folders with groups, from `--config-dir`.

    Raises:
        UserError: there is no such folder.
    """
    offer_models(folders)
    offer_steps()
    with initialize_config_dir(str(conf_folder()), job_name="kdrun", version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        if not isinstance(loader, ConfigLoaderImpl):
            raise TypeError(f"Hydra has another loader: {loader}")
        add_folders(loader, folders)
        yield loader


def named_plugins(words: Sequence[str]) -> list[Fault]:
    """Install the plugins that the words name, before names are looked up, and offer their parts.

    Those that are faulty are found again, among all other faults, when the config is checked.
    """
    given = [word.partition("=")[2] for word in words if word.startswith("plugins=")]
    names = given[-1].strip("[]").split(",") if given else []
    try:
        if install_plugins(name.strip(" '\"") for name in names if name.strip()):
            offer_plugins()
    except ConfigError as error:
        return list(error.faults)
    return []


def quoted(text: str) -> str:
    """A text as a value that Hydra takes for nothing else."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
