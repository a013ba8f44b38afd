"""Types of the values in the config."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
)
from pydantic_core import PydanticCustomError


def _matches(pattern: str, description: str) -> Callable[[str], str]:
    """Return a validator for texts that match a pattern; the description is for its message."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise PydanticCustomError("spelling", "should be {form}", {"form": description})
        return text

    return check


_NAME = _matches(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", "at most 100 letters, digits, . _ and -, no dot first"
)
_DEVICE = _matches(r"auto|cpu|mps|cuda(:[0-9]+)?", "auto, cpu, mps, cuda or cuda:1")
Name = Annotated[str, AfterValidator(_NAME)]
Device = Annotated[str, AfterValidator(_DEVICE)]
Node = dict[str, Any]
MISSING = "???"  # YAML: the user must set this value


class Section(BaseModel):
    """A mapping in the config with a fixed set of keys; other keys are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)
