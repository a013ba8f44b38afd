"""Every compression step: its name on the command line -> where its class is."""

STEPS = {
    "distill": "kdrun.step.learning:Distill",
    "finetune": "kdrun.step.learning:Finetune",
    "low_rank": "kdrun.step.low_rank:LowRank",
    "prune_weights": "kdrun.step.prune_weights:PruneWeights",
}
