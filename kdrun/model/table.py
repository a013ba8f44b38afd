"""Every model of kdrun: its name on the command line -> the class or function that builds it.

torchvision's other classifiers need no line here: torchvision builds them by name.
"""

_RESNET = "kdrun.model.image.resnet:CifarResNet"
_WIDE = "kdrun.model.image.wide_resnet:WideResNet"
_VGG = "kdrun.model.image.vgg:build_vgg"
_TORCHVISION = "kdrun.model.image.torchvision_models:build_torchvision"

MODELS = {
    "mlp": "kdrun.model.image.mlp:MLP",
    "lenet5": "kdrun.model.image.lenet5:LeNet5",
    "alexnet": "kdrun.model.image.alexnet:build_alexnet",
    "vgg8": _VGG,
    "vgg11": _VGG,
    "vgg13": _VGG,
    "vgg16": _VGG,
    "vgg19": _VGG,
    "resnet8": _RESNET,
    "resnet14": _RESNET,
    "resnet20": _RESNET,
    "resnet32": _RESNET,
    "resnet44": _RESNET,
    "resnet56": _RESNET,
    "resnet110": _RESNET,
    "resnet8x0_375": _RESNET,
    "resnet8x4": _RESNET,
    "resnet32x4": _RESNET,
    "wrn_16_1": _WIDE,
    "wrn_16_2": _WIDE,
    "wrn_40_1": _WIDE,
    "wrn_40_2": _WIDE,
    "mobilenet_v2_x0_5": "kdrun.model.image.mobilenet:SmallMobileNetV2",
    "shufflenet_v1": "kdrun.model.image.shufflenet:ShuffleNetV1",
    "shufflenet_v2": "kdrun.model.image.shufflenet:SmallShuffleNetV2",
    "resnet18": _TORCHVISION,
    "resnet34": _TORCHVISION,
    "resnet50": _TORCHVISION,
    "resnet101": _TORCHVISION,
    "resnet152": _TORCHVISION,
    "timm": "kdrun.model.image.timm_models:build_timm",
    "text_bag": "kdrun.model.text.bag:TextBag",
    "text_cnn": "kdrun.model.text.cnn:TextCNN",
    "text_cnn_small": "kdrun.model.text.cnn:TextCNN",
    "text_lstm": "kdrun.model.text.lstm:TextLSTM",
    "hf": "kdrun.model.text.hf:build_hf",
    "text_transformer": "kdrun.model.text.transformer:TextTransformer",
}

# Networks made of other networks, for schemes and losses; they can't be chosen by name.
COMPOSED = {
    "committee": "kdrun.model.committee:build_committee",
    "reused_head": "kdrun.model.reused_head:build_reused_head",
}

# Networks whose list of `stages` changed -> its revision: losses that read them changed, too.
STAGE_REVISIONS = {"vgg8": 2, "vgg11": 2, "vgg13": 2, "vgg16": 2, "vgg19": 2}
