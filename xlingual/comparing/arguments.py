"""Which methods and seeds are compared, and what the user said that every run must be told."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from xlingual.comparing.methods import METHODS, NOT_BY_DEFAULT
from xlingual.config.methods import FewShotArguments, UnlabeledTargetArguments
from xlingual.config.options import option
from xlingual.data.corpus import ROLES
from xlingual.errors import ConfigError

__all__ = [
    "CompareArguments",
    "MethodArguments",
    "changed_settings",
    "embedded_roles",
]

# What the comparison sets itself, run by run; what follows from --precision and --selection; and
# what belongs to the comparison as a whole.
_NOT_HANDED_ON = (
    "output_dir", "seed", "overwrite_output", "resume_from_checkpoint", "method", "bf16", "fp16",
    "do_eval", "eval_strategy", "eval_steps", "load_best_model_at_end", "metric_for_best_model",
    "greater_is_better", "run_name", "push_to_hub",
)  # fmt: skip


@dataclass
class CompareArguments:
    """Which methods are compared, with which seeds, how many at a time."""

    methods: str | None = option(
        None, "Methods, comma-separated; left out: those that the given data allows."
    )
    seeds: list[int] = field(
        default_factory=lambda: [0, 1, 2], metadata={"help": "Every method is trained with each."}
    )
    num_workers: int | None = option(
        None, "Runs at a time; left out: one on each GPU, or one after the other."
    )

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"--seeds takes one or more different numbers; got {self.seeds}")
        if self.num_workers is not None and self.num_workers < 1:
            raise ConfigError(f"--num_workers must be at least 1; got {self.num_workers}")

    def choose_methods(
        self,
        data: Container[str],
        *,
        known: Mapping[str, Sequence[str]] | None = None,
        left_out: Sequence[str] = NOT_BY_DEFAULT,
    ) -> list[str]:
        """The methods to run, in the order of ``known``.

        Args:
            data: The flags of data that are there.
            known: The flags of data that each method needs; None: those of the package's methods.
            left_out: Methods that are run only where they are asked for.

        Raises:
            ConfigError: Names that are not known, or methods whose data is not there.
        """
        if known is None:
            known = {name: method.needs for name, method in METHODS.items()}
        lacking = {name: [role for role in known[name] if role not in data] for name in known}
        if self.methods is None:
            return [name for name in known if not lacking[name] and name not in left_out]
        asked = [name.strip() for name in self.methods.split(",") if name.strip()]
        if not asked or not set(asked) <= set(known):
            raise ConfigError(f"--methods takes {', '.join(known)}; got {self.methods!r}")
        if missing := [f"{name} needs --{lacking[name][0]}" for name in asked if lacking[name]]:
            raise ConfigError("; ".join(missing))
        return [name for name in known if name in asked]


@dataclass
class MethodArguments(FewShotArguments, UnlabeledTargetArguments):
    """The settings of single methods, and the files beside the data sets that some need."""

    dictionary: str | None = option(
        None, "CC-CEDICT, or two columns with a tab between them, for code_switching."
    )
    bitext: str | None = option(
        None, "English<TAB>Chinese file(s), comma-separated, for bitext_consistency, "
        "continual_alignment and distill.",
    )  # fmt: skip
    translations: str | None = option(
        None, "File of translations, a line for each row of source_train, for translations."
    )
    teachers: str | None = option(
        None, "Folder(s) or hub id(s) of trained classifiers that read both languages, for distill."
    )

    def __post_init__(self) -> None:
        FewShotArguments.__post_init__(self)
        UnlabeledTargetArguments.__post_init__(self)

    @property
    def files(self) -> dict[str, str]:
        """The files that are given, by the name of the flag."""
        names = ("dictionary", "bitext", "translations", "teachers")
        return {name: value for name in names if (value := getattr(self, name))}


def changed_settings(*configs: Any) -> dict[str, Any]:
    """The fields that differ from their defaults, as plain values for ``--config``.

    Secrets are left out: a run reads them where the comparison did. So is what the comparison sets
    for each run by itself.
    """
    changed: dict[str, Any] = {}
    for config in configs:
        values, defaults = _values(config), _values(type(config)())
        changed |= {
            key: value
            for key, value in values.items()
            if value != defaults[key]
            and key not in _NOT_HANDED_ON
            and not key.endswith("_token")
            and isinstance(value, (str, int, float, bool, list, dict))
        }
    return changed


def _values(config: Any) -> dict[str, Any]:
    values = config.to_dict() if hasattr(config, "to_dict") else dataclasses.asdict(config)
    return {key: value for key, value in values.items() if not key.startswith("_")}


def embedded_roles() -> dict[str, str]:
    """The files of the embedded corpus by role, for runs that mix the roles in their own way."""
    corpus = files("xlingual") / "assets" / "corpus"
    return {role: str(corpus / f"{role}.jsonl") for role in ROLES}
