"""Every loss: its name on the command line -> where its class is."""

LOSSES = {
    "attention": "kdrun.loss.attention:Attention",
    "ce": "kdrun.loss.logits:CrossEntropy",
    "combined": "kdrun.loss.combined:Combined",
    "ctkd": "kdrun.loss.curriculum:CTKD",
    "dist": "kdrun.loss.correlation:DIST",
    "dkd": "kdrun.loss.decoupled:DKD",
    "focal": "kdrun.loss.hardness:Focal",
    "jsd": "kdrun.loss.divergence:JSD",
    "kd": "kdrun.loss.logits:KD",
    "label_smoothing": "kdrun.loss.teacher_free:LabelSmoothing",
    "lskd": "kdrun.loss.standardized:LSKD",
    "mlld": "kdrun.loss.correlation:MLLD",
    "mse": "kdrun.loss.logits:LogitsMSE",
    "nkd": "kdrun.loss.decoupled:NKD",
    "parameters": "kdrun.loss.parameters:Parameters",
    "reverse_kl": "kdrun.loss.divergence:ReverseKL",
    "simkd": "kdrun.loss.simkd:SimKD",
    "tf_kd": "kdrun.loss.teacher_free:TeacherFree",
    "wsld": "kdrun.loss.hardness:WSLD",
}

# Losses around the one of the config, which schemes put there; nobody chooses them by name.
AROUND = {
    "dafl": "kdrun.loss.data_free:DAFL",
    "zskt": "kdrun.loss.data_free:ZSKT",
}
