"""The last section of a run's page: command, versions, machine, seed, fingerprints, config."""

from collections.abc import Mapping
from typing import Any

import yaml

from kdrun.compare.report.elements import facts, folded, muted_text
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.run_record import RunRecord
from kdrun.compare.report.tables import html_table


def reproduce(record: RunRecord) -> Section:
    """Show everything that determines the weights of the run bit for bit, and the config."""
    manifest = record.manifest
    blocks: list[Block] = [
        tag("pre", manifest.get("command", "")),
        muted_text(
            "The same command, versions and machine give the same weights, bit for bit. Other"
            " versions, processors or numbers of threads change the last bits."
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
        _stages_table(manifest.get("stages") or {}),
        folded("Config in full", tag("pre", as_yaml(record.config))),
    ]
    return Section("How to reproduce", blocks)


def environment_facts(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return versions and machine of a manifest's `environment`, keyed by the names on the page."""
    packages = environment.get("packages") or {}
    return {
        "kdrun": environment.get("kdrun"),
        "git commit": environment.get("git_commit"),
        "Python": environment.get("python"),
        "packages": ", ".join(f"{name} {number}" for name, number in packages.items()),
        "device": environment.get("device"),
        "processor": environment.get("processor"),
        "instructions": environment.get("instructions"),
        "platform": environment.get("platform"),
    }


def as_yaml(config: Mapping[str, Any]) -> str:
    """Return a config as YAML."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def _stages_table(stages: Mapping[str, Any]) -> Markup:
    """Return a table of the stages: fingerprint, seconds, and whether the stage was computed."""
    rows = [
        tag(
            "tr",
            tag("td", name, class_="words key"),
            tag("td", tag("code", stage.get("fingerprint") or "-"), class_="words"),
            tag("td", f"{stage['seconds']:.1f}", data_value=stage["seconds"]),
            tag(
                "td",
                "loaded from the store" if stage.get("from_store") else "computed by this run",
                class_="words",
            ),
        )
        for name, stage in stages.items()
    ]
    titles = ("stage", "fingerprint in the store", "seconds", "origin")
    return html_table(titles, rows, texts=(0, 1, 3))
