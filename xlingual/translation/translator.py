"""A translation model that translates batches of texts.

transformers 5 has no translation pipeline. Models for one pair of languages (Marian) and for many
(NLLB, M2M-100, mBART) are distinguished by the attributes of their tokenizers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerBase

from xlingual.errors import ConfigError, ModelLoadError
from xlingual.languages import normalize_language_tag

__all__ = ["Translator"]

logger = logging.getLogger(__name__)

# (token in the vocabulary, code for src_lang) of NLLB, M2M-100 and mBART, in this order.
_LANGUAGE_TOKENS = {
    "en": (("eng_Latn", "eng_Latn"), ("__en__", "en"), ("en_XX", "en_XX")),
    "zh": (("zho_Hans", "zho_Hans"), ("__zh__", "zh"), ("zh_CN", "zh_CN")),
}
# Marian models with several target languages read the wanted one before the text.
_TARGET_PREFIXES = {
    "en": (">>eng<<", ">>en<<"),
    "zh": (">>cmn_Hans<<", ">>zho_Hans<<", ">>zh_cn<<", ">>zho<<", ">>zh<<", ">>cmn<<"),
}


class Translator:
    """A model that translates from one language to another.

    Args:
        model_name_or_path: A folder or hub id of Marian, NLLB, M2M-100 or mBART; safetensors only.
        source_language: ``"en"`` or ``"zh"``.
        target_language: The other one.
        max_length: Most tokens of a text and of its translation; longer text is truncated with a
            warning.
        num_beams: 1 is greedy decoding; 4 costs about three times as much for a little quality.
        device: None is the GPU if there is one.
        revision: Branch, tag or commit on the hub.

    Raises:
        ModelLoadError: It cannot be loaded, or is not a sequence-to-sequence model.
        ConfigError: It does not support the languages, or translates in the other direction.
    """

    def __init__(
        self,
        model_name_or_path: str | Path,
        *,
        source_language: str = "en",
        target_language: str = "zh",
        max_length: int = 256,
        num_beams: int = 1,
        device: str | torch.device | None = None,
        revision: str | None = None,
    ) -> None:
        path = str(model_name_or_path)
        try:
            self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                path, revision=revision
            )
            self.model: Any = AutoModelForSeq2SeqLM.from_pretrained(
                path, revision=revision, dtype=torch.float32, use_safetensors=True
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ModelLoadError(
                f"cannot load the translation model {path!r}: expected a folder of Marian, NLLB, "
                f"M2M-100 or mBART with its tokenizer and model.safetensors ({reason})"
            ) from error
        self.device = torch.device(device) if device is not None else PartialState().device
        self.model.to(self.device).eval()
        positions = getattr(self.model.config, "max_position_embeddings", None) or max_length + 1
        self.max_length = min(max_length, positions - 1)  # one is for the start token
        self.num_beams = num_beams
        self.prefix, self.first_token = _prepare(
            self.tokenizer, source_language, target_language, path=path
        )

    @torch.inference_mode()
    def translate(self, texts: Sequence[str]) -> list[str]:
        """Translate one batch of texts; the order is kept."""
        given = [f"{self.prefix}{text}" for text in texts]
        batch = self.tokenizer(
            given, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt"
        ).to(self.device)
        if batch["input_ids"].shape[1] >= self.max_length:
            logger.warning("a text has %d tokens or more and is truncated", self.max_length)
        settings: dict[str, Any] = {"num_beams": self.num_beams, "do_sample": False}
        if self.first_token is not None:
            settings["forced_bos_token_id"] = self.first_token
        config = self.model.generation_config
        config.max_length = None  # a second limit would cause a warning
        ids = self.model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=self.max_length,
            **settings,
        )
        decoded = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [" ".join(text.split()) for text in decoded]


def _prepare(
    tokenizer: Any, source_language: str, target_language: str, *, path: str
) -> tuple[str, int | None]:
    """Set the tokenizer's languages; return the prefix of a text and the forced first token."""
    target_tokens = list(_known_tokens(tokenizer, target_language))
    if hasattr(tokenizer, "src_lang") or target_tokens:
        source_tokens = list(_known_tokens(tokenizer, source_language))
        if not (source_tokens and target_tokens):
            raise ConfigError(
                f"the translation model {path!r} has no token for {source_language!r} or for "
                f"{target_language!r}; give one that translates between the two"
            )
        tokenizer.src_lang = source_tokens[0][1]
        return "", tokenizer.convert_tokens_to_ids(target_tokens[0][0])
    own = [_language_of(tokenizer, name) for name in ("source_lang", "target_lang")]
    if own == [target_language, source_language]:
        raise ConfigError(
            f"the translation model {path!r} translates from {own[0]} to {own[1]}; expected one "
            f"from {source_language} to {target_language}"
        )
    codes = getattr(tokenizer, "supported_language_codes", ())
    prefixes = [p for p in _TARGET_PREFIXES.get(target_language, ()) if p in codes]
    return (f"{prefixes[0]} " if prefixes else ""), None


def _known_tokens(tokenizer: Any, language: str) -> Iterator[tuple[str, str]]:
    for token, code in _LANGUAGE_TOKENS.get(language, ()):
        position = tokenizer.convert_tokens_to_ids(token)
        if position is not None and position != tokenizer.unk_token_id:
            yield token, code


def _language_of(tokenizer: Any, attribute: str) -> str | None:
    """The language that a Marian tokenizer names; None for groups of languages."""
    name = getattr(tokenizer, attribute, None)
    try:
        return normalize_language_tag(name) if name else None
    except ConfigError:
        return None
