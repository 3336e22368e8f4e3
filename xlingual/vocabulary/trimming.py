"""A model without the tokens that nobody will use, and everything else as it was."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from xlingual.errors import ConfigError, DataError, ModelLoadError, OutputError
from xlingual.modeling import load_tokenizer
from xlingual.vocabulary.folders import (
    ID_KEYS,
    carry_along,
    folder_beside,
    read_json,
    write_configs,
    write_json,
)
from xlingual.vocabulary.pieces import KINDS, rebuild
from xlingual.vocabulary.report import TrimReport
from xlingual.vocabulary.selection import Usage, count_usage, select_tokens
from xlingual.vocabulary.texts import batches_of, corpus_files, read_texts
from xlingual.vocabulary.weights import cut_weights, stored_parameters, weight_files

__all__ = ["trim_vocabulary"]

logger = logging.getLogger(__name__)


def trim_vocabulary(
    model_folder: str | Path,
    output_dir: str | Path,
    *,
    languages: Sequence[str] | None = None,
    corpus: str | Path | Sequence[str | Path] | None = None,
    text_column: str | None = None,
    keep_tokens: Iterable[str] = (),
    num_tokens: int | None = None,
) -> TrimReport:
    """Drop the tokens, and their rows of embeddings and decoder, that languages or texts never use.

    Vocabulary takes two thirds of a multilingual model (Abdaoui et al. 2020). On text whose pieces
    are all kept, pieces and logits stay the same; ``xlingual.vocabulary.pieces`` says why. A word
    that a WordPiece model reads as *unknown* is only sure to stay unknown if it stands in the
    corpus.

    Args:
        model_folder: A model in safetensors with a fast tokenizer; with or without a head.
        output_dir: A folder that is empty or not there; written beside and renamed.
        languages: Keep all tokens in their scripts (``["en", "zh"]``), by script alone.
        corpus: Files; all tokens that their texts are cut into are kept, then all texts are
            compared. With ``languages``, the union is kept.
        text_column: Column of the texts; guessed from the usual names.
        keep_tokens: Further tokens, as they stand in the vocabulary.
        num_tokens: Upper limit of the vocabulary. Only tokens that the corpus never uses are left
            out for it; there is no minimum count, because a rare token is used nonetheless.

    Returns:
        Sizes and coverage, also written to ``trim_report.json``.

    Raises:
        ModelLoadError: The folder holds no such model, or its tokenizer cannot be trimmed.
        ConfigError: Nothing says what to keep, a token is not there, or the limit is too low.
        DataError: The corpus cannot be read, or a text would be cut otherwise.
        OutputError: The output is not empty, or cannot be written.
    """
    folder, output = Path(model_folder).expanduser(), Path(output_dir).expanduser()
    if not languages and corpus is None:
        raise ConfigError("say what to keep: languages such as en,zh, a corpus, or both")
    if isinstance(languages, str):
        languages = [name.strip() for name in languages.split(",")]
    files = corpus_files(corpus) if corpus is not None else []
    _check_folders(folder, output)
    config = read_json(folder / "config.json")
    tokenizer, spec = _tokenizer_of(folder)
    backend = _plain(tokenizer)
    vocabulary = backend.get_vocab(with_added_tokens=True)
    needed = _named_tokens(tokenizer, config, vocabulary, keep_tokens)

    usage = count_usage(read_texts(files, text_column=text_column), backend, spec)
    names = {number: token for token, number in vocabulary.items()}
    if files and not usage.num_texts:
        raise DataError(f"{', '.join(files)}: there is no text to read")
    used = {names[number] for number in np.flatnonzero(usage.counts).tolist()}
    kept, alone = select_tokens(
        spec,
        vocabulary,
        needed=needed | used | usage.unknown_parts,
        languages=languages,
        num_tokens=num_tokens,
    )
    trimmed, new_ids = rebuild(spec, kept)
    if max(new_ids) >= config["vocab_size"]:
        raise ModelLoadError(
            f"{folder}: the tokenizer has ids up to {max(new_ids):,}, but config.vocab_size is "
            f"{config['vocab_size']:,}; resize the embeddings first"
        )
    beside = folder_beside(output)
    try:
        carry_along(folder, beside)
        write_json(beside / "tokenizer.json", trimmed)
        write_configs(folder, beside, new_ids)
        cut_weights(folder, beside, rows=sorted(new_ids), num_rows=config["vocab_size"])
        new_backend = _plain(load_tokenizer(str(beside)))
        texts = read_texts(files, text_column=text_column)
        covered = _compare(texts, backend, new_backend, new_ids, {vocabulary[t] for t in alone})
        report = _report(folder, beside, output, spec, usage, covered, config, len(new_ids), alone,
                         vocabulary)  # fmt: skip
        write_json(beside / "trim_report.json", report.as_dict())
        if output.is_dir():
            output.rmdir()
        beside.rename(output)
    except OSError as error:
        if isinstance(error, ModelLoadError):
            raise
        raise OutputError(f"cannot write the trimmed model to {output}: {error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return report


def _check_folders(folder: Path, output: Path) -> None:
    if (folder / "adapter_config.json").is_file():
        raise ModelLoadError(
            f"{folder} is an adapter, whose base would no longer fit it; merge it into its base "
            "first, then trim the merged model"
        )
    if not (folder / "config.json").is_file():
        raise ModelLoadError(
            f"{folder} is no model's folder on this machine: expected config.json, "
            "model.safetensors and tokenizer.json"
        )
    weight_files(folder)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(f"{output} is there and not empty; name another folder, or remove it")


def _tokenizer_of(folder: Path) -> tuple[PreTrainedTokenizerBase, dict[str, Any]]:
    tokenizer = load_tokenizer(str(folder))
    if not tokenizer.is_fast:
        raise ModelLoadError(
            f"{folder} has a slow tokenizer ({type(tokenizer).__name__}) without tokenizer.json; "
            "only fast tokenizers can be trimmed"
        )
    path = folder / "tokenizer.json"
    backend: Any = tokenizer
    spec = read_json(path) if path.is_file() else json.loads(backend.backend_tokenizer.to_str())
    model = spec.get("model") or {}
    if "type" not in model:  # files of before 2021 leave it out
        model["type"] = json.loads(backend.backend_tokenizer.to_str())["model"]["type"]
    if model["type"] not in KINDS:
        raise ModelLoadError(
            f"{folder}: expected a tokenizer of the kind {', '.join(KINDS)}; got {model['type']}"
        )
    return tokenizer, spec


def _plain(tokenizer: Any) -> Tokenizer:
    """The inner tokenizer as it is loaded by transformers, without truncation and padding."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def _named_tokens(
    tokenizer: PreTrainedTokenizerBase,
    config: dict[str, Any],
    vocabulary: dict[str, int],
    keep_tokens: Iterable[str],
) -> set[str]:
    """Special tokens by the tokenizer's and the config's account, and the user's own."""
    own = set(keep_tokens)
    missing = sorted(own - vocabulary.keys())
    if missing:
        raise ConfigError(f"keep_tokens: not in the vocabulary: {', '.join(missing[:5])}")
    ids = {i for key, value in config.items() if key.endswith(ID_KEYS) for i in _as_list(value)}
    by_id = {number: token for token, number in vocabulary.items()}
    return own | set(tokenizer.all_special_tokens) | {by_id[i] for i in ids if i in by_id}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _compare(
    texts: Iterable[str],
    old: Tokenizer,
    new: Tokenizer,
    new_ids: dict[int, int],
    alone: set[int],
) -> int:
    """Cut every text twice; the number of texts that would be covered without having been asked.

    Raises:
        DataError: A text is cut otherwise than before.
    """
    table = np.full(max(old.get_vocab(with_added_tokens=True).values()) + 1, -1)
    table[list(new_ids)] = list(new_ids.values())
    different: list[str] = []
    count = num_texts = covered = 0
    for batch in batches_of(texts):
        pairs = zip(batch, old.encode_batch_fast(batch), new.encode_batch_fast(batch), strict=True)
        for text, before, after in pairs:
            num_texts += 1
            covered += alone.issuperset(before.ids)
            if table[before.ids].tolist() != after.ids:
                count += 1
                different += [text[:60]] if len(different) < 3 else []
    if count:
        raise DataError(
            f"trimming would cut {count:,} of {num_texts:,} texts into other pieces, for example "
            f"{'; '.join(map(repr, different))}; nothing was written"
        )
    return covered


