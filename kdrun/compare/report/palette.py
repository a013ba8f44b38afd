"""The colors of the light and the dark theme.

Series have a contrast of 3 to 1 or more with the background, and differ also to readers without red
or green cones (CIE76 of the simulation of Machado et al. 2009). Markers and dashes differ as well.
"""

SERIES = 8  # how many series have a color; further ones are grey

LIGHT = {
    "page": "#f5f6f8",
    "card": "#ffffff",
    "ink": "#1c1e24",
    "quiet": "#626773",
    "grid": "#e3e5ea",
    "accent": "#0068b3",
    "good": "#0b7f5c",
    "bad": "#c0392b",
    "rest": "#a9adb8",
    "heat": "#0068b3",
    "loss": "#c85500",
    "on-heat": "#ffffff",
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
    "quiet": "#9aa0ae",
    "grid": "#2a2e37",
    "accent": "#5fa8ff",
    "good": "#35d0a0",
    "bad": "#ff7b6b",
    "rest": "#5d6270",
    "heat": "#4d9dff",
    "loss": "#ff8f3d",
    "on-heat": "#0b0d11",
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
    """The color of a series, counted from 0; grey beyond the last color."""
    return color(f"series-{number + 1}" if number < SERIES else "rest")


def color(name: str) -> str:
    """The CSS value of a color, by its name in the themes."""
    return f"var(--{name})"


def style_of(colors: dict[str, str]) -> str:
    """The CSS declarations of a theme's colors."""
    return "".join(f"--{name}:{value};" for name, value in colors.items())
