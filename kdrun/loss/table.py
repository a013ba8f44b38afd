"""Every loss: its name on the command line -> where its class is."""

LOSSES = {
    "ab": "kdrun.loss.boundaries:Boundaries",
    "attention": "kdrun.loss.attention:Attention",
    "ce": "kdrun.loss.logits:CrossEntropy",
    "combined": "kdrun.loss.combined:Combined",
    "fsp": "kdrun.loss.flow:Flow",
    "ft": "kdrun.loss.factor:Factor",
    "ickd": "kdrun.loss.channels:Channels",
    "kd": "kdrun.loss.logits:KD",
    "kdsvd": "kdrun.loss.singular:Singular",
    "mse": "kdrun.loss.logits:LogitsMSE",
    "nst": "kdrun.loss.selectivity:Selectivity",
    "ofd": "kdrun.loss.overhaul:Overhaul",
    "sp": "kdrun.loss.similarity:Similarity",
}
