from .data.bitext_consistency import label_bitext as label_bitext
from .data.co_training import co_train_head as co_train_head, co_trained_rows as co_trained_rows
from .data.code_switching import code_switch as code_switch
from .data.distillation import TeacherEnsemble as TeacherEnsemble, fuse_probs as fuse_probs
from .data.few_shot import sample_few_shot as sample_few_shot
from .data.ngram_view import co_train_labels as co_train_labels
from .loop.averaging import average_weights as average_weights
from .loop.guard import better_on as better_on, safer_of as safer_of
from .loop.learner import ReadOnce as ReadOnce
from .loop.self_training import doubling_shares as doubling_shares, self_train as self_train
from .loop.source_free import (
    adapt_source_free as adapt_source_free,
    centroid_labels as centroid_labels,
)
from .loss.bitext_contrast import (
    BitextContrastLoss as BitextContrastLoss,
    encode_pairs as encode_pairs,
)
from .loss.cdan import ConditionalAdversarialLoss as ConditionalAdversarialLoss
from .loss.consistency import ConsistencyLoss as ConsistencyLoss
from .loss.coral import CoralLoss as CoralLoss
from .loss.dann import DomainAdversarialLoss as DomainAdversarialLoss
from .loss.information_maximization import (
    InformationMaximizationLoss as InformationMaximizationLoss,
)
from .loss.mmd import MaximumMeanDiscrepancyLoss as MaximumMeanDiscrepancyLoss
from .loss.r_drop import RDropLoss as RDropLoss
from .loss.uncertainty_weighting import UncertaintyWeights as UncertaintyWeights
from .model.centring import centring_shift as centring_shift, language_offset as language_offset
from .model.embedding_propagation import propagate_embeddings as propagate_embeddings
from .model.label_shift import LabelShift as LabelShift, correct_label_shift as correct_label_shift
from .model.linear_head import (
    LinearMap as LinearMap,
    choose_gate as choose_gate,
    fit_linear as fit_linear,
    fuse_features as fuse_features,
)
