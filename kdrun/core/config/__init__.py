"""The typed configuration of a run.

Default values are in conf/; only keys that a node may leave out have one here.
"""

from kdrun.core.config.network import Lora, Network, Student, Taps, Teacher
from kdrun.core.config.recipe import Recipe, Stop, StopWhen, max_steps_note
from kdrun.core.config.root import Config, plain_tree, slug_of
from kdrun.core.config.sections import (
    Compress,
    Evaluate,
    ExportOptions,
    ExportTolerance,
    Latency,
    TeacherOutputs,
)
from kdrun.core.config.types import MISSING, Node

__all__ = [
    "MISSING",
    "Compress",
    "Config",
    "Evaluate",
    "ExportOptions",
    "ExportTolerance",
    "Latency",
    "Lora",
    "Network",
    "Node",
    "Recipe",
    "Stop",
    "StopWhen",
    "Student",
    "Taps",
    "Teacher",
    "TeacherOutputs",
    "max_steps_note",
    "plain_tree",
    "slug_of",
]
