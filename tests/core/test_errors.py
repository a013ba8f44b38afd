"""The first line of another library's error becomes a clause of a message."""

import pytest

from kdrun.core.errors import first_line


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("no memory.\nin a file", "no memory"),
        ("\n  no memory", "no memory"),
        ("", "ValueError"),
        ("\n", "ValueError"),
    ],
)
def test_the_first_line_of_any_error_is_not_empty(message: str, line: str) -> None:
    assert first_line(ValueError(message)) == line
