"""The exit statuses: one table in the code, the help and the docs, and no status beside it."""

from importlib import import_module

import pytest
from forked import ROOT

from kdrun.cli.help import HELP
from kdrun.core.errors import KdrunError
from kdrun.core.exit_status import MEANINGS


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_the_docs_have_the_table(name: str) -> None:
    rows = "".join(f"| {status} | {meaning} |\n" for status, meaning in MEANINGS.items())
    assert f"| exit status | meaning |\n|---|---|\n{rows}\n" in (ROOT / name).read_text()


def test_the_help_has_the_table() -> None:
    lines = HELP.partition("Exit status:\n")[2].splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        [str(status), meaning] for status, meaning in MEANINGS.items()
    ]
    assert all(len(line) <= 100 for line in lines)


def test_every_error_ends_with_a_status_of_the_table() -> None:
    import_module("kdrun.dataset.image.feeds")  # has an error of its own
    assert {error.status for error in _kinds(KdrunError)} == set(range(1, 10))


def _kinds(error: type[KdrunError]) -> list[type[KdrunError]]:
    """The class and all below it."""
    return [error, *(kind for child in error.__subclasses__() for kind in _kinds(child))]
