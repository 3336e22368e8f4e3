"""Trim a model's vocabulary: drop the unused tokens and leave everything else unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from xlingual.data.readers.columns import Columns
from xlingual.errors import ConfigError, DataError, ModelLoadError
from xlingual.models.loading import load_tokenizer
from xlingual.models.pypi_encoders import local_path
from xlingual.vocabulary.output_folder import ID_KEYS, copy_unchanged, read_json, write_configs
from xlingual.vocabulary.pieces import KINDS, rebuild
from xlingual.vocabulary.selection import Usage, count_scripts, count_usage, select_tokens
from xlingual.vocabulary.texts import corpus_files, read_texts
from xlingual.vocabulary.trim_report import (
    TrimReport,
    measure_coverage,
    measure_sizes,
    warn_of_mismatch,
)
from xlingual.vocabulary.verification import (
    check_ids,
    compare_pieces,
    plain_backend,
    probe_texts,
)
from xlingual.vocabulary.weight_rows import cut_weights, stored_parameters, weight_files
from xlingual.writing import check_empty, new_folder, write_json

__all__ = ["trim_vocabulary"]

_NUM_LEADING = 1_000  # no tokenizer class hard-codes an id of the unknown token above this


def trim_vocabulary(
    model_folder: str | Path,
    output_dir: str | Path,
    *,
    languages: str | Sequence[str] | None = None,
    corpus: str | Path | Sequence[str | Path] | None = None,
    text_column: str | None = None,
    columns: str | None = None,
    encoding: str | None = None,
    keep_tokens: Iterable[str] = (),
    num_tokens: int | None = None,
) -> TrimReport:
    """Drop the tokens that languages or texts never use, with their embedding and decoder rows.

    The vocabulary is two thirds of a multilingual model (Abdaoui et al. 2020). On text whose pieces
    are all kept, pieces and logits stay the same; ``xlingual.vocabulary.pieces`` says why. A word
    that a WordPiece model reads as *unknown* is only guaranteed to stay unknown if it occurs in the
    corpus.

    Args:
        model_folder: A model in safetensors with a fast tokenizer; with or without a head.
        output_dir: A folder that is empty or does not exist; it is written atomically.
        languages: Keep all tokens in the scripts of these languages (``["en", "zh"]``).
        corpus: Files; all tokens of their texts are kept, and then the pieces of all texts are
            compared. With ``languages``, the union is kept.
        text_column: Column of the texts; guessed from the usual names.
        columns: Names of the columns of files without a header, ``"text,label"``.
        encoding: Encoding of files that are not UTF-8; guessed if left out.
        keep_tokens: Further tokens, as written in the vocabulary.
        num_tokens: Upper limit of the vocabulary. Only tokens that the corpus never uses are
            dropped for it; there is no minimum count, because a rare token is used nonetheless.

    Returns:
        Sizes and coverage, also written to ``trim_report.json``.

    Raises:
        ModelLoadError: The folder holds no such model, or its tokenizer cannot be trimmed.
        ConfigError: Neither languages nor a corpus is given, a token is not in the vocabulary, or
            the limit is too low.
        DataError: The corpus cannot be read, or a text would be split differently.
        OutputError: The output is not empty, or cannot be written.
    """
    folder, output = Path(local_path(str(model_folder))).expanduser(), Path(output_dir).expanduser()
    if not languages and corpus is None:
        raise ConfigError("say what to keep: languages such as en,zh, a corpus, or both")
    if isinstance(languages, str):
        languages = [name for name in map(str.strip, languages.split(",")) if name]
    files = corpus_files(corpus) if corpus is not None else []
    _check_folders(folder, output)
    known = Columns(text_column=text_column, columns=columns, encoding=encoding)
    plan = _plan(folder, partial(read_texts, files, columns=known), keep_tokens,
                 languages=languages, num_tokens=num_tokens)  # fmt: skip
    if files and not plan.usage.num_texts:
        raise DataError(f"{', '.join(files)}: there is no text to read")
    with new_folder(output) as temporary:
        report = _write(plan, folder, temporary, output)
        write_json(temporary / "trim_report.json", report.as_dict())
    warn_of_mismatch(report, languages)
    return report


@dataclass(frozen=True)
class _Plan:
    """The tokens that are kept of a model, and what the decision is based on."""

    texts: Callable[[], Iterator[str]]
    config: dict[str, Any]
    spec: dict[str, Any]
    backend: Tokenizer
    vocabulary: dict[str, int]
    usage: Usage
    kept: set[str]
    without_corpus: set[str]

    @property
    def unknown(self) -> int | None:
        """The id of the unknown token."""
        model = self.spec["model"]
        number = model.get("unk_id")
        return self.vocabulary.get(model.get("unk_token") or "") if number is None else number


def _plan(
    folder: Path,
    texts: Callable[[], Iterator[str]],
    keep_tokens: Iterable[str],
    *,
    languages: Sequence[str] | None,
    num_tokens: int | None,
) -> _Plan:
    config = read_json(folder / "config.json")
    tokenizer, spec = _tokenizer_of(folder)
    backend = plain_backend(tokenizer)
    vocabulary = backend.get_vocab(with_added_tokens=True)
    needed = _named_tokens(tokenizer, config, vocabulary, keep_tokens)
    needed |= _leading_tokens(spec, config, vocabulary)
    usage = count_usage(texts(), backend, spec)
    needed |= {token for token, number in vocabulary.items() if usage.counts[number]}
    needed |= usage.unknown_parts
    kept, without_corpus = select_tokens(
        spec, vocabulary, needed=needed, languages=languages, num_tokens=num_tokens
    )
    return _Plan(texts, config, spec, backend, vocabulary, usage, kept, without_corpus)


def _write(plan: _Plan, folder: Path, temporary: Path, output: Path) -> TrimReport:
    """Write all files, load the tokenizer as users do, and compare it with the old one."""
    trimmed, new_ids = rebuild(plan.spec, plan.kept)
    _check_sizes(folder, plan.config, new_ids)
    copy_unchanged(folder, temporary)
    write_json(temporary / "tokenizer.json", trimmed)
    write_configs(folder, temporary, new_ids)
    rows = sorted(new_ids, key=new_ids.__getitem__)
    cut_weights(folder, temporary, rows=rows, num_rows=plan.config["vocab_size"])

    new = plain_backend(load_tokenizer(str(temporary)))
    check_ids(plan.backend, new, new_ids)
    _probe(plan.backend, new, new_ids, plan.unknown)
    without_corpus = {plan.vocabulary[token] for token in plan.without_corpus}
    num_covered = compare_pieces(
        plan.texts(), plan.backend, new, new_ids, without_corpus=without_corpus
    )
    return TrimReport(
        output_dir=str(output),
        tokenizer_kind=plan.spec["model"]["type"],
        vocabulary_before=plan.config["vocab_size"],
        vocabulary_after=len(new_ids),
        scripts_before=count_scripts(plan.spec, plan.vocabulary),
        scripts_after=count_scripts(plan.spec, plan.kept),
        **measure_sizes(folder, temporary),
        **measure_coverage(plan.usage, without_corpus, num_covered, plan.unknown),
    )


def _check_folders(folder: Path, output: Path) -> None:
    if (folder / "adapter_config.json").is_file():
        raise ModelLoadError(
            f"{folder} is an adapter, whose base would no longer fit it; merge it into its base "
            "first, then trim the merged model"
        )
    if not (folder / "config.json").is_file():
        raise ModelLoadError(
            f"{folder} is not a model folder on this machine: expected config.json, "
            "model.safetensors and tokenizer.json"
        )
    files = weight_files(folder)
    try:
        stored_parameters(files)
    except (OSError, SafetensorError) as error:
        raise ModelLoadError(
            f"{folder}: the weights cannot be read ({error}); copy the model again"
        ) from error
    check_empty(output)


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
    added = {token["content"] for token in spec.get("added_tokens") or []}
    if backend.get_added_vocab().keys() - added:  # some are only in tokenizer_config.json
        spec["added_tokens"] = json.loads(backend.backend_tokenizer.to_str())["added_tokens"]
    model = spec.get("model") or {}
    if "type" not in model:  # files of before 2021 leave it out
        model["type"] = json.loads(backend.backend_tokenizer.to_str())["model"]["type"]
    if model["type"] not in KINDS:
        raise ModelLoadError(
            f"{folder}: expected a tokenizer of the kind {', '.join(KINDS)}; got {model['type']}"
        )
    return tokenizer, spec


def _named_tokens(
    tokenizer: PreTrainedTokenizerBase,
    config: dict[str, Any],
    vocabulary: dict[str, int],
    keep_tokens: Iterable[str],
) -> set[str]:
    """The special tokens of the tokenizer and of the config, and the user's own tokens."""
    own = set(keep_tokens)
    missing = sorted(own - vocabulary.keys())
    if missing:
        raise ConfigError(f"keep_tokens: not in the vocabulary: {', '.join(missing[:5])}")
    ids = {i for key, value in config.items() if key.endswith(ID_KEYS) for i in _as_list(value)}
    by_id = {number: token for token, number in vocabulary.items()}
    return own | set(tokenizer.all_special_tokens) | {by_id[i] for i in ids if i in by_id}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _leading_tokens(
    spec: dict[str, Any], config: dict[str, Any], vocabulary: dict[str, int]
) -> set[str]:
    """The first tokens, up to the last one whose id must not change.

    RoBERTa and its relatives count positions from ``pad_token_id`` on, and the Unigram tokenizer
    classes of transformers hard-code the id of the unknown token. Both ids are small.
    """
    pad, unknown = _position_start(config), spec["model"].get("unk_id")
    last = -1 if pad is None else pad
    if spec["model"]["type"] == "Unigram" and unknown is not None and unknown < _NUM_LEADING:
        last = max(last, unknown)
    return {token for token, number in vocabulary.items() if number <= last}


