"""How to get the same figures again: command, versions, machine, commit, seed, fingerprints."""

from collections.abc import Mapping
from typing import Any

import yaml

from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Section, table
from kdrun.compare.report.run_record import Record
from kdrun.compare.report.tables import facts, folded, quiet


def reproduce(record: Record) -> Section:
    """Everything that the run's bits depend on, and its whole config."""
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
                **surroundings(manifest.get("environment") or {}),
                "arithmetic": manifest.get("hardware"),
                "not exact": "; ".join(manifest.get("inexact") or []),
                "folder": manifest.get("path"),
            }
        ),
        _stages(manifest.get("stages") or {}),
        folded("Config in full", tag("pre", written(record.config))),
    ]
    return Section("How to reproduce", blocks)


def surroundings(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Versions and machine, as names and values."""
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


def written(config: Mapping[str, Any]) -> str:
    """A config as YAML."""
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
    heads = ("stage", "fingerprint in the store", "seconds", "made")
    return table(heads, rows, words=(0, 1, 3))
