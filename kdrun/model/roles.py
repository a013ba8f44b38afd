"""Which modules of a network answer a role: its stages, its embedding, its logits."""

from collections.abc import Iterator

from torch import nn

_STAGES = {
    "ResNet": ["layer1", "layer2", "layer3", "layer4"],
    "DenseNet": [f"features.denseblock{number}" for number in (1, 2, 3, 4)],
    "ShuffleNetV2": ["stage2", "stage3", "stage4"],
    "RegNet": [f"trunk_output.block{number}" for number in (1, 2, 3, 4)],
    "GoogLeNet": ["conv3", "inception3b", "inception4e", "inception5b"],
    "Inception3": ["Mixed_5d", "Mixed_6e", "Mixed_7c"],
    "MaxVit": [f"blocks.{number}" for number in (0, 1, 2, 3)],
}

# Families that are one sequence of layers: the path of it.
_SEQUENCES = {
    "AlexNet": "features",
    "ConvNeXt": "features",
    "EfficientNet": "features",
    "MNASNet": "layers",
    "MobileNetV2": "features",
    "MobileNetV3": "features",
    "SqueezeNet": "features",
    "SwinTransformer": "features",
    "VGG": "features",
}


def find_roles(network: nn.Module) -> dict[str, list[str]]:
    """Module paths by role; `:in` after a path means what enters the module, `:nhwc` that it
    answers (B, H, W, C), which taps turn to (B, C, H, W).

    A network names its own in an attribute `roles`; torchvision's families are known here; of any
    other network only the last linear layer is. Stages answer (B, C, H, W), but for ViT:
    (B, tokens, C).

    Returns:
        `stages`, from shallow to deep; `embedding`, what the classifying layer reads; `logits`.
        The path of the logits is empty, for the network itself, where no linear layer gives them.
    """
    own = getattr(network, "roles", None)
    if isinstance(own, dict):
        return {role: list(paths) for role, paths in own.items()}
    head = last_linear(network)
    return {
        "stages": _stages(network),
        "embedding": [f"{head}:in"] if head else [],
        "logits": [head or ""],
    }


def last_linear(network: nn.Module) -> str | None:
    """The path of the last linear layer, which classifies; None where there is none."""
    linear = [path for path, part in network.named_modules() if isinstance(part, nn.Linear)]
    return linear[-1] if linear else None


def _stages(network: nn.Module) -> list[str]:
    kind = type(network)
    if not kind.__module__.startswith("torchvision.models."):
        return []
    if kind.__name__ in _STAGES:
        return list(_STAGES[kind.__name__])
    if kind.__name__ in _SEQUENCES:
        suffix = ":nhwc" if kind.__name__ == "SwinTransformer" else ""
        return [place + suffix for place in _ends(network, _SEQUENCES[kind.__name__])]
    if kind.__name__ == "VisionTransformer":
        layers = network.get_submodule("encoder.layers")
        return [f"encoder.layers.{name}" for name, _ in layers.named_children()]
    return []


def _ends(network: nn.Module, path: str) -> Iterator[str]:
    """The last layer before each that makes the maps smaller, and the last block of all.

    After that block come a convolution for the head, its norm or a pooling, which are no stage.
    """
    layers = list(network.get_submodule(path).children())
    starts = [number for number, layer in enumerate(layers) if number and _shrinks(layer)]
    yield from (f"{path}.{start - 1}" for start in starts)
    for number in reversed(range(starts[-1], len(layers))):
        if _is_block(layers[number]):
            yield f"{path}.{number}"
            return


def _shrinks(layer: nn.Module) -> bool:
    for part in layer.modules():
        if type(part).__name__.startswith("PatchMerging"):
            return True
        pools = isinstance(part, nn.Conv2d | nn.MaxPool2d)
        if pools and part.stride not in (1, (1, 1)):
            return True
    return False


def _is_block(layer: nn.Module) -> bool:
    composite = next(layer.children(), None) is not None
    return composite and type(layer).__name__ != "Conv2dNormActivation"
