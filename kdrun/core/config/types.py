"""The types that sections of the config are made of."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
)
from pydantic_core import PydanticCustomError


def _spelled(pattern: str, said: str) -> Callable[[str], str]:
    """A check that a text fits a pattern, which `said` puts in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise PydanticCustomError("spelling", "should be {said}", {"said": said})
        return text

    return check


_NAME = _spelled(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", "at most 100 letters, digits, . _ and -, no dot first"
)
_DEVICE = _spelled(r"auto|cpu|mps|cuda(:[0-9]+)?", "auto, cpu, mps, cuda or cuda:1")
Name = Annotated[str, AfterValidator(_NAME)]
Device = Annotated[str, AfterValidator(_DEVICE)]
Node = dict[str, Any]
MISSING = "???"  # stands in YAML for a value that must be given


class Section(BaseModel):
    """A part of the config whose keys are all known."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)
