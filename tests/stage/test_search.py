"""The strongest setting within an allowed drop of validation accuracy."""

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from kdrun.compress.structure_changes import CompressionResult
from kdrun.core.errors import UserError
from kdrun.stage import compress
from kdrun.stage.compress import search_value
from kdrun.stage.search_strength import StrengthSearch
from kdrun.task.classification import CLASSIFICATION


class Artefact:
    """What a search reads of an artefact."""

    record: ClassVar = {"stage": "distill"}

    def network(self) -> float:
        return 0.0


class Silent:
    """In place of a stage context: nothing interrupts, and messages are dropped."""

    data = SimpleNamespace(task=CLASSIFICATION)

    def __getattr__(self, name: str) -> "Silent":
        return self

    def __call__(self, *given: object) -> None:
        return None


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The values that were tried; each costs a tenth of itself in accuracy, above 0.9 too much."""
    values: list[float] = []

    def apply(value: float, *rest: object) -> CompressionResult:
        values.append(value)
        if value > 0.9:
            raise UserError("a layer would keep nothing.")
        return CompressionResult(value)

    monkeypatch.setattr(compress, "_apply", apply)
    monkeypatch.setattr(compress, "_score", lambda value, context: {"accuracy": 0.9 - value / 10})
    return values


def strongest(drop: float, mild: float, strong: float) -> float:
    search = StrengthSearch(drop, "sparsity", mild, strong, lambda value: value)
    return search_value(search, Artefact(), None, Silent())


def test_it_is_as_strong_as_the_drop_allows(tried):
    found = strongest(0.05, 0.0, 0.89)
    assert 0.5 - 0.89 / 2**7 <= found <= 0.5
    assert found in tried


def test_the_strongest_is_taken_at_once_where_it_fits(tried):
    assert strongest(0.2, 0.0, 0.89) == 0.89
    assert tried == [0.89]


def test_a_value_that_cannot_be_does_not_fit(tried):
    assert 0.88 < strongest(0.2, 0.0, 1.0) <= 0.9


def test_the_mildest_is_taken_where_it_alone_fits(tried):
    assert strongest(0.01, 0.1, 0.8) == 0.1


def test_nothing_is_found_where_nothing_fits(tried):
    assert strongest(-0.1, 0.1, 0.8) is None
    assert tried[-1] == 0.1


def test_a_drop_of_exactly_what_is_allowed_fits(tried, monkeypatch):
    def score(value: float, context: Any) -> dict[str, float]:
        return {"accuracy": (13 - (value > 0)) / 100}  # one sample of a hundred is lost

    monkeypatch.setattr(compress, "_score", score)
    assert strongest(0.01, 0.0, 0.8) == 0.8
