"""Parts from outside join kdrun's own tables, and say so where they can't."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from kdrun.core.errors import UserError
from kdrun.core.plugins import KINDS, PluginComponents, install_plugins, plugin_modules, table_of
from kdrun.core.registry import check_node, resolve
from kdrun.dataset.table import DATASETS
from kdrun.loss.table import LOSSES

MODULE = """
from typing import Annotated
from pydantic import Field

LOSSES = {"half": "NAME:Half"}

class Half:
    def __init__(self, alpha: Annotated[float, Field(ge=0, le=1)]) -> None:
        self.alpha = alpha
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module that can be imported, and put kdrun's tables back at the end."""
    monkeypatch.syspath_prepend(tmp_path)
    before = [(table, dict(table)) for table in (LOSSES, DATASETS)]

    def module(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text.replace("NAME", name), encoding="utf-8")
        return name

    yield module
    for table, content in before:
        table.clear()
        table.update(content)


@pytest.mark.parametrize("kind", KINDS)
def test_each_table_is_where_plugins_are_told_to_join_it(kind):
    assert isinstance(table_of(kind), dict)


def install(*names: str) -> PluginComponents:
    return install_plugins(plugin_modules(names))


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """What is installed on this machine is no part of the test."""
    points: list[EntryPoint] = []
    monkeypatch.setattr("kdrun.core.plugins.entry_points", lambda group: EntryPoints(points))
    return points


def test_without_plugins_nothing_changes():
    before = dict(LOSSES)
    assert install_plugins({}) == {}
    assert before == LOSSES


def test_a_plugins_part_is_found_and_checked_like_our_own(write):
    assert install(write("plugin_good", MODULE)) == {"loss": {"half"}}
    half = resolve("loss", LOSSES, "half")
    assert half(alpha=0.5).alpha == 0.5
    assert [str(fault) for fault in check_node("loss", {"name": "half", "alpha": 2}, half)] == [
        "loss.alpha: 2 should be less than or equal to 1"
    ]


def test_a_plugin_may_be_installed_twice(write):
    name = write("plugin_twice", MODULE)
    assert install(name) == install(name) == {"loss": {"half"}}


def test_a_plugin_may_have_several_tables(write):
    text = 'LOSSES = {"a": "NAME:A"}\nDATASETS = {"b": "NAME:B"}'
    install(write("plugin_tables", text))
    assert LOSSES["a"] == "plugin_tables:A"
    assert DATASETS["b"] == "plugin_tables:B"


def test_installed_packages_are_found(write, installed):
    write("plugin_package", MODULE)
    installed.append(EntryPoint("my-losses", "plugin_package", "kdrun.plugins"))
    assert plugin_modules(["mine"]) == {"mine": "mine", "my-losses": "plugin_package"}
    install()
    assert LOSSES["half"] == "plugin_package:Half"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1", "the plugin 'plugin_bad' has none of MODELS, LOSSES, SCHEMES, DATASETS,"),
        (
            'LOSSES = {"kd": "NAME:KD"}',
            "the plugin 'plugin_bad' defines a loss 'kd'; that name is taken.",
        ),
        (
            "import nothing_like_this",
            "the plugin 'plugin_bad' can't be imported: No module named 'nothing_like_this'.",
        ),
        ("x = ", "the plugin 'plugin_bad' can't be imported: invalid syntax (plugin_bad.py"),
    ],
)
def test_a_plugin_that_does_not_fit_is_refused(write, monkeypatch, text, sentence):
    name = write("plugin_bad", text)
    monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    with pytest.raises(UserError) as error:
        install(name)
    assert error.value.lines[0].startswith(f"plugins: {sentence}")


def test_a_plugin_that_is_not_there_is_refused():
    with pytest.raises(UserError) as error:
        install("no_such_plugin")
    assert str(error.value) == (
        "plugins: the plugin 'no_such_plugin' can't be imported: No module named"
        " 'no_such_plugin'.\n"
        "  plugins are modules on the Python path: PYTHONPATH=. kdrun plugins=[my_module]"
    )
