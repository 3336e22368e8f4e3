"""What each method can be told: a dataclass for every recipe that has flags of its own.

Light on purpose (no torch), as the arguments that all recipes share.
"""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.options import option
from xlingual.config.weights import parse_path_weights
from xlingual.errors import ConfigError

__all__ = [
    "DistillArguments",
    "FewShotArguments",
    "MultiTaskArguments",
    "TranslateTrainArguments",
    "UnlabeledTargetArguments",
    "ZeroShotArguments",
]

REGIMES = ("joint", "sequential")
UNLABELED_TARGET_METHODS = (
    "recommended", "co_training", "self_training", "continued_pretraining", "dann", "cdan", "mmd",
    "coral",
)  # fmt: skip

TRANSLATE_TRAIN_METHODS = (
    "translations", "bitext_consistency", "code_switching", "continual_alignment", "translate_test",
)  # fmt: skip
LOSS_WEIGHTS = ("fixed", "uncertainty")
_ZERO_SHOT_MODEL = (
    "Folder or hub id of a zero-shot model to start from, fine-tuned on the source with the same "
    "labels, for example the --output_dir of zero_shot; left out: it is trained."
)


@dataclass
class ZeroShotArguments:
    """What is added to fine-tuning on the source, and what target text may change afterwards."""

    r_drop_weight: float = option(
        0.0, "R-Drop: two readings of a row, a tenth of its tokens hidden from one, must agree; "
        "1 is mild, 0 is off. Twice the cost.",
    )  # fmt: skip
    correct_label_shift: bool = option(
        False, "Move the output bias to the class shares of --target_unlabeled, where they show."
    )

    def __post_init__(self) -> None:
        if not 0 <= self.r_drop_weight < float("inf"):
            raise ConfigError(f"--r_drop_weight must be at least 0; got {self.r_drop_weight}")


@dataclass
class FewShotArguments:
    """How few labelled target rows are used."""

    shots_per_label: int = option(16, "k: labelled target rows per label.")
    regime: str = option(
        "joint", "joint (source and shots in one run) or sequential (source first, then shots)."
    )
    shot_weight: float = option(
        10.0, "Weight of a shot beside the rows of --target_unlabeled that co-training labels."
    )
    zero_shot_model: str | None = option(None, _ZERO_SHOT_MODEL)

    def __post_init__(self) -> None:
        if self.regime not in REGIMES:
            raise ConfigError(f"--regime takes {', '.join(REGIMES)}; got {self.regime!r}")
        if self.shots_per_label < 1:
            raise ConfigError(f"--shots_per_label must be at least 1; got {self.shots_per_label}")
        if self.shot_weight <= 0:
            raise ConfigError(f"--shot_weight must be above 0; got {self.shot_weight}")

    def check_adapter(self, adapter: str) -> None:
        """Refuse what has no start: an adapter, where a model that is there has none to go on from.

        Raises:
            ConfigError: The sequential regime is to go on from ``zero_shot_model`` by an adapter.
        """
        if self.zero_shot_model and self.regime == "sequential" and adapter != "none":
            raise ConfigError(
                "--regime sequential goes on from --zero_shot_model, which has no adapter to train "
                f"further; leave out --adapter {adapter} or --zero_shot_model, or take --regime "
                "joint"
            )


@dataclass
class UnlabeledTargetArguments:
    """What is done with target text that has no labels."""

    method: str = option(
        "recommended",
        "recommended (co_training, or self_training where the words of the text cannot be asked), "
        "co_training, self_training, continued_pretraining, dann, cdan, mmd or coral.",
    )
    self_training_rounds: int = option(3, "Rounds of pseudo-labels, each with more rows.")
    confidence_threshold: float = option(0.8, "Rows that the teacher is less sure of are not used.")
    pretraining_epochs: float = option(5.0, "Passes over the target text by masked prediction.")
    guard: bool = option(True, "Keep the zero-shot model when the new one shows signs of collapse.")
    zero_shot_model: str | None = option(None, _ZERO_SHOT_MODEL)

    def __post_init__(self) -> None:
        if self.method not in UNLABELED_TARGET_METHODS:
            raise ConfigError(
                f"--method takes {', '.join(UNLABELED_TARGET_METHODS)}; got {self.method!r}"
            )
        if not 0 < self.confidence_threshold < 1:
            raise ConfigError(
                f"--confidence_threshold must be between 0 and 1; got {self.confidence_threshold}"
            )
        if self.self_training_rounds < 1:
            raise ConfigError(
                f"--self_training_rounds must be at least 1; got {self.self_training_rounds}"
            )


