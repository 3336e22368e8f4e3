"""The flags of ``compare``, and the settings of single methods that it passes on."""

from __future__ import annotations

from dataclasses import dataclass, field

from xlingual.config.methods.few_shot import FewShotArguments
from xlingual.config.methods.unlabeled_target import UnlabeledTargetArguments
from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["CompareArguments", "MethodArguments"]


@dataclass
class CompareArguments:
    """The methods to compare, their seeds, and the runs at a time."""

    methods: str | None = option(
        None, "Methods, comma-separated; default: those that the given data allows."
    )
    seeds: list[int] = field(
        default_factory=lambda: [0, 1, 2], metadata={"help": "Every method is run with each seed."}
    )
    num_workers: int | None = option(
        None, "Runs at a time; default: one per GPU, or one after the other."
    )

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"--seeds takes one or more different numbers; got {self.seeds}")
        if self.num_workers is not None and self.num_workers < 1:
            raise ConfigError(f"--num_workers must be at least 1; got {self.num_workers}")


@dataclass
class MethodArguments(FewShotArguments, UnlabeledTargetArguments):
    """Settings of single methods, and extra files that some of them need."""

    dictionary: str | None = option(
        None, "CC-CEDICT, or a file of two tab-separated columns, for code_switching."
    )
    bitext: str | None = option(
        None, "English<TAB>Chinese file(s), comma-separated, for bitext_consistency, "
        "continual_alignment and distill.",
    )  # fmt: skip
    translations: str | None = option(
        None, "File with one translation per row of source_train, for translations."
    )
    teachers: str | None = option(
        None, "Folder(s) or hub id(s) of trained classifiers that read both languages, for distill."
    )

    def __post_init__(self) -> None:
        FewShotArguments.__post_init__(self)
        UnlabeledTargetArguments.__post_init__(self)

    @property
    def files(self) -> dict[str, str]:
        """The given files, by flag."""
        names = ("dictionary", "bitext", "translations", "teachers")
        return {name: value for name in names if (value := getattr(self, name))}