def _position_start(config: dict[str, Any]) -> int | None:
    """The id of padding if positions may be counted from it; None if it exceeds their number."""
    pad, num_positions = config.get("pad_token_id"), config.get("max_position_embeddings")
    return pad if pad is not None and pad < (num_positions or 0) else None


def _check_sizes(folder: Path, config: dict[str, Any], new_ids: dict[int, int]) -> None:
    if max(new_ids) >= config["vocab_size"]:
        raise ModelLoadError(
            f"{folder}: the tokenizer has ids up to {max(new_ids):,}, but config.vocab_size is "
            f"{config['vocab_size']:,}; resize the embeddings first"
        )
    pad = _position_start(config)
    if pad is not None and new_ids.get(pad, pad) != pad:
        raise ModelLoadError(
            f"{folder}: the padding token would get another id than {pad}, from which some "
            "models count positions; save the tokenizer with the special tokens first"
        )


def _probe(old: Tokenizer, new: Tokenizer, new_ids: dict[int, int], unknown: int | None) -> None:
    """Compare the pieces of the kept tokens as texts, for languages without a corpus."""
    known = {number: new_id for number, new_id in new_ids.items() if number != unknown}
    compare_pieces(
        probe_texts(old, known), old, new, known, without_corpus=set(), only_if_kept=True
    )
