"""A model without the tokens that nobody will use, and everything else as it was."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
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
from xlingual.vocabulary.scripts import scripts_of
from xlingual.vocabulary.selection import Usage, count_scripts, count_usage, select_tokens
from xlingual.vocabulary.texts import corpus_files, read_texts
from xlingual.vocabulary.verification import (
    check_ids,
    compare_pieces,
    plain_backend,
    probe_texts,
)
from xlingual.vocabulary.weights import cut_weights, stored_parameters, weight_files

__all__ = ["trim_vocabulary"]

logger = logging.getLogger(__name__)

_NUM_LEADING = 1_000  # unknown tokens behind these have no fixed number in any class
_FEW = 0.5


def trim_vocabulary(
    model_folder: str | Path,
    output_dir: str | Path,
    *,
    languages: str | Sequence[str] | None = None,
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
        languages = [name for name in map(str.strip, languages.split(",")) if name]
    files = corpus_files(corpus) if corpus is not None else []
    _check_folders(folder, output)
    config = read_json(folder / "config.json")
    tokenizer, spec = _tokenizer_of(folder)
    backend = plain_backend(tokenizer)
    vocabulary = backend.get_vocab(with_added_tokens=True)
    needed = _named_tokens(tokenizer, config, vocabulary, keep_tokens)
    needed |= _leading_tokens(spec, config, vocabulary)

    usage = count_usage(read_texts(files, text_column=text_column), backend, spec)
    if files and not usage.num_texts:
        raise DataError(f"{', '.join(files)}: there is no text to read")
    used = {token for token, number in vocabulary.items() if usage.counts[number]}
    kept, alone = select_tokens(
        spec,
        vocabulary,
        needed=needed | used | usage.unknown_parts,
        languages=languages,
        num_tokens=num_tokens,
    )
    trimmed, new_ids = rebuild(spec, kept)
    _check_ids(folder, config, new_ids)
    beside = folder_beside(output)
    try:
        carry_along(folder, beside)
        write_json(beside / "tokenizer.json", trimmed)
        write_configs(folder, beside, new_ids)
        rows = sorted(new_ids, key=new_ids.__getitem__)
        cut_weights(folder, beside, rows=rows, num_rows=config["vocab_size"])
        new_backend = plain_backend(load_tokenizer(str(beside)))
        check_ids(backend, new_backend, new_ids)
        _probe(backend, new_backend, new_ids, _unknown_id(spec, vocabulary))
        texts = read_texts(files, text_column=text_column)
        own = {vocabulary[token] for token in alone}
        num_covered = compare_pieces(texts, backend, new_backend, new_ids, alone=own)
        report = TrimReport(
            output_dir=str(output),
            tokenizer_kind=spec["model"]["type"],
            vocabulary_before=config["vocab_size"],
            vocabulary_after=len(new_ids),
            scripts_before=count_scripts(spec, vocabulary),
            scripts_after=count_scripts(spec, kept),
            **_sizes(folder, beside),
            **_coverage(usage, own, num_covered, _unknown_id(spec, vocabulary)),
        )
        write_json(beside / "trim_report.json", report.as_dict())
        if output.is_dir():
            output.rmdir()
        beside.rename(output)
    except (OSError, SafetensorError) as error:
        if isinstance(error, ModelLoadError | OutputError):
            raise
        raise OutputError(f"cannot write the trimmed model to {output}: {error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    _warn(report, languages)
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
    try:
        stored_parameters(weight_files(folder))
    except SafetensorError as error:
        raise ModelLoadError(
            f"{folder}: the weights cannot be read ({error}); copy the model again"
        ) from error
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


def _leading_tokens(
    spec: dict[str, Any], config: dict[str, Any], vocabulary: dict[str, int]
) -> set[str]:
    """Tokens up to those whose number itself matters, which therefore must not change.

    RoBERTa and its kin count positions from ``pad_token_id`` on, and classes of transformers for
    Unigram know the number of the unknown token by heart. Both stand among the first.
    """
    pad, unknown = _position_start(config), spec["model"].get("unk_id")
    last = -1 if pad is None else pad
    if spec["model"]["type"] == "Unigram" and unknown is not None and unknown < _NUM_LEADING:
        last = max(last, unknown)
    return {token for token, number in vocabulary.items() if number <= last}


def _position_start(config: dict[str, Any]) -> int | None:
    """The id of padding where positions may be counted from it: they leave it no room else."""
    pad, num_positions = config.get("pad_token_id"), config.get("max_position_embeddings")
    return pad if pad is not None and pad < (num_positions or 0) else None


def _check_ids(folder: Path, config: dict[str, Any], new_ids: dict[int, int]) -> None:
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
    """Kept tokens as texts, for those languages of which there is no corpus."""
    known = {number: new_id for number, new_id in new_ids.items() if number != unknown}
    compare_pieces(probe_texts(old, known), old, new, known, alone=set(), only_if_kept=True)


def _unknown_id(spec: dict[str, Any], vocabulary: dict[str, int]) -> int | None:
    number = spec["model"].get("unk_id")
    return vocabulary.get(spec["model"].get("unk_token") or "") if number is None else number


def _sizes(folder: Path, beside: Path) -> dict[str, int]:
    sizes = {}
    for moment, place in (("before", folder), ("after", beside)):
        files = weight_files(place)
        sizes[f"parameters_{moment}"] = stored_parameters(files)
        paths = [path for path in [*files, place / "tokenizer.json"] if path.is_file()]
        sizes[f"bytes_{moment}"] = sum(path.stat().st_size for path in paths)
    return sizes


def _coverage(usage: Usage, own: set[int], num_covered: int, unknown: int | None) -> dict[str, Any]:
    total = int(usage.counts.sum())
    if not total:
        return {}
    return {
        "num_texts": usage.num_texts,
        "token_coverage": float(usage.counts[list(own)].sum() / total),
        "text_coverage": num_covered / usage.num_texts,
        "unknown_share": 0.0 if unknown is None else float(usage.counts[unknown] / total),
    }


def _warn(report: TrimReport, languages: Sequence[str] | None) -> None:
    """Say so where model, languages and corpus do not belong together."""
    for language in languages or ():
        scripts = scripts_of([language])
        if not any(report.scripts_before.get(script) for script in scripts):
            logger.warning(
                "the tokenizer has no token in the script of %s: the model was hardly trained on "
                "it, and there was nothing to keep",
                language,
            )
    if languages and report.token_coverage is not None and report.token_coverage < _FEW:
        logger.warning(
            "the scripts of %s write only %.0f%% of the corpus' tokens, the rest was kept for the "
            "corpus alone: do languages and files belong together?",
            ", ".join(languages),
            100 * report.token_coverage,
        )
