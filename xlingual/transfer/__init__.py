"""Transfer methods: one method, one file.

Each acts at one of four seams: the data (``Dataset -> Dataset``), the model (``model -> model``),
the loss, or the training loop.
"""

from xlingual.transfer.averaging import average_weights
from xlingual.transfer.bitext_consistency import label_bitext
from xlingual.transfer.bitext_contrast import BitextContrastLoss, encode_pairs
from xlingual.transfer.cdan import ConditionalAdversarialLoss
from xlingual.transfer.centring import centring_shift, language_offset
from xlingual.transfer.co_training import co_train_head, co_trained_rows
from xlingual.transfer.code_switching import code_switch
from xlingual.transfer.consistency import ConsistencyLoss
from xlingual.transfer.coral import CoralLoss
from xlingual.transfer.dann import DomainAdversarialLoss
from xlingual.transfer.distillation import TeacherEnsemble, fuse_probs
from xlingual.transfer.embedding_propagation import propagate_embeddings
from xlingual.transfer.few_shot import sample_few_shot
from xlingual.transfer.frozen_features import LinearMap, choose_gate, fit_linear, fuse_features
from xlingual.transfer.guard import better_on, safer_of
from xlingual.transfer.information_maximization import InformationMaximizationLoss
from xlingual.transfer.label_shift import LabelShift, correct_label_shift
from xlingual.transfer.mmd import MaximumMeanDiscrepancyLoss
from xlingual.transfer.ngram_view import co_train_labels, ngram_agreement
from xlingual.transfer.r_drop import RDropLoss
from xlingual.transfer.self_training import self_train
from xlingual.transfer.source_free import adapt_source_free, centroid_labels
from xlingual.transfer.uncertainty_weighting import UncertaintyWeights

__all__ = [
    "BitextContrastLoss",
    "ConditionalAdversarialLoss",
    "ConsistencyLoss",
    "CoralLoss",
    "DomainAdversarialLoss",
    "InformationMaximizationLoss",
    "LabelShift",
    "LinearMap",
    "MaximumMeanDiscrepancyLoss",
    "RDropLoss",
    "TeacherEnsemble",
    "UncertaintyWeights",
    "adapt_source_free",
    "average_weights",
    "better_on",
    "centring_shift",
    "centroid_labels",
    "choose_gate",
    "co_train_head",
    "co_train_labels",
    "co_trained_rows",
    "code_switch",
    "correct_label_shift",
    "encode_pairs",
    "fit_linear",
    "fuse_features",
    "fuse_probs",
    "label_bitext",
    "language_offset",
    "ngram_agreement",
    "propagate_embeddings",
    "safer_of",
    "sample_few_shot",
    "self_train",
]
