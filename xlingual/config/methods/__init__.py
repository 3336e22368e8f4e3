"""The flags of each recipe beyond those that all recipes share: one file, one dataclass each.

Nothing here imports torch or transformers, so that ``--help`` is instant.
"""

from xlingual.config.methods.compare import CompareArguments, MethodArguments
from xlingual.config.methods.distill import DistillArguments
from xlingual.config.methods.few_shot import FewShotArguments
from xlingual.config.methods.frozen_features import FrozenFeaturesArguments
from xlingual.config.methods.language_adapters import LanguageAdapterArguments
from xlingual.config.methods.multi_task import MultiTaskArguments
from xlingual.config.methods.private import PrivateArguments
from xlingual.config.methods.source_free import SourceFreeArguments
from xlingual.config.methods.translate_train import TRANSLATE_TRAIN_METHODS, TranslateTrainArguments
from xlingual.config.methods.unlabeled_target import (
    UNLABELED_TARGET_METHODS,
    UnlabeledTargetArguments,
)
from xlingual.config.methods.zero_shot import ZeroShotArguments

__all__ = [
    "TRANSLATE_TRAIN_METHODS",
    "UNLABELED_TARGET_METHODS",
    "CompareArguments",
    "DistillArguments",
    "FewShotArguments",
    "FrozenFeaturesArguments",
    "LanguageAdapterArguments",
    "MethodArguments",
    "MultiTaskArguments",
    "PrivateArguments",
    "SourceFreeArguments",
    "TranslateTrainArguments",
    "UnlabeledTargetArguments",
    "ZeroShotArguments",
]
