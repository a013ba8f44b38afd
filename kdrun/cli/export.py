"""`kdrun export`: a finished run's networks as files that run without kdrun."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any, NoReturn

from kdrun.compare.runs import back_to_start, named_row, named_run
from kdrun.config.choices import as_of_today
from kdrun.core.errors import ConfigError, UserError
from kdrun.core.folder import HOW_TO_RUN, RunFolder
from kdrun.core.lock import FolderLock
from kdrun.core.screen import Screen
from kdrun.export.table import format_faults

_USAGE = "  kdrun export RUN --to onnx[,pt2] [--normalize] [--row NAME]"
_ROW = "distilled"


def export_run(words: Sequence[str], screen: Screen) -> int:
    """`kdrun export RUN --to onnx[,pt2] [--normalize] [--row NAME]`: into RUN/export/.

    Raises:
        UserError: no run, one without figures yet, no such format or row, or a missing extra.
        ExportRejected: a file doesn't answer as its network; those that do are there.
    """
    asked = _Words(add_help=False, allow_abbrev=False).read(words)
    folder = named_run(asked.run, "export")
    formats = [name.strip() for name in asked.to.split(",")]
    faults = format_faults("--to", formats)
    if faults:
        raise ConfigError(faults)
    row = named_row(folder, asked.row)
    folder = back_to_start(folder)
    with FolderLock(folder.path).acquire(wait=False):
        screen.log_to(folder.log)
        try:
            _export(folder, row, _tree(folder, formats, asked.normalize), screen)
        finally:
            screen.log_to(None)
    return 0


class _Words(ArgumentParser):
    """What may stand after the verb."""

    def read(self, words: Sequence[str]) -> Namespace:
        self.add_argument("run", nargs="*")
        self.add_argument("--to", required=True)
        self.add_argument("--normalize", action="store_true")
        self.add_argument("--row", default=_ROW)
        return self.parse_intermixed_args(list(words))

    def error(self, message: str) -> NoReturn:
        raise UserError(f"export: {message}.", _USAGE)


def _tree(folder: RunFolder, formats: Sequence[str], normalize: bool) -> dict[str, Any]:
    """The run's config with these formats."""
    tree = as_of_today(folder.config())
    options = {**tree["export_options"], **({"normalize": True} if normalize else {})}
    return {**tree, "export": list(formats), "export_options": options}


def _export(folder: RunFolder, row: tuple[str, str], tree: dict[str, Any], screen: Screen) -> None:
    from kdrun.check.preflight import read_run
    from kdrun.engine.interrupt import Interrupt
    from kdrun.stage.artefact import artefact_of
    from kdrun.stage.export import Exporter
    from kdrun.stage.obtain import record_stage

    started, (name, fingerprint) = time.monotonic(), row
    config, data = read_run(tree)
    artefact = artefact_of(folder, name, fingerprint)
    with Interrupt() as interrupt:
        exporter = Exporter(folder.export, config, data, screen, lambda: interrupt.check("export"))
        exporter.export({name: artefact})
    record_stage(folder, "export", None, time.monotonic() - started, shared=False)
    screen.say(f"how to run them: {folder.export / HOW_TO_RUN}")
