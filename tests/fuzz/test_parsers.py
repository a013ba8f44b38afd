"""Text that is read as words or as a config file gives values or a sentence, whatever it is."""

from collections.abc import Callable
from pathlib import Path

from fuzzer import fuzz
from hypothesis import strategies as st
from test_words import words
from test_yaml import sent

from kdrun.config.files import CheckedFiles
from kdrun.config.overrides import parse_settings
from kdrun.core.errors import UserError


def ends(read: Callable[[], object]) -> str:
    """What is wrong with how reading ended; nothing if it gave values or a sentence."""
    try:
        read()
    except UserError as error:
        return "" if str(error).strip() else "an empty sentence"
    except Exception as error:  # noqa: BLE001 - a fuzzer reports whatever comes
        return f"{type(error).__name__}: {error}"
    return ""


def test_any_words_are_settings_or_refused() -> None:
    given = st.lists(st.one_of(words(), st.text(max_size=30)), max_size=4)
    _, wrong = fuzz(given, lambda given: ends(lambda: parse_settings(given)))
    assert wrong == {}


def test_any_config_file_is_read_or_refused(tmp_path: Path) -> None:
    source = CheckedFiles("command-line", f"file://{tmp_path}")
    text = st.one_of(sent().map(lambda given: given[1]), st.text(max_size=60), st.binary())

    def end_of(given: str | bytes) -> str:
        content = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
        (tmp_path / "mine.yaml").write_bytes(content)
        return ends(lambda: source.load_config("mine"))

    _, wrong = fuzz(text, end_of)
    assert wrong == {}
