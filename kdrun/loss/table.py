"""The tables of losses: name in the config -> "module:class". Importing them loads no torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdrun.core.registry import build

if TYPE_CHECKING:
    from kdrun.loss.base import Loss

LOSSES = {
    "ab": "kdrun.loss.ab:AB",
    "adversarial": "kdrun.loss.adversarial:Adversarial",
    "attention": "kdrun.loss.attention:Attention",
    "cat_kd": "kdrun.loss.cat_kd:CATKD",
    "cc": "kdrun.loss.cc:CC",
    "ce": "kdrun.loss.logits:CrossEntropy",
    "combined": "kdrun.loss.combined:Combined",
    "cosine": "kdrun.loss.cosine:Cosine",
    "crd": "kdrun.loss.crd:CRD",
    "ctkd": "kdrun.loss.ctkd:CTKD",
    "dist": "kdrun.loss.dist:DIST",
    "distilbert": "kdrun.loss.distilbert:DistilBERT",
    "dkd": "kdrun.loss.dkd:DKD",
    "fitnet": "kdrun.loss.fitnet:FitNet",
    "focal": "kdrun.loss.focal:Focal",
    "fsp": "kdrun.loss.fsp:FSP",
    "ft": "kdrun.loss.ft:FT",
    "hidden_mse": "kdrun.loss.hidden_mse:HiddenMSE",
    "ickd": "kdrun.loss.ickd:ICKD",
    "jsd": "kdrun.loss.jsd:JSD",
    "kd": "kdrun.loss.logits:KD",
    "kdsvd": "kdrun.loss.kdsvd:KDSVD",
    "label_smoothing": "kdrun.loss.label_smoothing:LabelSmoothing",
    "layer_fusion": "kdrun.loss.layer_fusion:LayerFusion",
    "lskd": "kdrun.loss.lskd:LSKD",
    "mgd": "kdrun.loss.mgd:MGD",
    "minilm": "kdrun.loss.minilm:MiniLM",
    "minilmv2": "kdrun.loss.minilmv2:MiniLMv2",
    "mlld": "kdrun.loss.mlld:MLLD",
    "mse": "kdrun.loss.logits:LogitsMSE",
    "nkd": "kdrun.loss.nkd:NKD",
    "nst": "kdrun.loss.nst:NST",
    "ofd": "kdrun.loss.ofd:OFD",
    "parameters": "kdrun.loss.parameters:Parameters",
    "patient_kd": "kdrun.loss.patient_kd:PatientKD",
    "pkt": "kdrun.loss.pkt:PKT",
    "reverse_kl": "kdrun.loss.reverse_kl:ReverseKL",
    "review_kd": "kdrun.loss.review_kd:ReviewKD",
    "rkd": "kdrun.loss.rkd:RKD",
    "semckd": "kdrun.loss.semckd:SemCKD",
    "simkd": "kdrun.loss.simkd:SimKD",
    "sp": "kdrun.loss.sp:SP",
    "srrl": "kdrun.loss.srrl:SRRL",
    "tf_kd": "kdrun.loss.tf_kd:TFKD",
    "tinybert": "kdrun.loss.tinybert:TinyBERT",
    "vid": "kdrun.loss.vid:VID",
    "wsld": "kdrun.loss.wsld:WSLD",
}

# Losses with which schemes wrap the loss of the config; users can't choose them by name.
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
    """Build the loss of a checked config node; `bind` is not called yet."""
    return build("loss", {**LOSSES, **WRAPPERS}, node)
