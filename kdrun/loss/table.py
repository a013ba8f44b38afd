"""Every loss: its name on the command line -> where its class is."""

LOSSES = {
    "adversarial": "kdrun.loss.adversarial:Adversarial",
    "attention": "kdrun.loss.attention:Attention",
    "ce": "kdrun.loss.logits:CrossEntropy",
    "combined": "kdrun.loss.combined:Combined",
    "kd": "kdrun.loss.logits:KD",
    "mse": "kdrun.loss.logits:LogitsMSE",
}

# Losses around the one of the config, which schemes put there; nobody chooses them by name.
AROUND: dict[str, str] = {
    "moving_teacher": "kdrun.loss.moving_teacher:MovingTeacher",
    "own_stages": "kdrun.loss.own_stages:OwnStages",
    "progressive": "kdrun.loss.progressive:Progressive",
    "shared_body": "kdrun.loss.shared_body:SharedBody",
}
