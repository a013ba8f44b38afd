"""Controls of the table of risks: each is called by its first word there."""

from .control import Control

CONTROLS: list[Control] = []
