"""timm's networks; they need the extra `timm`."""

from importlib.util import find_spec
from typing import Any

from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.unknown import unknown_name


def build_timm(
    arch: str, num_classes: int, in_channels: int, image_size: tuple[int, int]
) -> nn.Module:
    """Build timm's network `arch`, with new weights.

    Raises:
        UserError: timm is not installed, or has no such network.
    """
    if find_spec("timm") is None:
        raise UserError("timm's networks need an extra.", "  pip install 'kdrun[timm]'")
    import timm

    if not timm.is_model(arch):
        raise unknown_name("network of timm", arch, timm.list_models(), "timm.list_models()")
    settings: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_channels}
    defaults = timm.get_pretrained_cfg(arch, allow_unregistered=True)
    if defaults is not None and defaults.fixed_input_size:
        settings["img_size"] = image_size
    return timm.create_model(arch, pretrained=False, **settings)
