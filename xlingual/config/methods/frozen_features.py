"""The flags of ``frozen_features``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.checks import check_choice
from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["FROZEN_CLASSIFIERS", "FrozenFeaturesArguments"]

FROZEN_CLASSIFIERS = ("logistic_regression", "lda", "pca", "nearest_centroid")
FUSIONS = ("concatenate", "gate")


@dataclass
class FrozenFeaturesArguments:
    """The classifier, its adaptation to target text, and a second encoder."""

    classifier: str = option("logistic_regression", f"{', '.join(FROZEN_CLASSIFIERS)}.")
    strength: float | None = option(
        None, "Inverse penalty of logistic regression; default: by cross-validation."
    )
    num_components: int = option(64, "Principal components of --classifier pca.")
    second_model: str | None = option(
        None, "Folder or hub id of an encoder whose features are fused with the first one's."
    )
    fusion: str = option("concatenate", "concatenate, or gate (weights by cross-validation).")
    centring: bool = option(
        False,
        "Remove the difference between the languages' means, with --target_unlabeled; may lose "
        "accuracy.",
    )
    self_training: bool = option(
        False, "Refit the head to --target_unlabeled by its own most confident labels, in rounds."
    )
    co_training: bool = option(
        False, "Self-training whose labels the words of that text correct: see unlabeled_target."
    )
    feature_cache: str | None = option(
        None, "Folder that keeps features between runs; default: none."
    )

    def __post_init__(self) -> None:
        check_choice("classifier", self.classifier, FROZEN_CLASSIFIERS)
        check_choice("fusion", self.fusion, FUSIONS)
        if self.centring + self.self_training + self.co_training > 1:
            raise ConfigError(
                "--centring, --self_training and --co_training all change the target's head; keep "
                "one (co-training starts from the self-trained head)"
            )
        if self.num_components < 1 or (self.strength is not None and self.strength <= 0):
            raise ConfigError("--num_components must be at least 1, and --strength above 0")
