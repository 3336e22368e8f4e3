"""The methods' own arguments: defaults, help, and values that no method can use."""

from __future__ import annotations

import dataclasses
import math

import pytest

from xlingual.config.methods import (
    DistillArguments,
    FewShotArguments,
    FrozenFeaturesArguments,
    LanguageAdapterArguments,
    MultiTaskArguments,
    PrivateArguments,
    SourceFreeArguments,
    TranslateTrainArguments,
    UnlabeledTargetArguments,
    ZeroShotArguments,
)
from xlingual.errors import ConfigError

KINDS = {
    ZeroShotArguments: {},
    FewShotArguments: {},
    UnlabeledTargetArguments: {},
    TranslateTrainArguments: {"dictionary": "words.txt"},
    DistillArguments: {"teachers": "runs/zero_shot"},
    MultiTaskArguments: {},
    FrozenFeaturesArguments: {},
    LanguageAdapterArguments: {},
    PrivateArguments: {},
    SourceFreeArguments: {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_has_a_line_of_help(kind: type) -> None:
    kind(**KINDS[kind])
    assert all(len(field.metadata["help"]) > 10 for field in dataclasses.fields(kind))


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (ZeroShotArguments, {"r_drop_weight": -1}, "--r_drop_weight must be at least 0; got -1"),
        (ZeroShotArguments, {"r_drop_weight": math.nan}, "at least 0; got nan"),
        (FewShotArguments, {"regime": "both"}, "--regime takes joint, sequential; got 'both'"),
        (FewShotArguments, {"shots_per_label": 0}, "--shots_per_label must be at least 1"),
        (FewShotArguments, {"shot_weight": 0}, "--shot_weight must be above 0; got 0"),
        (UnlabeledTargetArguments, {"method": "dan"}, "dann, cdan, mmd, coral; got 'dan'"),
        (UnlabeledTargetArguments, {"confidence_threshold": 1}, "between 0 and 1; got 1"),
        (UnlabeledTargetArguments, {"self_training_rounds": 0}, "at least 1; got 0"),
        (TranslateTrainArguments, {}, "got none"),
        (TranslateTrainArguments, {"method": "translations"}, "needs --translations or"),
        (
            TranslateTrainArguments,
            {"bitext": "pairs.tsv", "dictionary": "words.txt"},
            "got --bitext, --dictionary",
        ),
        (DistillArguments, {}, "--teachers needs one or more"),
        (DistillArguments, {"teachers": "a*0"}, "each weight above 0; got 'a*0'"),
        (DistillArguments, {"teachers": "a,a"}, "each path once"),
        (MultiTaskArguments, {"loss_weights": "learnt"}, "takes fixed, uncertainty; got 'learnt'"),
        (MultiTaskArguments, {"sampling_temperature": 0.5}, "at least 1; got 0.5"),
        (FrozenFeaturesArguments, {"classifier": "svm"}, "--classifier takes logistic_regression"),
        (FrozenFeaturesArguments, {"fusion": "sum"}, "--fusion takes concatenate, gate; got 'sum'"),
        (FrozenFeaturesArguments, {"num_components": 0}, "--num_components must be at least 1"),
        (LanguageAdapterArguments, {"language_adapter_epochs": 0}, "above 0; got 16 and 0"),
        (PrivateArguments, {"private_delta": 1.0}, "--private_delta must be above 0 and below 1"),
        (SourceFreeArguments, {"num_rounds": 0}, "--num_rounds must be at least 1; got 0"),
        (SourceFreeArguments, {"diversity_weight": -1}, "--diversity_weight must be at least 0"),
        (DistillArguments, {"teachers": "a", "bitext_threshold": 1}, "at least 0 and below 1"),
        (MultiTaskArguments, {"guard": True}, "--guard compares with plain fine-tuning"),
    ],
)
def test_they_check_themselves(kind: type, settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(**settings)
    assert words in str(caught.value)
