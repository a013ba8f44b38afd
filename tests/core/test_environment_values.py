"""What a config reads from environment variables is printed and recorded as a reference."""

from pathlib import Path

import pytest

from kdrun.core import environment_values
from kdrun.core.environment_values import hide, hide_in, names_for_values, remember


@pytest.fixture(autouse=True)
def nothing_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_values, "_read", {})


@pytest.mark.parametrize("value", ["hunter2", "a'b\\c\n", "${x}", "4929-1111", "/no/such/path"])
def test_a_value_is_a_reference_wherever_it_stands(value: str) -> None:
    remember("SECRET", value)
    assert hide(f"before {value}, after {value!r}") == (
        f"before ${{oc.env:SECRET}}, after {repr(value)[0]}${{oc.env:SECRET}}{repr(value)[0]}"
    )
    assert hide_in({"a": [value, 1, None], "b": {"c": f"x{value}"}}) == {
        "a": ["${oc.env:SECRET}", 1, None],
        "b": {"c": "x${oc.env:SECRET}"},
    }
    assert names_for_values(f"run-{value}") == "run-SECRET"


def test_of_two_values_the_longer_is_taken_first() -> None:
    remember("SHORT", "hunter")
    remember("LONG", "hunter2")
    assert hide("hunter2 hunter") == "${oc.env:LONG} ${oc.env:SHORT}"


@pytest.mark.parametrize("value", ["abc", "0.001", "1e-3", "256", "", "x" * 3])
def test_short_values_and_numbers_are_no_secrets(value: str) -> None:
    remember("SETTING", value)
    assert hide(f"lr {value}") == f"lr {value}"


def test_paths_that_are_there_and_what_names_the_user_are_no_secrets(tmp_path: Path) -> None:
    remember("SCRATCH", str(tmp_path))
    remember("USER", "somebody")
    remember("KDRUN_DATA", "pictures")
    text = f"{tmp_path}/runs of somebody with pictures"
    assert hide(text) == text
    remember("TOKEN", "/" + "x" * 5000)  # too long for a path
    assert hide("/" + "x" * 5000) == "${oc.env:TOKEN}"
