"""Formats numbers, words and other values for tables and sentences."""

from typing import Any

_MAX_LETTERS = 80  # of a value that a message repeats


def format_value(value: Any) -> str:
    """Return a value as configs and JSON files spell it; long values are cut."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _MAX_LETTERS else f"{text[: _MAX_LETTERS - 4]} ..."


def count(number: float) -> str:
    """Return a number with three digits and a letter for its thousands: `1.23 M`."""
    for unit in ("", "k", "M", "G", "T"):
        if abs(number) < 999.5 or unit == "T":
            break
        number /= 1000
    digits = f"{number:.0f}" if not unit or number >= 99.95 else f"{number:.3g}"
    return f"{digits} {unit}".strip()


def format_bytes(count: float) -> str:
    """Return a number of bytes as text: `812 bytes`, `3.2 MB`."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95 or unit == "GB":
            break
    return f"{count:.1f} {unit}"


def many(number: int, what: str) -> str:
    """Return a number with its noun, in the plural where needed: `1 run`, `1,000 runs`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def capitalize(sentence: str) -> str:
    """Return a sentence with its first letter in upper case and the others as they are."""
    return f"{sentence[0].upper()}{sentence[1:]}"


def milliseconds(time: float) -> str:
    return f"{time:.{3 if time < 0.1 else 2 if time < 10 else 1 if time < 100 else 0}f}"


def seconds(time: float) -> str:
    return f"{time:.{1 if time < 10 else 0}f}"


def duration(time: float) -> str:
    """Return seconds as text, in the unit that fits them: `90 s`, `45 min`, `2.5 h`."""
    if time < 120:
        return f"{time:.0f} s"
    return f"{time / 60:.0f} min" if time < 7200 else f"{time / 3600:.1f} h"


def nats(value: float) -> str:
    return f"{value:.3f}" if value < 1000 else f"{value:.1e}"


def share_or_none(share: float | None) -> str:
    return "-" if share is None else percent(share)


def percent(share: float) -> str:
    return f"{100 * share:.2f}"
