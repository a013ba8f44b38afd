"""Every loss: its name on the command line -> where its class is. Loads no torch by itself."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdrun.core.registry import build

if TYPE_CHECKING:
    from kdrun.loss.base import Loss

LOSSES = {
    "ab": "kdrun.loss.ab:Boundaries",
    "adversarial": "kdrun.loss.adversarial:Adversarial",
    "attention": "kdrun.loss.attention:Attention",
    "cat_kd": "kdrun.loss.cat_kd:CATKD",
    "cc": "kdrun.loss.cc:CC",
    "ce": "kdrun.loss.logits:CrossEntropy",
    "combined": "kdrun.loss.combined:Combined",
    "cosine": "kdrun.loss.fitnet:Cosine",
    "crd": "kdrun.loss.crd:CRD",
    "ctkd": "kdrun.loss.ctkd:CTKD",
    "dist": "kdrun.loss.mlld:DIST",
    "dkd": "kdrun.loss.dkd:DKD",
    "fitnet": "kdrun.loss.fitnet:FitNet",
    "focal": "kdrun.loss.wsld:Focal",
    "fsp": "kdrun.loss.fsp:Flow",
    "ft": "kdrun.loss.ft:Factor",
    "ickd": "kdrun.loss.ickd:Channels",
    "jsd": "kdrun.loss.jsd:JSD",
    "kd": "kdrun.loss.logits:KD",
    "kdsvd": "kdrun.loss.kdsvd:Singular",
    "label_smoothing": "kdrun.loss.tf_kd:LabelSmoothing",
    "layer_fusion": "kdrun.loss.layer_fusion:LayerFusion",
    "lskd": "kdrun.loss.lskd:LSKD",
    "mgd": "kdrun.loss.mgd:MGD",
    "mlld": "kdrun.loss.mlld:MLLD",
    "mse": "kdrun.loss.logits:LogitsMSE",
    "nkd": "kdrun.loss.dkd:NKD",
    "nst": "kdrun.loss.nst:Selectivity",
    "ofd": "kdrun.loss.ofd:Overhaul",
    "parameters": "kdrun.loss.parameters:Parameters",
    "pkt": "kdrun.loss.pkt:PKT",
    "reverse_kl": "kdrun.loss.jsd:ReverseKL",
    "review_kd": "kdrun.loss.review_kd:ReviewKD",
    "rkd": "kdrun.loss.rkd:RKD",
    "semckd": "kdrun.loss.semckd:SemCKD",
    "simkd": "kdrun.loss.simkd:SimKD",
    "sp": "kdrun.loss.sp:Similarity",
    "srrl": "kdrun.loss.srrl:SRRL",
    "tf_kd": "kdrun.loss.tf_kd:TeacherFree",
    "vid": "kdrun.loss.vid:VID",
    "wsld": "kdrun.loss.wsld:WSLD",
}

# Losses around the one of the config, which schemes put there; nobody chooses them by name.
WRAPPERS = {
    "around_mutual": "kdrun.loss.mutual:Mutual",
    "around_teachers": "kdrun.loss.teachers:Teachers",
    "dafl": "kdrun.loss.data_free:DAFL",
    "merged_teacher": "kdrun.loss.merged_teacher:MergedTeacher",
    "moving_teacher": "kdrun.loss.moving_teacher:MovingTeacher",
    "own_stages": "kdrun.loss.own_stages:OwnStages",
    "progressive": "kdrun.loss.progressive:Progressive",
    "shared_body": "kdrun.loss.shared_body:SharedBody",
    "zskt": "kdrun.loss.data_free:ZSKT",
}


def build_loss(node: Mapping[str, Any]) -> "Loss":
    """Build the loss that a checked config node describes; it is not bound yet."""
    return build("loss", {**LOSSES, **WRAPPERS}, node)
