"""The section on reproducing a run: command, versions, machine, seed, fingerprints, config."""

from collections.abc import Mapping
from typing import Any

import yaml

from kdrun.compare.report.elements import facts, folded, quiet
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.run_record import RunRecord
from kdrun.compare.report.tables import html_table


def reproduce(record: RunRecord) -> Section:
    """All that the weights of the run depend on, to the last bit, and its config."""
    manifest = record.manifest
    blocks: list[Block] = [
        tag("pre", manifest.get("command", "")),
        quiet(
            "Same command, versions and machine: the same weights, bit for bit. Other versions,"
            " processors or numbers of threads change the last bits."
        ),
        facts(
            {
                "seed": manifest.get("seed"),
                **environment_facts(manifest.get("environment") or {}),
                "arithmetic": manifest.get("hardware"),
                "not exact": "; ".join(manifest.get("inexact") or []),
                "folder": manifest.get("path"),
            }
        ),
        _stages(manifest.get("stages") or {}),
        folded("Config in full", tag("pre", as_yaml(record.config))),
    ]
    return Section("How to reproduce", blocks)


def environment_facts(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Versions and machine of a manifest's `environment`, by the names that the page shows."""
    packages = environment.get("packages") or {}
    return {
        "kdrun": environment.get("kdrun"),
        "git commit": environment.get("git_commit"),
        "Python": environment.get("python"),
        "packages": ", ".join(f"{name} {number}" for name, number in packages.items()),
        "device": environment.get("device"),
        "processor": environment.get("processor"),
        "platform": environment.get("platform"),
    }


def as_yaml(config: Mapping[str, Any]) -> str:
    """The text of a config in YAML."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def _stages(stages: Mapping[str, Any]) -> Markup:
    rows = [
        tag(
            "tr",
            tag("td", name, class_="words key"),
            tag("td", tag("code", stage.get("fingerprint") or "-"), class_="words"),
            tag("td", f"{stage['seconds']:.1f}", data_value=stage["seconds"]),
            tag("td", "from the store" if stage.get("from_store") else "here", class_="words"),
        )
        for name, stage in stages.items()
    ]
    titles = ("stage", "fingerprint in the store", "seconds", "made")
    return html_table(titles, rows, texts=(0, 1, 3))
