"""What each column of a run's tables shows, for the terminal and for pages."""

from collections.abc import Callable, Mapping
from typing import Any

from kdrun.compare.figures import (
    EAGER,
    Row,
    count,
    epochs_of,
    milliseconds,
    nats,
    percent,
    seconds,
    share_or_none,
)

Column = tuple[str, Callable[[Row], str]]

MODEL: Column = ("model", lambda row: row["model"])
_TOP1: Column = (
    "top-1\n%",
    lambda row: f"{percent(row['accuracy'])} ±{percent(row['accuracy_half_width'])}",
)
F1: Column = ("F1\n%", lambda row: percent(row["f1"]))
NETWORK: Column = ("network", lambda row: row["name"])
_QUALITY: list[Column] = [
    _TOP1,
    ("top-5\n%", lambda row: percent(row["top5"])),
    ("precision\n%", lambda row: percent(row["precision"])),
    ("recall\n%", lambda row: percent(row["recall"])),
    F1,
    ("NLL\n", lambda row: nats(row["nll"])),
    ("ECE\n%", lambda row: percent(row["ece"])),
    ("agrees\n%", lambda row: share_or_none(row["agreement"])),
]
COST: list[Column] = [
    ("para-\nmeters", lambda row: count(row["parameters"])),
    ("MACs\n", lambda row: count(row["macs"])),
    ("disk\nbytes", lambda row: count(row["bytes"])),
    ("median\nms", lambda row: _time(row, "median_ms")),
    ("p95\nms", lambda row: _time(row, "p95_ms")),
    ("epochs\n", lambda row: epochs_of(row) or "-"),
    ("trained\ns", lambda row: "-" if row["seconds"] is None else seconds(row["seconds"])),
]
STEP: list[Column] = [
    (
        "top-1\npoints",
        lambda row: "{:+.2f} ({:+.2f} to {:+.2f})".format(
            *(100 * row["versus"][key] for key in ("accuracy", "low", "high"))
        ),
    ),
    ("F1\npoints", lambda row: f"{100 * row['versus']['f1']:+.2f}"),
    ("agrees\n%", lambda row: percent(row["versus"]["agreement"])),
    ("non-zero\nparameters", lambda row: count(row["nonzero"])),
    ("MACs\nfewer", lambda row: f"{row['versus']['macs']:.2f}x"),
    ("bytes\nfewer", lambda row: f"{row['versus']['bytes']:.2f}x"),
    ("faster\n", lambda row: _faster(row)),
]


def quality(summary: Mapping[str, Any]) -> list[Column]:
    """The figures of the answers; macro F1 leads where classes were merged into concepts."""
    if not summary.get("concepts"):
        return _QUALITY
    return [F1, *(column for column in _QUALITY if column is not F1)]


def of_domain(name: str) -> list[Column]:
    """The figures of the answers to images of another kind."""

    def of(render: Callable[[Row], str]) -> Callable[[Row], str]:
        return lambda row: render(row["domains"][name])

    return [(title, of(render)) for title, render in _QUALITY]


def _time(row: Row, key: str) -> str:
    """Milliseconds, marked where they are of another runtime than PyTorch's own."""
    latency = row["latency"]
    if latency is None:
        return "-"
    mark = "*" if latency.get("runtime", EAGER) != EAGER else ""
    return f"{milliseconds(latency[key])}{mark}"


def _faster(row: Row) -> str:
    faster, latency = row["versus"]["latency"], row["latency"]
    if faster is None:
        return "-"
    mark = "*" if latency.get("runtime", EAGER) != EAGER else ""
    return f"{faster:.2f}x{mark}"
