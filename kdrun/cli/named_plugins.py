"""The words `plugins=[MODULE]` of verbs that take no other settings."""

from collections.abc import Sequence


def split_plugins(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that start with `plugins=`, and the other words."""
    plugins = [word for word in words if word.startswith("plugins=")]
    return plugins, [word for word in words if word not in plugins]


def install_named_tasks(words: Sequence[str]) -> list[str]:
    """Add the plugins that words name, for the metrics of their tasks; return the other words.

    Raises:
        UserError: a plugin can't be imported or added.
    """
    plugins, others = split_plugins(words)
    if plugins:  # its imports take longer than to compare runs
        from kdrun.config.loader import find_plugins
        from kdrun.core.plugins import install_plugins

        install_plugins(find_plugins(plugins))
    return others
