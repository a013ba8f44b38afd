"""What a record from elsewhere says cannot steer the terminal."""

import json

import pytest
from rich.table import Table

from kdrun.core.control_characters import show_controls
from kdrun.core.errors import UserError
from kdrun.core.screen import Screen, report

HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b\x7f\r\u202eb\u2028\ud800"
SEEN = r"a\u001b[2J\u001b]0;title\u0007\u009b\u007f\r\u202eb\u2028\ud800"


def test_control_characters_are_written_as_json_writes_them():
    assert show_controls(HOSTILE) == SEEN
    assert show_controls("plain \u00e9 \u4e2d\tand\nmore") == "plain \u00e9 \u4e2d\tand\nmore"
    text = json.dumps({"name": HOSTILE}, ensure_ascii=False)
    assert json.loads(show_controls(text)) == {"name": HOSTILE}


def test_no_way_to_print_or_log_lets_a_control_character_through(tmp_path, capsys):
    screen = Screen()
    screen.log_to(tmp_path / "log.txt")
    table = Table()
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    screen.say(HOSTILE)
    screen.warn(HOSTILE)
    screen.show(table)
    screen.note(HOSTILE)
    screen.fail(HOSTILE, HOSTILE)
    printed = capsys.readouterr()
    for text in (printed.out, printed.err, (tmp_path / "log.txt").read_text()):
        assert r"\u001b[2J" in text
        assert show_controls(text) == text


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("kind", [UserError, ValueError])
def test_an_error_and_its_traceback_print_no_control_character(kind, debug, capsys):
    report(kind(HOSTILE), Screen(), debug)
    printed = capsys.readouterr().err
    assert SEEN in printed
    assert show_controls(printed) == printed
