"""The colors of the light and the dark theme.

A series is a curve, or the points of a model. The colors of series have a contrast of at least
3 to 1 with the background, and color-blind readers can tell them apart (CIE76 distance in the
simulation by Machado et al. 2009). Series also differ in markers and dashes.

The names of the other colors: `card` is the background of a figure, `ink` its text, `muted` less
important text and lines, `uncolored` a series without a color, `positive` and `negative` fill cells
and bars by the sign of their values, and `on-fill` is text on such a cell.
"""

SERIES_COLORS = 8  # how many series have a color; the others are grey

LIGHT = {
    "page": "#f5f6f8",
    "card": "#ffffff",
    "ink": "#1c1e24",
    "muted": "#626773",
    "grid": "#e3e5ea",
    "accent": "#0068b3",
    "good": "#0b7f5c",
    "bad": "#c0392b",
    "uncolored": "#a9adb8",
    "positive": "#0068b3",
    "negative": "#c85500",
    "on-fill": "#ffffff",
    "series-1": "#3a3d46",
    "series-2": "#d95f02",
    "series-3": "#0068b3",
    "series-4": "#109a70",
    "series-5": "#d6619c",
    "series-6": "#3d98d3",
    "series-7": "#6b5900",
    "series-8": "#7a1030",
}
DARK = {
    "page": "#0f1115",
    "card": "#16181d",
    "ink": "#e6e8ee",
    "muted": "#9aa0ae",
    "grid": "#2a2e37",
    "accent": "#5fa8ff",
    "good": "#35d0a0",
    "bad": "#ff7b6b",
    "uncolored": "#5d6270",
    "positive": "#4d9dff",
    "negative": "#ff8f3d",
    "on-fill": "#0b0d11",
    "series-1": "#d5d7de",
    "series-2": "#ff8f3d",
    "series-3": "#4d9dff",
    "series-4": "#35d0a0",
    "series-5": "#d65fb0",
    "series-6": "#9be7ff",
    "series-7": "#f2dc5d",
    "series-8": "#c25565",
}


def series_color(number: int) -> str:
    """Return the color of a series by its number, from 0; grey after the last color."""
    return color(f"series-{number + 1}" if number < SERIES_COLORS else "uncolored")


def color(name: str) -> str:
    """Return the CSS value of a color, given its name in the themes."""
    return f"var(--{name})"


def style_of(colors: dict[str, str]) -> str:
    """Return CSS declarations of the colors of a theme."""
    return "".join(f"--{name}:{value};" for name, value in colors.items())
