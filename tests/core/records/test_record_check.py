"""Records that were read from files are checked against their types."""

from typing import Any, Literal, NotRequired, TypedDict

import pytest

from kdrun.core.errors import DamagedFile
from kdrun.core.records.check import Count, check_record


class Inner(TypedDict):
    share: float | None


class Outer(TypedDict):
    name: str
    count: int
    flag: NotRequired[bool]
    split: NotRequired[Literal["train", "test"]]
    inner: NotRequired[Inner | None]
    by_name: NotRequired[dict[str, Inner]]
    items: NotRequired[list[Inner]]
    anything: NotRequired[Any]
    size: NotRequired[Count]


SMALL = {"name": "a", "count": 1}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"unknown": object()},
        {"size": 0},
        {"flag": True, "split": "test", "inner": None, "anything": object()},
        {"inner": {"share": 1}, "by_name": {"x": {"share": 0.5}}, "items": [{"share": None}]},
    ],
)
def test_a_record_of_the_right_types_is_returned(values):
    record = {**SMALL, **values}
    assert check_record(record, Outer, "file") is record


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"name": 1}, "1 for 'name', not a text"),
        ({"count": True}, "true for 'count', not a whole number"),
        ({"count": 1.5}, "1.5 for 'count', not a whole number"),
        ({"size": -1}, "-1 for 'size', not a whole number, 0 or more"),
        ({"size": True}, "true for 'size', not a whole number, 0 or more"),
        ({"flag": 0}, "0 for 'flag', not true or false"),
        ({"split": "x"}, "'x' for 'split', not 'train' or 'test'"),
        ({"split": []}, "[] for 'split', not 'train' or 'test'"),
        ({"inner": []}, "[] for 'inner', not a mapping"),
        ({"inner": {"share": "x"}}, "'x' for 'inner.share', not a number or null"),
        ({"by_name": {"x": {}}}, "no 'by_name.x.share'"),
        ({"items": [{"share": 1}, {"share": {}}]}, "{} for 'items.1.share', not a number or null"),
        ({"name": ["x" * 90]}, f"['{'x' * 74} ... for 'name', not a text"),
    ],
)
def test_a_wrong_type_is_one_sentence_that_names_the_key(values, reason):
    with pytest.raises(DamagedFile) as error:
        check_record({**SMALL, **values}, Outer, "file")
    assert error.value.lines == (f"'file' has {reason}.",)


def test_a_missing_key_is_named():
    with pytest.raises(DamagedFile, match="'file' has no 'count'"):
        check_record({"name": "a"}, Outer, "file")
