"""Aliases of a YAML file that name each other are refused before they are unfolded."""

from pathlib import Path

import pytest

from kdrun.core.careful_yaml import read_yaml
from kdrun.core.errors import UserError


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}"])
def test_a_file_that_contains_itself_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "sent.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="unfolds into more than 100,000 values"):
        read_yaml(path.open("rb"))
