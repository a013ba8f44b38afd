"""Resolves references to environment variables, whose values are then kept out of records."""

from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from kdrun.core.environment_values import holds_reference, remember
from kdrun.core.errors import UserError, first_line


def watch_environment() -> None:
    """Make `${oc.env:NAME}` remember what it reads, in this process."""
    OmegaConf.register_new_resolver("oc.env", _read_variable, replace=True)


def resolve_references(node: Any) -> Any:
    """Return a recorded config in which each reference to a variable has the variable's value.

    Raises:
        UserError: a variable is not set.
    """
    if isinstance(node, dict):
        return {key: resolve_references(item) for key, item in node.items()}
    if isinstance(node, list):
        return [resolve_references(item) for item in node]
    if not isinstance(node, str) or not holds_reference(node):
        return node
    try:
        return OmegaConf.create([node])[0]
    except OmegaConfBaseException as error:
        raise UserError(
            f"the recorded config can't be resolved: {first_line(error)}.",
            "  set the variable that the run was started with",
        ) from error


def _read_variable(name: str, *default: str | None) -> str | None:
    """Return the value of a variable, or the default, as OmegaConf's own `oc.env` does."""
    value = oc.env(name, *default)
    if value is not None and (not default or value != default[0]):
        remember(name, value)
    return value
