"""The compression steps: name on the command line -> "module:class"."""

STEPS = {
    "distill": "kdrun.step.training:Distill",
    "finetune": "kdrun.step.training:Finetune",
    "low_rank": "kdrun.step.low_rank:LowRank",
    "prune_channels": "kdrun.step.prune_channels:PruneChannels",
    "prune_feed_forward": "kdrun.step.prune_encoder:PruneFeedForward",
    "prune_heads": "kdrun.step.prune_encoder:PruneHeads",
    "prune_layers": "kdrun.step.prune_encoder:PruneLayers",
    "prune_vocabulary": "kdrun.step.prune_vocabulary:PruneVocabulary",
    "prune_weights": "kdrun.step.prune_weights:PruneWeights",
    "qat": "kdrun.step.quantize:QAT",
    "quantize_dynamic": "kdrun.step.quantize:QuantizeDynamic",
    "quantize_static": "kdrun.step.quantize:QuantizeStatic",
    "quantize_weights": "kdrun.step.quantize:QuantizeWeights",
}
