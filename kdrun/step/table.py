"""Every compression step: its name on the command line -> where its class is."""

STEPS = {
    "distill": "kdrun.step.training:Distill",
    "finetune": "kdrun.step.training:Finetune",
    "low_rank": "kdrun.step.low_rank:LowRank",
    "prune_channels": "kdrun.step.prune_channels:PruneChannels",
    "prune_weights": "kdrun.step.prune_weights:PruneWeights",
    "qat": "kdrun.step.quantize:QAT",
    "quantize_dynamic": "kdrun.step.quantize:QuantizeDynamic",
    "quantize_static": "kdrun.step.quantize:QuantizeStatic",
    "quantize_weights": "kdrun.step.quantize:QuantizeWeights",
}

# What is searched where compress.target is given: a step's key, from its mildest to its strongest;
# and the keys that say how far in another way.
STRENGTHS: dict[str, tuple[str, float, float, tuple[str, ...]]] = {
    "low_rank": ("energy", 1.0, 0.1, ("rank", "macs")),
    "prune_channels": ("ratio", 0.0, 0.95, ("macs", "latency")),
    "prune_weights": ("sparsity", 0.0, 0.99, ("pattern",)),
}
