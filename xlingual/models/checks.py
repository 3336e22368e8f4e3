"""Checks, at load, that a model, its tokenizer and the row length fit each other.

Found later, any of these faults would cost the user a training run.
"""

from __future__ import annotations

import logging
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from xlingual.errors import ConfigError, ModelLoadError
from xlingual.models.parts import base_model_of, pools_last_token

__all__ = ["DEFAULT_MAX_LENGTH", "check_architecture", "check_model", "position_limit"]

logger = logging.getLogger(__name__)

DEFAULT_MAX_LENGTH = 128
"""Tokens per row: enough for most reviews and all headlines, at a quarter of the cost of 512."""

_UNKNOWN_LENGTH = 512  # if neither the model nor its tokenizer states a limit
_POSITION_TABLES = ("position_embeddings", "embed_positions", "positions_embed", "wpe")
_NO_LIMIT = 1_000_000  # a tokenizer without a limit reports a number far above this


def check_architecture(config: Any, auto_class: Any, *, path: str) -> None:
    """Refuse encoder-decoders and architectures without the requested head.

    Args:
        config: The model's config.
        auto_class: The ``AutoModelFor...`` class of the head.
        path: Folder or hub id, for the message.

    Raises:
        ModelLoadError: The architecture is not supported; the message names an alternative.
    """
    advice = "take an encoder such as BERT, XLM-R or ModernBERT"
    head = auto_class.__name__.removeprefix("AutoModelFor")
    if head != "MaskedLM":
        advice += ", or a decoder such as Qwen3 or Llama"
    if config.is_encoder_decoder:
        raise ModelLoadError(
            f"{path} is an encoder-decoder ({config.model_type}), which is not served; {advice}"
        )
    if type(config) not in auto_class._model_mapping:
        raise ModelLoadError(
            f"{path} is of the architecture {config.model_type}, for which transformers has no "
            f"{head} head; {advice}"
        )


def check_model(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int | None = None,
    default: int | None = DEFAULT_MAX_LENGTH,
    takes_pairs: bool = False,
) -> int:
    """Make a model and its tokenizer fit each other, or refuse them before any data is tokenised.

    A tokenizer without a padding token gets one of its own special tokens (what the config names,
    else the end of the text, else the unknown token). A decoder reads its features from the last
    token that is not padding: its config gets the tokenizer's padding token, and rows are padded on
    the right. Both are saved with the model, so that a plain ``pipeline()`` gives the same
    predictions in batches.

    Args:
        model: The model, with or without an adapter; its config is completed in place.
        tokenizer: Its tokenizer; completed in place.
        max_length: Tokens per row, if the user has set it.
        default: Tokens per row otherwise; None: as many as the model is made for.
        takes_pairs: Whether a row has two texts; warns if the tokenizer does not separate them.

    Returns:
        Tokens per row: ``max_length``, or ``default`` capped to what the model can read.

    Raises:
        ModelLoadError: The tokenizer has more tokens than the embedding table has rows, or no token
            to pad with.
        ConfigError: ``max_length`` exceeds the positions of the model, or leaves no room for text.
    """
    base = base_model_of(model)
    _check_embedding_rows(base, tokenizer)
    _set_padding(base, tokenizer)
    special = [tokenizer.num_special_tokens_to_add(pair=pair) for pair in (False, True)]
    if takes_pairs and special[1] <= special[0]:
        logger.warning(
            "the tokenizer puts nothing between the two texts of a pair; end the first with a line "
            "break, or take an encoder"
        )
    return _row_length(base, tokenizer, max_length, default)


def position_limit(model: nn.Module) -> int | None:
    """The longest row that a model has positions for; None if they are relative or rotary."""
    tables = [
        module
        for name, module in base_model_of(model).named_modules()
        if isinstance(module, nn.Embedding) and name.rpartition(".")[2] in _POSITION_TABLES
    ]
    return min((table.num_embeddings - _spare_positions(table) for table in tables), default=None)


def _spare_positions(table: nn.Embedding) -> int:
    """Positions that no token uses: RoBERTa starts after the padding index, OPT at an offset."""
    if table.padding_idx is not None:
        return table.padding_idx + 1
    return int(getattr(table, "offset", 0))


def _check_embedding_rows(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    table: Any = model.get_input_embeddings()
    rows, tokens = table.num_embeddings, max(tokenizer.get_vocab().values(), default=-1) + 1
    if tokens > rows:
        raise ModelLoadError(
            f"the tokenizer has {tokens} tokens, but the embedding table of the model has {rows} "
            "rows; take the tokenizer that belongs to the model, or enlarge the table with "
            f"model.resize_token_embeddings({tokens}) and save the model"
        )


def _set_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    config: Any = model.config.get_text_config()
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = _token_to_pad_with(config, tokenizer)
        logger.info("the tokenizer has no padding token; %r is used", tokenizer.pad_token)
    if pools_last_token(model):
        config.pad_token_id = tokenizer.pad_token_id
        config.use_cache = False  # nothing is generated
        tokenizer.padding_side = "right"  # on the left it would move absolute positions
    elif config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id


def _token_to_pad_with(config: Any, tokenizer: PreTrainedTokenizerBase) -> str:
    named = tokenizer.added_tokens_decoder.get(config.pad_token_id)  # special tokens only
    candidates = (named and str(named), tokenizer.eos_token, tokenizer.unk_token)
    vocabulary = tokenizer.get_vocab()
    token = next((token for token in candidates if token in vocabulary), None)
    if token is None:
        raise ModelLoadError(
            "the tokenizer has no padding token, and no end-of-text or unknown token to use "
            "instead; set tokenizer.pad_token and save the tokenizer"
        )
    return str(token)


def _row_length(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    asked: int | None,
    default: int | None,
) -> int:
    positions = position_limit(model)
    config: Any = model.config.get_text_config()
    trained_on = getattr(config, "max_position_embeddings", None)
    known = [size for size in (positions, trained_on, tokenizer.model_max_length) if size]
    made_for = min((size for size in known if size < _NO_LIMIT), default=None)
    if asked is not None:
        _check_asked(asked, tokenizer, positions)
        if made_for is not None and asked > made_for:
            logger.warning("max_length is %d; the model is made for %d tokens", asked, made_for)
        return asked
    wanted = default or made_for or _UNKNOWN_LENGTH
    length = min(wanted, made_for or wanted)
    if length < wanted:
        logger.info("max_length is %d, all that the model can read (not %d)", length, wanted)
    return length


def _check_asked(asked: int, tokenizer: PreTrainedTokenizerBase, positions: int | None) -> None:
    smallest = tokenizer.num_special_tokens_to_add(pair=True) + 2
    if positions is not None and asked > positions:
        raise ConfigError(
            f"max_length is {asked}, but the model has positions for {positions} tokens; set it to "
            f"{positions} or less, or leave it out"
        )
    if asked < smallest:
        raise ConfigError(
            f"max_length must be at least {smallest}, two more than the special tokens of a row; "
            f"got {asked}"
        )
