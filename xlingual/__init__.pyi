from .cli.recipes import run_recipe as run_recipe
from .comparing import (
    changed_settings as changed_settings,
    choose_methods as choose_methods,
    compare_runs as compare_runs,
    embedded_roles as embedded_roles,
    plan_runs as plan_runs,
    run_all as run_all,
    sample_unlabeled as sample_unlabeled,
    write_comparison as write_comparison,
)
from .config.methods import (
    CompareArguments as CompareArguments,
    DistillArguments as DistillArguments,
    FewShotArguments as FewShotArguments,
    FrozenFeaturesArguments as FrozenFeaturesArguments,
    LanguageAdapterArguments as LanguageAdapterArguments,
    MethodArguments as MethodArguments,
    MultiTaskArguments as MultiTaskArguments,
    PrivateArguments as PrivateArguments,
    SourceFreeArguments as SourceFreeArguments,
    TranslateTrainArguments as TranslateTrainArguments,
    UnlabeledTargetArguments as UnlabeledTargetArguments,
    ZeroShotArguments as ZeroShotArguments,
)
from .config.options import DataArguments as DataArguments, ModelArguments as ModelArguments
from .config.parsing import parse_arguments as parse_arguments
from .config.pretraining import PretrainEncoderArguments as PretrainEncoderArguments
from .config.training import TransferArguments as TransferArguments
from .data import (
    Columns as Columns,
    TransferData as TransferData,
    embedded_corpus as embedded_corpus,
    load_transfer_data as load_transfer_data,
    mix_domains as mix_domains,
    read_bitext as read_bitext,
    read_bitexts as read_bitexts,
    read_dictionary as read_dictionary,
    read_translations as read_translations,
    translate_rows as translate_rows,
    word_translations as word_translations,
)
from .errors import (
    ExportError as ExportError,
    SaveError as SaveError,
    XlingualError as XlingualError,
)
from .evaluation import (
    LabelPredictions as LabelPredictions,
    TransferReport as TransferReport,
    bitext_agreement as bitext_agreement,
    estimate_accuracy as estimate_accuracy,
    ngram_agreement as ngram_agreement,
)
from .export import ExportReport as ExportReport, export_onnx as export_onnx
from .hub import push_folder as push_folder, push_to_modelscope as push_to_modelscope
from .inference import (
    Prediction as Prediction,
    Predictor as Predictor,
    Span as Span,
    predict_file as predict_file,
)
from .inference.onnx_session import load_onnx_model as load_onnx_model
from .labels import LabelSpace as LabelSpace
from .models.feature_extraction import extract_features as extract_features
from .models.features import output_layer as output_layer
from .models.loading import (
    embedded_encoder as embedded_encoder,
    load_model as load_model,
    load_tokenizer as load_tokenizer,
)
from .models.output_layer import shift_output_bias as shift_output_bias
from .models.pypi_encoders import pypi_encoder as pypi_encoder
from .models.trained_classifier import (
    trained_label_space as trained_label_space,
    with_labels_of as with_labels_of,
)
from .pretraining import continue_pretraining as continue_pretraining
from .reporting.card import write_card as write_card
from .reporting.finishing import finish_run as finish_run
from .reporting.run_files import write_report as write_report
from .reporting.target_estimate import estimate_target as estimate_target
from .reporting.tokenizer_fit import TokenizerFit as TokenizerFit, tokenizer_fit as tokenizer_fit
from .saving import merge_adapter as merge_adapter
from .tasks import Task as Task, get_task as get_task
from .training.output_dir import prepare_output_dir as prepare_output_dir
from .training.private import PrivateTrainer as PrivateTrainer
from .training.pushing import push_run as push_run
from .training.stages import Stages as Stages
from .training.trainer import TransferTrainer as TransferTrainer
from .transfer import (
    BitextContrastLoss as BitextContrastLoss,
    ConditionalAdversarialLoss as ConditionalAdversarialLoss,
    ConsistencyLoss as ConsistencyLoss,
    CoralLoss as CoralLoss,
    DomainAdversarialLoss as DomainAdversarialLoss,
    InformationMaximizationLoss as InformationMaximizationLoss,
    MaximumMeanDiscrepancyLoss as MaximumMeanDiscrepancyLoss,
    RDropLoss as RDropLoss,
    ReadOnce as ReadOnce,
    TeacherEnsemble as TeacherEnsemble,
    UncertaintyWeights as UncertaintyWeights,
    adapt_source_free as adapt_source_free,
    better_on as better_on,
    centring_shift as centring_shift,
    co_train_head as co_train_head,
    co_train_labels as co_train_labels,
    co_trained_rows as co_trained_rows,
    code_switch as code_switch,
    correct_label_shift as correct_label_shift,
    doubling_shares as doubling_shares,
    encode_pairs as encode_pairs,
    label_bitext as label_bitext,
    language_offset as language_offset,
    propagate_embeddings as propagate_embeddings,
    safer_of as safer_of,
    sample_few_shot as sample_few_shot,
    self_train as self_train,
)
from .transfer.data.multi_task import (
    TaskHeads as TaskHeads,
    number_groups as number_groups,
    save_task_folders as save_task_folders,
    temper_sizes as temper_sizes,
)
from .transfer.model.frozen_encoder import FrozenEncoder as FrozenEncoder
from .transfer.model.language_adapters import (
    merge_language_adapter as merge_language_adapter,
    swap_language_adapter as swap_language_adapter,
    train_language_adapter as train_language_adapter,
    train_language_encoder as train_language_encoder,
)
from .translation import translate_texts as translate_texts, translations_of as translations_of
from .vocabulary import TrimReport as TrimReport, trim_vocabulary as trim_vocabulary
