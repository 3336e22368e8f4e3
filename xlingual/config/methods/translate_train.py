"""The flags of ``translate_train``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.checks import check_choice, check_threshold
from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["TRANSLATE_TRAIN_METHODS", "TranslateTrainArguments"]

TRANSLATE_TRAIN_METHODS = (
    "translations", "bitext_consistency", "code_switching", "continual_alignment", "translate_test",
)  # fmt: skip


@dataclass
class TranslateTrainArguments:
    """Transfer by translations, a translator, sentence pairs or a dictionary."""

    method: str | None = option(
        None,
        "translations, bitext_consistency, code_switching, continual_alignment or translate_test; "
        "default: by the files that are given.",
    )
    translations: str | None = option(
        None, "File with one translation per row of source_train (of target_test for "
        'translate_test), or "column" for the column translation or view_text of the rows.',
    )  # fmt: skip
    translation_model: str | None = option(
        None, "Folder or hub id of a translation model (Marian, NLLB, M2M-100)."
    )
    translation_cache: str | None = option(
        None, "File that keeps translations; default: translations.jsonl in output_dir."
    )
    translation_batch_size: int = option(32, "Texts translated at a time.")
    translation_beams: int = option(1, "Beams of the translator; 1 is greedy.")
    consistency: bool = option(
        False, "With translations: also train a translation to be predicted as its source row is."
    )
    bitext: str | None = option(
        None, "English<TAB>Chinese file(s), comma-separated, gzipped or not."
    )
    bitext_threshold: float = option(0.6, "Minimum confidence of the teacher in a sentence pair.")
    bitext_rows: int = option(30_000, "Maximum number of sentence pairs.")
    dictionary: str | None = option(None, "CC-CEDICT, or a file of two tab-separated columns.")
    guard: bool = option(True, "Keep the zero-shot model if the new one shows signs of collapse.")

    def __post_init__(self) -> None:
        given = {
            "translations": bool(self.translations or self.translation_model),
            "bitext_consistency": bool(self.bitext),
            "code_switching": bool(self.dictionary),
        }
        needed = {
            "translations": "--translations or --translation_model",
            "bitext_consistency": "--bitext",
            "code_switching": "--dictionary",
        }
        if self.method is None:
            found = [name for name, is_given in given.items() if is_given]
            if len(found) != 1:
                raise ConfigError(
                    f"give one of {', '.join(needed.values())}, or say with --method which of "
                    f"them to use; got {', '.join(needed[name] for name in found) or 'none'}"
                )
            self.method = found[0]
        check_choice("method", self.method, TRANSLATE_TRAIN_METHODS)
        same = {"translate_test": "translations", "continual_alignment": "bitext_consistency"}
        kind = same.get(self.method, self.method)
        if not given[kind]:
            raise ConfigError(f"--method {self.method} needs {needed[kind]}")
        if unused := [name for name in given if given[name] and name != kind]:
            raise ConfigError(
                f"--method {self.method} does not use {needed[unused[0]]}; leave it out"
            )
        if self.translations and self.translation_model:
            raise ConfigError("--translations and --translation_model exclude each other")
        if min(self.translation_batch_size, self.translation_beams, self.bitext_rows) < 1:
            raise ConfigError(
                "--translation_batch_size, --translation_beams and --bitext_rows must be at least 1"
            )
        check_threshold("bitext_threshold", self.bitext_threshold)
