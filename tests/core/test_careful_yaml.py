"""Aliases of a YAML file that name each other are refused before they are unfolded."""

from pathlib import Path

import pytest
import yaml

from kdrun.core import limits
from kdrun.core.careful_yaml import read_yaml
from kdrun.core.errors import TooLarge, UserError


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}"])
def test_a_file_that_contains_itself_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "sent.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="unfolds into more than 100,000 values"):
        read_yaml(path.open("rb"))


def test_a_tag_that_calls_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sent.yaml"
    path.write_text(f"a: !!python/object/apply:os.mkdir [{tmp_path / 'hacked'}]")
    with pytest.raises(yaml.YAMLError):
        read_yaml(path.open("rb"))
    assert not (tmp_path / "hacked").exists()


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sent.yaml"
    path.write_text(f"# {'x' * limits.YAML}")
    with pytest.raises(TooLarge):
        read_yaml(path.open("rb"))
