"""Formats numbers of bytes."""


def format_bytes(count: float) -> str:
    """Return a number of bytes as text: `3.2 MB`."""
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95 or unit == "GB":
            break
    return f"{count:.1f} {unit}"