def _report(
    folder: Path,
    beside: Path,
    output: Path,
    spec: dict[str, Any],
    usage: Usage,
    covered: int,
    config: dict[str, Any],
    num_tokens: int,
    alone: set[str],
    vocabulary: dict[str, int],
) -> TrimReport:
    before, after = weight_files(folder), weight_files(beside)
    total = int(usage.counts.sum())
    unknown = vocabulary.get(spec["model"].get("unk_token") or "")
    if spec["model"].get("unk_id") is not None:
        unknown = spec["model"]["unk_id"]
    covered_tokens = int(usage.counts[[vocabulary[token] for token in alone]].sum())
    unknown_tokens = 0 if unknown is None else int(usage.counts[unknown])
    return TrimReport(
        output_dir=str(output),
        tokenizer_kind=spec["model"]["type"],
        vocabulary_before=config["vocab_size"],
        vocabulary_after=num_tokens,
        parameters_before=stored_parameters(before),
        parameters_after=stored_parameters(after),
        bytes_before=_size([*before, folder / "tokenizer.json"]),
        bytes_after=_size([*after, beside / "tokenizer.json"]),
        num_texts=usage.num_texts,
        token_coverage=covered_tokens / total if total else None,
        text_coverage=covered / usage.num_texts if usage.num_texts else None,
        unknown_share=unknown_tokens / total if total else None,
    )


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())