@dataclass
class TranslateTrainArguments:
    """What carries the task across: translations, a translator, sentence pairs or a dictionary."""

    method: str | None = option(
        None,
        "translations, bitext_consistency, code_switching, continual_alignment or translate_test; "
        "left out: what is given decides.",
    )
    translations: str | None = option(
        None, "File of translations, a line for each row of source_train (target_test, for "
        'translate_test); "column": the column translation or view_text of the rows themselves.',
    )  # fmt: skip
    translation_model: str | None = option(
        None, "Folder or hub id of a translation model (Marian, NLLB, M2M-100)."
    )
    translation_cache: str | None = option(
        None, "File that keeps what was translated; left out: translations.jsonl in output_dir."
    )
    translation_batch_size: int = option(32, "Texts that are translated at a time.")
    translation_beams: int = option(1, "Beams of the translator; 1 is greedy.")
    consistency: bool = option(
        False, "With translations: also teach each translation what its source row is predicted as."
    )
    bitext: str | None = option(None, "English<TAB>Chinese file(s), comma-separated, maybe .gz.")
    bitext_threshold: float = option(
        0.6, "Sentence pairs that the teacher is less sure of are not used."
    )
    bitext_rows: int = option(30_000, "Sentence pairs used at most.")
    dictionary: str | None = option(None, "CC-CEDICT, or two columns with a tab between them.")
    guard: bool = option(True, "Keep the zero-shot model when the new one shows signs of collapse.")

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
        if self.method not in TRANSLATE_TRAIN_METHODS:
            raise ConfigError(
                f"--method takes {', '.join(TRANSLATE_TRAIN_METHODS)}; got {self.method!r}"
            )
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
        _check_threshold("bitext_threshold", self.bitext_threshold)


@dataclass
class DistillArguments:
    """Whose knowledge is taken over, and on what text."""

    teachers: str | None = option(
        None, "Folder(s) or hub id(s) of trained classifiers, comma-separated, each path[*weight]."
    )
    bitext: str | None = option(
        None, "English<TAB>Chinese file(s): the teachers read the English side, the student the "
        "Chinese one.",
    )  # fmt: skip
    bitext_threshold: float = option(
        0.6, "Sentence pairs that the teachers are less sure of are not used."
    )
    bitext_rows: int = option(30_000, "Sentence pairs used at most.")
    guard: bool = option(False, "Keep a student of the hard labels alone where this one is worse.")

    def __post_init__(self) -> None:
        _check_threshold("bitext_threshold", self.bitext_threshold)
        if self.bitext_rows < 1:
            raise ConfigError(f"--bitext_rows must be at least 1; got {self.bitext_rows}")
        if not self.teacher_weights:
            raise ConfigError("--teachers needs the folder of a trained classifier, or several")

    @property
    def teacher_weights(self) -> dict[str, float]:
        """Weight by teacher, 1 where none was given."""
        given = parse_path_weights(self.teachers or "", flag="--teachers")
        weights = dict(given)
        if len(weights) < len(given):
            raise ConfigError(f"--teachers takes each path once; got {self.teachers!r}")
        return weights


@dataclass
class MultiTaskArguments:
    """How several tasks or domains share one encoder."""

    separate_heads: bool = option(
        False, "The names in source_train are tasks, each with its own labels and head; otherwise "
        "they are domains of one task.",
    )  # fmt: skip
    loss_weights: str = option(
        "fixed", "fixed (those of the data arguments, path*weight) or uncertainty (learnt)."
    )
    sampling_temperature: float = option(
        1.0, "T: rows of small sets are repeated until sizes are as n^(1/T); 1 repeats none."
    )
    guard: bool = option(False, "Keep a model of plain fine-tuning where this one is worse.")

    def __post_init__(self) -> None:
        if self.loss_weights not in LOSS_WEIGHTS:
            raise ConfigError(
                f"--loss_weights takes {', '.join(LOSS_WEIGHTS)}; got {self.loss_weights!r}"
            )
        if not self.sampling_temperature >= 1:
            raise ConfigError(
                f"--sampling_temperature must be at least 1; got {self.sampling_temperature}"
            )
        is_plain = self.loss_weights == "fixed" and self.sampling_temperature == 1
        if self.guard and (self.separate_heads or is_plain):
            raise ConfigError(
                "--guard compares with plain fine-tuning on one head: it needs --loss_weights "
                "uncertainty or a --sampling_temperature above 1, and no --separate_heads"
            )


def _check_threshold(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigError(f"--{name} must be at least 0 and below 1; got {value}")
