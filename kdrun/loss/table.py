"""Every loss: its name on the command line -> where its class is."""

LOSSES = {
    "ce": "kdrun.loss.logits:CrossEntropy",
    "kd": "kdrun.loss.logits:KD",
    "mse": "kdrun.loss.logits:LogitsMSE",
}
