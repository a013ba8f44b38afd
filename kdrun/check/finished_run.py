"""Reads the config and the data of a finished run."""

from collections.abc import Mapping
from typing import Any

from kdrun.check.components import check_components
from kdrun.check.data import load_data
from kdrun.check.typed_config import read_config
from kdrun.config.concept_maps import with_concepts
from kdrun.config.older_runs import with_new_keys
from kdrun.core.config import Config, plain_tree
from kdrun.core.faults import Faults
from kdrun.core.folder import RunFolder
from kdrun.core.plugin_code import plugin_codes, refuse_changed_code
from kdrun.core.plugins import install_plugins, plugins_of_config
from kdrun.dataset.data import Data
from kdrun.run.environment import refuse_changes
from kdrun.scheme.table import make_scheme
from kdrun.stage.base import MAIN


def read_run(folder: RunFolder, tree: Mapping[str, Any]) -> tuple[Config, Data]:
    """Return the typed config of a finished run, and the data that its models were tested on.

    The teacher's source and the device of the run need not exist any more.

    Args:
        folder: the folder of the run.
        tree: the resolved config, as the run recorded it; some settings may be changed.

    Raises:
        ConfigError: the config has faults, or files of the dataset are missing.
        UserError: the config, or the code of a plugin, was changed since the run.
    """
    manifest = folder.manifest()
    refuse_changes(folder, manifest.get("config") or {}, with_new_keys(folder.config()))
    faults = Faults()
    tree, map_faults = with_concepts(plain_tree(with_new_keys(tree)))
    faults.extend(map_faults)
    config = read_config(tree, faults)
    faults.raise_if_any()
    modules = plugins_of_config(config.plugins)
    install_plugins(modules)
    recorded = manifest.get("plugins") or {}
    refuse_changed_code(recorded, plugin_codes(modules, tree), folder.path)
    check_components(tree, faults)
    faults.raise_if_any()
    scheme = make_scheme(config.scheme)
    data = load_data(config.dataset, scheme.networks(config).values())
    return config, scheme.datasets(config, data)[MAIN]
