"""Every loss: its name on the command line -> where its class is."""

LOSSES = {
    "attention": "kdrun.loss.attention:Attention",
    "cc": "kdrun.loss.cc:CC",
    "ce": "kdrun.loss.logits:CrossEntropy",
    "combined": "kdrun.loss.combined:Combined",
    "crd": "kdrun.loss.crd:CRD",
    "ctkd": "kdrun.loss.curriculum:CTKD",
    "dist": "kdrun.loss.correlation:DIST",
    "dkd": "kdrun.loss.decoupled:DKD",
    "focal": "kdrun.loss.hardness:Focal",
    "jsd": "kdrun.loss.divergence:JSD",
    "kd": "kdrun.loss.logits:KD",
    "label_smoothing": "kdrun.loss.teacher_free:LabelSmoothing",
    "layer_fusion": "kdrun.loss.layer_fusion:LayerFusion",
    "lskd": "kdrun.loss.standardized:LSKD",
    "mlld": "kdrun.loss.correlation:MLLD",
    "mse": "kdrun.loss.logits:LogitsMSE",
    "nkd": "kdrun.loss.decoupled:NKD",
    "parameters": "kdrun.loss.parameters:Parameters",
    "pkt": "kdrun.loss.pkt:PKT",
    "reverse_kl": "kdrun.loss.divergence:ReverseKL",
    "review_kd": "kdrun.loss.review_kd:ReviewKD",
    "rkd": "kdrun.loss.rkd:RKD",
    "semckd": "kdrun.loss.semckd:SemCKD",
    "simkd": "kdrun.loss.simkd:SimKD",
    "srrl": "kdrun.loss.srrl:SRRL",
    "tf_kd": "kdrun.loss.teacher_free:TeacherFree",
    "wsld": "kdrun.loss.hardness:WSLD",
}

# Losses around the one of the config, which schemes put there; nobody chooses them by name.
AROUND = {
    "dafl": "kdrun.loss.data_free:DAFL",
    "zskt": "kdrun.loss.data_free:ZSKT",
}
