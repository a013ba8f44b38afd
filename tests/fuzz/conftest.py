"""Says of each fuzzer how many examples it tried, for `python -m tests.reliability`."""

from collections.abc import Callable, Iterator

import pytest
from fuzzer import counts


@pytest.fixture(autouse=True)
def count_examples(record_property: Callable[[str, int], None]) -> Iterator[None]:
    counts.clear()
    yield
    record_property("examples", sum(counts))
