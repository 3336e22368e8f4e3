"""Translations from the user or a model, cached so that an interrupted run can resume."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from xlingual.data import TransferData, check_translations, read_translations
from xlingual.errors import OutputError
from xlingual.translation.translator import Translator

__all__ = ["translate_texts", "translations_of"]

logger = logging.getLogger(__name__)


def translate_texts(
    texts: Sequence[str],
    model_name_or_path: str | Path,
    *,
    source_language: str = "en",
    target_language: str = "zh",
    cache: str | Path | None = None,
    batch_size: int = 32,
    max_length: int = 256,
    num_beams: int = 1,
    device: str | torch.device | None = None,
    revision: str | None = None,
) -> dict[str, str]:
    """Translate texts in batches of similar length, and reuse translations in the cache.

    Every finished batch is appended to the cache, so an interrupted run resumes where it stopped.
    With several processes the first one translates while the others wait: translate a large set
    beforehand in a single process, and pass its cache to the run.

    Args:
        texts: The texts; repeated ones are translated once.
        model_name_or_path: See :class:`Translator`.
        source_language: Language of the texts.
        target_language: Language to translate into.
        cache: JSON Lines file of texts and translations, created if it does not exist; it may also
            hold those of other models and directions. None disables caching.
        batch_size: Texts per batch.
        max_length: Most tokens of a text.
        num_beams: Beams of the search.
        device: None is the GPU if there is one.
        revision: Branch, tag or commit on the hub.

    Returns:
        Translation by text.

    Raises:
        ModelLoadError: The model cannot be loaded.
        ConfigError: It does not support the languages.
        OutputError: The cache cannot be written.
    """
    key = {
        "model": _fingerprint(model_name_or_path, revision),
        "direction": f"{source_language}-{target_language}",
        "decoding": f"max_length={max_length} num_beams={num_beams}",
    }
    with PartialState().main_process_first() if cache is not None else nullcontext():
        known = _read_cache(cache, key) if cache is not None else {}
        wanted = sorted({text for text in texts if text not in known}, key=lambda t: (-len(t), t))
        if wanted:
            logger.warning("translating %d texts (%d are in the cache)", len(wanted), len(known))
            translator = Translator(
                model_name_or_path,
                source_language=source_language,
                target_language=target_language,
                max_length=max_length,
                num_beams=num_beams,
                device=device,
                revision=revision,
            )
            for start in range(0, len(wanted), batch_size):
                batch = wanted[start : start + batch_size]
                done = dict(zip(batch, translator.translate(batch), strict=True))
                known |= done
                if cache is not None:
                    _append(cache, key, done)
    return {text: known[text] for text in dict.fromkeys(texts)}


def translations_of(
    data: TransferData,
    *,
    role: str = "source_train",
    given: str | None = None,
    model: str | None = None,
    **decoding: Any,
) -> dict[str, str]:
    """The translations from the user or a model; empty if neither is given.

    Source sets are translated into the target language, target sets into the source language.

    Args:
        data: The sets of a run.
        role: The role whose sets are translated.
        given: A file with one line per row, or ``"column"``.
        model: A folder or hub id, for :func:`translate_texts`.
        decoding: Further arguments of :func:`translate_texts`.

    Raises:
        DataError: The translations do not fit the rows or are in another language.
        ModelLoadError: The model cannot be loaded.
    """
    if given is not None:
        return read_translations(None if given == "column" else given, data, role=role)
    if model is None:
        return {}
    languages = (data.source_language, data.target_language)
    source, target = languages if role.startswith("source") else languages[::-1]
    made = translate_texts(
        data.texts(role), model, source_language=source, target_language=target, **decoding
    )
    check_translations(made, language=target, where=model)
    return made


def _fingerprint(model_name_or_path: str | Path, revision: str | None) -> str:
    """Identify a model: a hub id by name and revision, a folder by its content."""
    folder = Path(model_name_or_path)
    if not folder.is_dir():
        return f"{model_name_or_path}@{revision or 'main'}"
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        size = path.stat().st_size
        digest.update(f"{path.name} {size} ".encode())
        with path.open("rb") as file:  # the end of the weights distinguishes two trainings
            file.seek(max(0, size - 2**20))
            digest.update(file.read())
    return f"{folder.name}#{digest.hexdigest()[:12]}"


def _read_cache(cache: str | Path, key: dict[str, str]) -> dict[str, str]:
    """The translations of this model; a line that an interrupted run left unfinished is skipped."""
    path = Path(cache)
    known = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                entry = json.loads(line)
                if all(entry[name] == value for name, value in key.items()):
                    known[str(entry["text"])] = str(entry["translation"])
            except (ValueError, KeyError, TypeError):
                continue
    return known


def _append(cache: str | Path, key: dict[str, str], done: dict[str, str]) -> None:
    path = Path(cache)
    lines = [
        json.dumps({**key, "text": text, "translation": translation}, ensure_ascii=False) + "\n"
        for text, translation in done.items()
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            if file.tell():  # a truncated line must not swallow the next one
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write("".join(lines).encode("utf-8"))
    except OSError as error:
        raise OutputError(f"the translation cache {path} cannot be written: {error}") from error
