"""Finds the modules of a network with a role: stages, embedding, logits."""

from collections.abc import Iterator

from torch import nn

from kdrun.core.layer_list import list_of_layers

_STAGES = {
    "ResNet": ["layer1", "layer2", "layer3", "layer4"],
    "DenseNet": [f"features.denseblock{number}" for number in (1, 2, 3, 4)],
    "ShuffleNetV2": ["stage2", "stage3", "stage4"],
    "RegNet": [f"trunk_output.block{number}" for number in (1, 2, 3, 4)],
    "GoogLeNet": ["conv3", "inception3b", "inception4e", "inception5b"],
    "Inception3": ["Mixed_5d", "Mixed_6e", "Mixed_7c"],
    "MaxVit": [f"blocks.{number}" for number in (0, 1, 2, 3)],
}

# Families that are one sequence of layers -> the path of the sequence.
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
    """Return role -> module paths.

    A path that ends with `:in` means the module's input instead of its output. `:nhwc` means an
    output (B, H, W, C), which taps permute to (B, C, H, W). Stages have outputs (B, C, H, W); those
    of ViT have (B, tokens, C).

    A network may have an attribute `roles` with its paths. This file has the paths of torchvision's
    families. In any other network only the last linear layer is found.

    Returns:
        `stages`, from shallow to deep; `embedding`, the input of the last linear layer; `logits`,
        its output. Without a linear layer the path of the logits is empty: the network itself.
    """
    roles = getattr(network, "roles", None)
    if isinstance(roles, dict):
        return {role: list(paths) for role, paths in roles.items()}
    head = last_linear(network)
    return {
        "stages": _stages(network),
        "embedding": [f"{head}:in"] if head else [],
        "logits": [head or ""],
    }


def layer_list(network: nn.Module) -> str | None:
    """Return the path of the list that holds all stages of a network; None if there is none."""
    return list_of_layers(network, find_roles(network)["stages"])


def last_linear(network: nn.Module) -> str | None:
    """Return the path of the last linear layer, the classifier; None if there is none."""
    linear = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else None


def _stages(network: nn.Module) -> list[str]:
    network_class = type(network)
    if not network_class.__module__.startswith("torchvision.models."):
        return []
    if network_class.__name__ in _STAGES:
        return list(_STAGES[network_class.__name__])
    if network_class.__name__ in _SEQUENCES:
        suffix = ":nhwc" if network_class.__name__ == "SwinTransformer" else ""
        return [path + suffix for path in _last_layers(network, _SEQUENCES[network_class.__name__])]
    if network_class.__name__ == "VisionTransformer":
        layers = network.get_submodule("encoder.layers")
        return [f"encoder.layers.{name}" for name, _ in layers.named_children()]
    return []


def _last_layers(network: nn.Module, path: str) -> Iterator[str]:
    """Yield the last layer of each stage: before each downsampling layer, and the last block.

    After that block come a convolution for the head, its norm or a pooling, which are no stage.

    Args:
        path: the path of a sequence of layers.
    """
    layers = list(network.get_submodule(path).children())
    starts = [number for number, layer in enumerate(layers) if number and _downsamples(layer)]
    yield from (f"{path}.{start - 1}" for start in starts)
    for number in reversed(range(starts[-1], len(layers))):
        if _is_block(layers[number]):
            yield f"{path}.{number}"
            return


def _downsamples(layer: nn.Module) -> bool:
    for module in layer.modules():
        if type(module).__name__.startswith("PatchMerging"):
            return True
        if isinstance(module, nn.Conv2d | nn.MaxPool2d) and module.stride not in (1, (1, 1)):
            return True
    return False


def _is_block(layer: nn.Module) -> bool:
    composite = next(layer.children(), None) is not None
    return composite and type(layer).__name__ != "Conv2dNormActivation"
