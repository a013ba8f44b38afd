"""Every loss: its name on the command line -> where its class is."""

LOSSES = {
    "attention": "kdrun.loss.attention:Attention",
    "ce": "kdrun.loss.logits:CrossEntropy",
    "combined": "kdrun.loss.combined:Combined",
    "kd": "kdrun.loss.logits:KD",
    "mse": "kdrun.loss.logits:LogitsMSE",
}

# Losses around the one of the config, which schemes put there; nobody chooses them by name.
AROUND: dict[str, str] = {
    "merged_teacher": "kdrun.loss.merged_teacher:MergedTeacher",
}
