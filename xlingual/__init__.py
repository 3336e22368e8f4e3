"""Cross-lingual NLP transfer: train where you have labels, be right where you have none.

``import xlingual`` is light: a name is imported from its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlingual.arguments import DataArguments, ModelArguments
    from xlingual.card import write_card
    from xlingual.cli import run_recipe
    from xlingual.comparing import (
        CompareArguments,
        MethodArguments,
        changed_settings,
        compare_runs,
        embedded_roles,
        plan_runs,
        run_all,
        sample_unlabeled,
        write_comparison,
    )
    from xlingual.data import (
        Columns,
        TransferData,
        embedded_corpus,
        load_transfer_data,
        mix_domains,
        read_bitext,
        read_bitexts,
        read_dictionary,
        read_translations,
        translate_rows,
        word_translations,
    )
    from xlingual.errors import ExportError, SaveError, XlingualError
    from xlingual.evaluation import (
        LabelPredictions,
        TransferReport,
        bitext_agreement,
        estimate_accuracy,
    )
    from xlingual.export import ExportReport, export_onnx
    from xlingual.feature_extraction import extract_features
    from xlingual.features import output_layer
    from xlingual.fit import TokenizerFit, tokenizer_fit
    from xlingual.frozen_encoder import FrozenEncoder, FrozenFeaturesArguments
    from xlingual.hub import push_folder, push_to_modelscope
    from xlingual.hub.training import push_run
    from xlingual.inference import Prediction, Predictor, Span, predict_file
    from xlingual.inference.onnx_session import load_onnx_model
    from xlingual.labels import LabelSpace
    from xlingual.language_adapters import (
        LanguageAdapterArguments,
        merge_language_adapter,
        swap_language_adapter,
        train_language_adapter,
    )
    from xlingual.method_arguments import (
        DistillArguments,
        FewShotArguments,
        MultiTaskArguments,
        TranslateTrainArguments,
        UnlabeledTargetArguments,
        ZeroShotArguments,
    )
    from xlingual.modeling import embedded_encoder, load_model, load_tokenizer
    from xlingual.multi_task import TaskHeads, number_groups, save_task_folders, temper_sizes
    from xlingual.output_bias import shift_output_bias
    from xlingual.parsing import parse_arguments
    from xlingual.pretraining import continue_pretraining
    from xlingual.pretraining_arguments import PretrainEncoderArguments
    from xlingual.private import PrivateArguments, PrivateTrainer
    from xlingual.report import estimate_target, prepare_output_dir, write_report
    from xlingual.saving import merge_adapter
    from xlingual.source_model import SourceFreeArguments, trained_label_space, with_labels_of
    from xlingual.tasks import Task, get_task
    from xlingual.trainer import TransferTrainer
    from xlingual.training_args import TransferArguments
    from xlingual.transfer import (
        BitextContrastLoss,
        ConditionalAdversarialLoss,
        ConsistencyLoss,
        CoralLoss,
        DomainAdversarialLoss,
        InformationMaximizationLoss,
        MaximumMeanDiscrepancyLoss,
        RDropLoss,
        TeacherEnsemble,
        UncertaintyWeights,
        adapt_source_free,
        better_on,
        centring_shift,
        co_train_head,
        co_train_labels,
        co_trained_rows,
        code_switch,
        correct_label_shift,
        encode_pairs,
        label_bitext,
        language_offset,
        ngram_agreement,
        propagate_embeddings,
        safer_of,
        sample_few_shot,
        self_train,
    )
    from xlingual.translation import translate_texts, translations_of
    from xlingual.vocabulary import TrimReport, trim_vocabulary

# Module -> the names it gives; the imports above say the same to type checkers.
_NAMES = {
    "arguments": "DataArguments ModelArguments",
    "card": "write_card",
    "cli": "run_recipe",
    "comparing": (
        "CompareArguments MethodArguments changed_settings compare_runs embedded_roles plan_runs "
        "run_all sample_unlabeled write_comparison"
    ),
    "data": (
        "Columns TransferData embedded_corpus load_transfer_data mix_domains read_bitext "
        "read_bitexts read_dictionary read_translations translate_rows word_translations"
    ),
    "errors": "ExportError SaveError XlingualError",
    "evaluation": "LabelPredictions TransferReport bitext_agreement estimate_accuracy",
    "export": "ExportReport export_onnx",
    "feature_extraction": "extract_features",
    "features": "output_layer",
    "fit": "TokenizerFit tokenizer_fit",
    "frozen_encoder": "FrozenEncoder FrozenFeaturesArguments",
    "hub": "push_folder push_to_modelscope",
    "hub.training": "push_run",
    "inference": "Prediction Predictor Span predict_file",
    "inference.onnx_session": "load_onnx_model",
    "labels": "LabelSpace",
    "language_adapters": (
        "LanguageAdapterArguments merge_language_adapter swap_language_adapter "
        "train_language_adapter"
    ),
    "method_arguments": (
        "DistillArguments FewShotArguments MultiTaskArguments TranslateTrainArguments "
        "UnlabeledTargetArguments ZeroShotArguments"
    ),
    "modeling": "embedded_encoder load_model load_tokenizer",
    "multi_task": "TaskHeads number_groups save_task_folders temper_sizes",
    "output_bias": "shift_output_bias",
    "parsing": "parse_arguments",
    "pretraining": "continue_pretraining",
    "pretraining_arguments": "PretrainEncoderArguments",
    "private": "PrivateArguments PrivateTrainer",
    "report": "estimate_target prepare_output_dir write_report",
    "saving": "merge_adapter",
    "source_model": "SourceFreeArguments trained_label_space with_labels_of",
    "tasks": "Task get_task",
    "trainer": "TransferTrainer",
    "training_args": "TransferArguments",
    "transfer": (
        "BitextContrastLoss ConditionalAdversarialLoss ConsistencyLoss CoralLoss "
        "DomainAdversarialLoss InformationMaximizationLoss MaximumMeanDiscrepancyLoss "
        "RDropLoss TeacherEnsemble UncertaintyWeights adapt_source_free better_on "
        "centring_shift co_train_head co_train_labels co_trained_rows code_switch "
        "correct_label_shift encode_pairs label_bitext "
        "language_offset ngram_agreement propagate_embeddings safer_of sample_few_shot self_train"
    ),
    "translation": "translate_texts translations_of",
    "vocabulary": "TrimReport trim_vocabulary",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "BitextContrastLoss",
    "Columns",
    "CompareArguments",
    "ConditionalAdversarialLoss",
    "ConsistencyLoss",
    "CoralLoss",
    "DataArguments",
    "DistillArguments",
    "DomainAdversarialLoss",
    "ExportError",
    "ExportReport",
    "FewShotArguments",
    "FrozenEncoder",
    "FrozenFeaturesArguments",
    "InformationMaximizationLoss",
    "LabelPredictions",
    "LabelSpace",
    "LanguageAdapterArguments",
    "MaximumMeanDiscrepancyLoss",
    "MethodArguments",
    "ModelArguments",
    "MultiTaskArguments",
    "Prediction",
    "Predictor",
    "PretrainEncoderArguments",
    "PrivateArguments",
    "PrivateTrainer",
    "RDropLoss",
    "SaveError",
    "SourceFreeArguments",
    "Span",
    "Task",
    "TaskHeads",
    "TeacherEnsemble",
    "TokenizerFit",
    "TransferArguments",
    "TransferData",
    "TransferReport",
    "TransferTrainer",
    "TranslateTrainArguments",
    "TrimReport",
    "UncertaintyWeights",
    "UnlabeledTargetArguments",
    "XlingualError",
    "ZeroShotArguments",
    "adapt_source_free",
    "better_on",
    "bitext_agreement",
    "centring_shift",
    "changed_settings",
    "co_train_head",
    "co_train_labels",
    "co_trained_rows",
    "code_switch",
    "compare_runs",
    "continue_pretraining",
    "correct_label_shift",
    "embedded_corpus",
    "embedded_encoder",
    "embedded_roles",
    "encode_pairs",
    "estimate_accuracy",
    "estimate_target",
    "export_onnx",
    "extract_features",
    "get_task",
    "label_bitext",
    "language_offset",
    "load_model",
    "load_onnx_model",
    "load_tokenizer",
    "load_transfer_data",
    "merge_adapter",
    "merge_language_adapter",
    "mix_domains",
    "ngram_agreement",
    "number_groups",
    "output_layer",
    "parse_arguments",
    "plan_runs",
    "predict_file",
    "prepare_output_dir",
    "propagate_embeddings",
    "push_folder",
    "push_run",
    "push_to_modelscope",
    "read_bitext",
    "read_bitexts",
    "read_dictionary",
    "read_translations",
    "run_all",
    "run_recipe",
    "safer_of",
    "sample_few_shot",
    "sample_unlabeled",
    "save_task_folders",
    "self_train",
    "shift_output_bias",
    "swap_language_adapter",
    "temper_sizes",
    "tokenizer_fit",
    "train_language_adapter",
    "trained_label_space",
    "translate_rows",
    "translate_texts",
    "translations_of",
    "trim_vocabulary",
    "with_labels_of",
    "word_translations",
    "write_card",
    "write_comparison",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"xlingual.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
