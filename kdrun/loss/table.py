"""Every loss: its name on the command line -> where its class is."""

LOSSES = {
    "attention": "kdrun.loss.attention:Attention",
    "ce": "kdrun.loss.logits:CrossEntropy",
    "combined": "kdrun.loss.combined:Combined",
    "kd": "kdrun.loss.logits:KD",
    "mse": "kdrun.loss.logits:LogitsMSE",
    "parameters": "kdrun.loss.parameters:Parameters",
    "simkd": "kdrun.loss.simkd:SimKD",
}

# Losses around the one of the config, which schemes put there; nobody chooses them by name.
AROUND = {
    "dafl": "kdrun.loss.data_free:DAFL",
    "zskt": "kdrun.loss.data_free:ZSKT",
}
