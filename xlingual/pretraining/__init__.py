"""Build a bilingual encoder: clean bitext, tokenizer, static alignment, context layers."""

from xlingual.data.bitext import Bitext, clean_pairs, read_bitext
from xlingual.data.dictionary import (
    DictionaryEntry,
    dictionary_pairs,
    read_dictionary,
    simplified_characters,
)
from xlingual.pretraining.build import (
    RetrievalLog,
    encode_sources,
    encode_text,
    load_encoder,
    make_accelerator,
    start_encoder,
    start_tokenizer,
)
from xlingual.pretraining.context import BatchMaker, ContextObjective
from xlingual.pretraining.corpus import (
    EncodedCorpus,
    distinct_sentences,
    encode_bitexts,
    split_held_out,
)
from xlingual.pretraining.distillation import DistillationLoss
from xlingual.pretraining.encoder import (
    build_encoder,
    embed_sentences,
    retrieval_accuracy,
    save_encoder,
)
from xlingual.pretraining.noise import CodeSwitcher
from xlingual.pretraining.sources import (
    PretrainingSources,
    parse_weighted_paths,
    read_sources,
    sample_texts,
)
from xlingual.pretraining.static import contrastive_embeddings, svd_embeddings
from xlingual.pretraining.targets import TeacherTargets, read_targets
from xlingual.pretraining.teacher import Teacher
from xlingual.pretraining.teacher_cache import TeacherOutputs, cached_outputs
from xlingual.pretraining.tokenizer import train_tokenizer
from xlingual.pretraining.training import train_context
from xlingual.transfer.loop.continued_pretraining import continue_pretraining

__all__ = [
    "BatchMaker",
    "Bitext",
    "CodeSwitcher",
    "ContextObjective",
    "DictionaryEntry",
    "DistillationLoss",
    "EncodedCorpus",
    "PretrainingSources",
    "RetrievalLog",
    "Teacher",
    "TeacherOutputs",
    "TeacherTargets",
    "build_encoder",
    "cached_outputs",
    "clean_pairs",
    "continue_pretraining",
    "contrastive_embeddings",
    "dictionary_pairs",
    "distinct_sentences",
    "embed_sentences",
    "encode_bitexts",
    "encode_sources",
    "encode_text",
    "load_encoder",
    "make_accelerator",
    "parse_weighted_paths",
    "read_bitext",
    "read_dictionary",
    "read_sources",
    "read_targets",
    "retrieval_accuracy",
    "sample_texts",
    "save_encoder",
    "simplified_characters",
    "split_held_out",
    "start_encoder",
    "start_tokenizer",
    "svd_embeddings",
    "train_context",
    "train_tokenizer",
]
