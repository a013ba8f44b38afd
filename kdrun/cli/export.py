"""`kdrun export`: writes a network of a finished run to files that run without kdrun."""

import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from kdrun.cli.named_plugins import split_plugins
from kdrun.cli.verb_parser import VerbParser
from kdrun.compare.runs import back_to_start, named_row, named_run
from kdrun.config.loader import find_plugins
from kdrun.core.folder import HOW_TO_RUN, STUDENT_ROW, RunFolder
from kdrun.core.lock import FolderLock
from kdrun.core.plugins import install_plugins, plugins_of_config
from kdrun.core.screen import Screen
from kdrun.export.table import format_faults


def export_run(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun export RUN --to FORMATS`, write to RUN/export, and return the exit status.

    Raises:
        UserError: there is no such run, row or format; the run has no table; an extra is missing.
        ExportRejected: the outputs of a file differ from the network's; other files are written.
    """
    plugins, words = split_plugins(words)
    options = parser().read(words)
    folder = named_run(options.run, "export")
    formats = [name.strip() for name in options.to.split(",")]
    find_plugins(plugins)  # allows the run to import them
    install_plugins(plugins_of_config(folder.config().get("plugins") or []))
    format_faults("--to", formats).raise_if_any()
    row = named_row(folder, options.row)
    folder = back_to_start(folder)
    with FolderLock(folder.path).acquire(wait=False):
        screen.log_to(folder.log)
        try:
            _export(folder, row, _config(folder, formats, options), screen)
        finally:
            screen.log_to(None)
    return 0


def parser() -> VerbParser:
    """Return the parser of the words after the verb."""
    parser = VerbParser("export")
    parser.add_argument("run", nargs="*")
    parser.add_argument("--to", required=True)
    parser.add_argument("--normalize", action="store_true")
    parser.add_argument("--row", default=STUDENT_ROW)
    return parser


def _config(folder: RunFolder, formats: Sequence[str], options: Namespace) -> dict[str, Any]:
    """Return the config of the run with the formats and options of this export."""
    tree = folder.config()
    changes = {"normalize": True} if options.normalize else {}
    return {
        **tree,
        "export": list(formats),
        "export_options": {**tree.get("export_options", {}), **changes},
    }


def _export(folder: RunFolder, row: tuple[str, str], tree: dict[str, Any], screen: Screen) -> None:
    """Export the network of a row, given as (artefact name, fingerprint)."""
    from kdrun.check.finished_run import read_run
    from kdrun.engine.interrupt import Interrupt
    from kdrun.stage.artefact import artefact_of
    from kdrun.stage.export import Exporter
    from kdrun.stage.obtain import record_stage

    started, (name, fingerprint) = time.monotonic(), row
    config, data = read_run(folder, tree)
    artefact = artefact_of(folder, name, fingerprint)
    with Interrupt() as interrupt:
        exporter = Exporter(folder.export, config, data, screen, lambda: interrupt.check("export"))
        exporter.export({name: artefact})
    record_stage(folder, "export", None, time.monotonic() - started, from_store=False)
    screen.say(f"how to run them: {folder.export / HOW_TO_RUN}")
