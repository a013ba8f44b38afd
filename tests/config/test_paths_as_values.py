"""A path of what is there may be typed as it is, whatever its characters mean to Hydra."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from kdrun.config.command import read_command
from kdrun.config.overrides import quote, translate_settings

NAMES = [
    *(
        "ünï",
        "日本",
        "qu'ote",
        '"dq"',
        "br[1]",
        "do$lar",
        "${seed}",
        "$${x}",
        "a\\${x}",
        "a b",
        "c,d",
    ),
    *("{x}", "e=f", "p(q)", "#h", "x:y", "back\\slash", "\\\\srv", "tail\\", "a\\'b", "~t", "!x"),
    *(";s", "&a", "<b>", "-", "@at"),
]


def value_of(setting: str) -> object:
    (override,) = OverridesParser.create().parse_overrides([setting])
    return OmegaConf.create({"value": override.value()}).value


def typed(setting: str) -> object:
    (translated,) = translate_settings(read_command([setting])).settings
    return value_of(translated)


@pytest.mark.parametrize("name", NAMES)
def test_a_quoted_text_is_read_as_it_is(name: str) -> None:
    assert value_of(f"key={quote(name)}") == name


@pytest.mark.parametrize("name", NAMES)
def test_a_path_that_is_there_is_read_as_it_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs", name).mkdir(parents=True)
    assert typed(f"teacher.run=runs/{name}") == f"runs/{name}"


def test_a_tilde_is_the_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert typed("output_root=~/new runs") == f"{tmp_path}/new runs"


def test_a_list_is_one_where_a_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("[8]").touch()
    assert typed("student.hidden=[8]") == [8]
    assert typed("dataset.root=" + "x" * 5000) == "x" * 5000
