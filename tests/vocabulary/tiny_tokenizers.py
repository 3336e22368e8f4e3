"""A small tokenizer of each kind, over sentences in five scripts."""

from __future__ import annotations

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertConfig,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

TEXTS = [
    "The room was clean and quiet, we loved the breakfast.",
    "房间干净又安静，我们很喜欢早餐。",
    "這家飯店的房間很乾淨，早餐也不錯。",
    "WiFi很快，check in只要5分钟！",
    "Slow service, the shower broke on the 2nd day.",
]
FOREIGN = [
    "Номер был чистый и тихий, завтрак понравился.",
    "ห้องสะอาดและเงียบมาก อาหารเช้าดี",
    "كانت الغرفة نظيفة وهادئة والفطور جيد",
]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
KINDS = ("WordPiece", "Unigram", "BPE", "byte-level BPE", "BPE with byte fallback")


def trained(kind: str) -> Tokenizer:
    """A tokenizer of the given kind, trained on all texts."""
    common = {"special_tokens": SPECIALS, "show_progress": False}
    if kind == "WordPiece":
        inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=500, min_frequency=1, **common)
    elif kind == "Unigram":
        inner = Tokenizer(models.Unigram())
        inner.normalizer = normalizers.NFKC()
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=400, unk_token="[UNK]", **common)
    elif kind == "byte-level BPE":
        inner = Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, **common)
    else:
        byte_fallback = kind.endswith("fallback")
        inner = Tokenizer(models.BPE(unk_token="[UNK]", byte_fallback=byte_fallback))
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        if byte_fallback:
            common["special_tokens"] = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256))]
        trainer = trainers.BpeTrainer(vocab_size=700, **common)
    inner.train_from_iterator((TEXTS + FOREIGN) * 4, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return inner


def config_of(kind: str, size: int) -> PreTrainedConfig:
    """A tiny model that goes with it; each kind has another layout."""
    shape = {
        "vocab_size": size, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 48, "max_position_embeddings": 130, "pad_token_id": 0,
        "bos_token_id": 2, "eos_token_id": 3, "id2label": {0: "差评", 1: "好评"},
    }  # fmt: skip
    if kind == "WordPiece":
        return BertConfig(**shape)
    if kind == "Unigram":
        return XLMRobertaConfig(**shape)
    if kind == "BPE":
        return ModernBertConfig(**shape, cls_token_id=2, sep_token_id=3)
    return RobertaConfig(**shape)


def fast(inner: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer as an object of transformers."""
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIALS, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, **{f"{role}_token": name for role, name in names.items()}
    )
