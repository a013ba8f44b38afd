"""What each column of a run's tables shows, for the terminal and for pages."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kdrun.compare.columns import Column
from kdrun.compare.number_format import (
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

MODEL = Column("model", lambda row: row["model"], words=True)
_TOP1 = Column(
    "top-1\n%",
    lambda row: f"{percent(row['accuracy'])} ±{percent(row['accuracy_half_width'])}",
)
_F1 = Column("F1\n%", lambda row: percent(row["f1"]))
NETWORK = Column("network", lambda row: row["name"], words=True)
_QUALITY: list[Column] = [
    _TOP1,
    Column("top-5\n%", lambda row: percent(row["top5"])),
    Column("precision\n%", lambda row: percent(row["precision"])),
    Column("recall\n%", lambda row: percent(row["recall"])),
    _F1,
    Column("NLL\n", lambda row: nats(row["nll"])),
    Column("ECE\n%", lambda row: percent(row["ece"])),
    Column("agrees\n%", lambda row: share_or_none(row["agreement"])),
]
COST: list[Column] = [
    Column("para-\nmeters", lambda row: count(row["parameters"])),
    Column("MACs\n", lambda row: count(row["macs"])),
    Column("disk\nbytes", lambda row: count(row["bytes"])),
    Column("median\nms", lambda row: _time(row, "median_ms")),
    Column("p95\nms", lambda row: _time(row, "p95_ms")),
    Column("epochs\n", lambda row: epochs_of(row) or "-"),
    Column("trained\ns", lambda row: "-" if row["seconds"] is None else seconds(row["seconds"])),
]
STEP: list[Column] = [
    Column(
        "top-1\npoints",
        lambda row: "{:+.2f} ({:+.2f} to {:+.2f})".format(
            *(100 * row["versus"][key] for key in ("accuracy", "low", "high"))
        ),
    ),
    Column("F1\npoints", lambda row: f"{100 * row['versus']['f1']:+.2f}"),
    Column("agrees\n%", lambda row: percent(row["versus"]["agreement"])),
    Column("non-zero\nparameters", lambda row: count(row["nonzero"])),
    Column("MACs\nfewer", lambda row: f"{row['versus']['macs']:.2f}x"),
    Column("bytes\nfewer", lambda row: f"{row['versus']['bytes']:.2f}x"),
    Column("faster\n", lambda row: _faster(row)),
]


def quality(summary: Mapping[str, Any]) -> list[Column]:
    """The figures of the answers; macro F1 leads where classes were merged into concepts."""
    if not summary.get("concepts"):
        return _QUALITY
    return [replace(_F1, bold=True), *(column for column in _QUALITY if column is not _F1)]


def of_domain(name: str) -> list[Column]:
    """The figures of the answers to images of another kind."""

    def of(render: Callable[[Row], str]) -> Callable[[Row], str]:
        return lambda row: render(row["domains"][name])

    return [replace(column, text=of(column.text)) for column in _QUALITY]


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
