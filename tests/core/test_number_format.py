"""Numbers in sentences get the unit that fits them."""

import pytest

from kdrun.core.number_format import duration, format_bytes


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.4, "1 s"), (119, "119 s"), (120, "2 min"), (36000, "10.0 h")]
)
def test_a_duration_has_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (812, "812 bytes"), (1000, "1.0 kB"), (3.2e6, "3.2 MB")]
)
def test_a_size_has_the_unit_that_fits(count: float, text: str) -> None:
    assert format_bytes(count) == text
