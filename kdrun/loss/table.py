"""Every loss: its name on the command line -> where its class is."""

LOSSES = {
    "attention": "kdrun.loss.attention:Attention",
    "cc": "kdrun.loss.cc:CC",
    "ce": "kdrun.loss.logits:CrossEntropy",
    "combined": "kdrun.loss.combined:Combined",
    "crd": "kdrun.loss.crd:CRD",
    "kd": "kdrun.loss.logits:KD",
    "layer_fusion": "kdrun.loss.layer_fusion:LayerFusion",
    "mse": "kdrun.loss.logits:LogitsMSE",
    "pkt": "kdrun.loss.pkt:PKT",
    "review_kd": "kdrun.loss.review_kd:ReviewKD",
    "rkd": "kdrun.loss.rkd:RKD",
    "semckd": "kdrun.loss.semckd:SemCKD",
    "srrl": "kdrun.loss.srrl:SRRL",
}
