"""All negative controls."""

from . import bad_input, faults, found, security, sharing, strangers, texts
from .control import Control

CONTROLS: list[Control] = [
    *faults.CONTROLS,
    *bad_input.CONTROLS,
    *security.CONTROLS,
    *found.CONTROLS,
    *sharing.CONTROLS,
    *strangers.CONTROLS,
    *texts.CONTROLS,
]
