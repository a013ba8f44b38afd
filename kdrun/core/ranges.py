"""Types of numeric settings, named after their range.

pydantic has the common types without an upper bound: PositiveInt, NonNegativeInt, PositiveFloat and
NonNegativeFloat.
"""

from typing import Annotated

from pydantic import Field

UnitInterval = Annotated[float, Field(ge=0, le=1)]  # 0 <= x <= 1
UnitBelowOne = Annotated[float, Field(ge=0, lt=1)]  # 0 <= x < 1
UnitAboveZero = Annotated[float, Field(gt=0, le=1)]  # 0 < x <= 1
OpenUnit = Annotated[float, Field(gt=0, lt=1)]  # 0 < x < 1
Percent = Annotated[float, Field(gt=0, le=100)]  # 0 < x <= 100
AtLeastOne = Annotated[float, Field(ge=1)]  # 1 <= x
Threads = Annotated[int, Field(gt=0, le=1024)]  # far more end the process with a crash
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # as other programs have them, and records keep them
ImageSize = Annotated[int, Field(gt=0, le=16384)]  # pixels of a side
AtLeastTwo = Annotated[int, Field(ge=2)]  # 2, 3, 4, ...
