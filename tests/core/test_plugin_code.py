"""The code of a plugin is known again by a hash of its source files."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kdrun.core.errors import UserError
from kdrun.core.plugin_code import PluginCode, plugin_codes, refuse_changed_code, words_of

TABLE = 'LOSSES = {"half": "half_loss:Half"}\n'
CONFIG = {"loss": {"name": "combined", "terms": {"half": {"alpha": 0.5}}}}

Digest = Callable[[], str]


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digest:
    """The hash of the plugin `half_loss` in the test's folder, as a new process computes it."""
    monkeypatch.syspath_prepend(tmp_path)

    def compute() -> str:
        for name in [name for name in sys.modules if name.startswith("half_")]:
            del sys.modules[name]
        sys.path_importer_cache.clear()
        __import__("half_loss")
        return plugin_codes({"half_loss": "half_loss"}, CONFIG)["half_loss"].digest

    return compute


def test_an_edited_module_has_another_hash(tmp_path: Path, digest: Digest) -> None:
    module = tmp_path / "half_loss.py"
    module.write_text(TABLE)
    before = digest()
    assert digest() == before
    module.write_text(TABLE + "x = 1\n")
    assert digest() != before


def test_modules_that_a_plugin_imports_from_its_folder_count(
    tmp_path: Path, digest: Digest
) -> None:
    (tmp_path / "half_loss.py").write_text(TABLE + "from half_helper import x\nimport torch\n")
    (tmp_path / "half_helper.py").write_text("def x(): import half_blocks.inner\n")
    (tmp_path / "half_blocks").mkdir()
    (tmp_path / "half_blocks" / "inner.py").write_text("x = 1\n")
    (tmp_path / "half_unused.py").write_text("x = 1\n")
    hashes = [digest()]
    for name in ("half_helper.py", "half_blocks/inner.py"):
        (tmp_path / name).write_text("def x(): import half_blocks\n")
        hashes.append(digest())
    assert len(set(hashes)) == 3
    (tmp_path / "half_unused.py").write_text("x = 2\n")
    assert digest() == hashes[-1]


def test_all_files_of_a_package_count(tmp_path: Path, digest: Digest) -> None:
    package = tmp_path / "half_loss"
    package.mkdir()
    (package / "__init__.py").write_text(TABLE)
    before = digest()
    (package / "later.py").write_text("not python (")
    assert digest() != before


def test_a_module_that_is_only_listed_counts(tmp_path: Path, digest: Digest) -> None:
    (tmp_path / "half_loss.py").write_text('LOSSES = {"half": "half_other:Half"}\n')
    (tmp_path / "half_other.py").write_text("x = 1\n")
    before = digest()
    (tmp_path / "half_other.py").write_text("x = 2\n")
    assert digest() != before


def test_an_edit_after_the_import_does_not_count_in_the_same_process(
    tmp_path: Path, digest: Digest
) -> None:
    (tmp_path / "half_loss.py").write_text(TABLE)
    before = digest()
    (tmp_path / "half_loss.py").write_text(TABLE + "x = 1\n")
    codes = plugin_codes({"half_loss": "half_loss"}, CONFIG)
    assert codes["half_loss"] == PluginCode(frozenset({"half"}), before)


def test_plugins_that_a_config_does_not_use_are_left_out(tmp_path: Path, digest: Digest) -> None:
    (tmp_path / "half_loss.py").write_text(TABLE)
    assert digest()
    assert plugin_codes({"half_loss": "half_loss"}, {"loss": {"name": "kd"}}) == {}
    assert plugin_codes({"missing": "no_such_module"}, CONFIG) == {}


def test_words_are_keys_and_values_at_any_depth() -> None:
    assert words_of({"a": [{"b": "c"}, ("d", 1)], "e": None}) == {"a", "b", "c", "d", "e"}


def test_changed_code_is_refused() -> None:
    codes = {"mine": PluginCode(frozenset({"half"}), "2")}
    refuse_changed_code({"mine": "2", "other": "3"}, codes, Path("run"))
    refuse_changed_code({}, codes, Path("run"))
    with pytest.raises(UserError) as error:
        refuse_changed_code({"mine": "1"}, codes, Path("run"))
    assert str(error.value) == (
        "the code of the plugin 'mine' is not the one that the run in 'run' began with.\n"
        "  undo the change, or start a new run with it"
    )
