"""``TransferOptions``: the flags of a training run, without torch or transformers.

``TransferArguments`` adds what transformers' ``TrainingArguments`` knows besides. This half is kept
apart so that ``--help`` can list it at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xlingual.config.options import ADAPTERS, option
from xlingual.errors import ConfigError

__all__ = ["TransferOptions"]

SELECTIONS = ("last", "average", "source_dev", "target_dev")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass
class TransferOptions:
    """How a model is trained, chosen and saved.

    Raises:
        ConfigError: Flags that contradict each other; all of them are named at once.
    """

    # Flags of transformers. The ones above the blank line have another default there.
    output_dir: str | None = option(None, "Where the model, checkpoints and results go.")
    learning_rate: float | None = option(None, "Peak learning rate; left out: by encoder size.")
    num_train_epochs: float | None = option(
        None, "Passes over the data; left out: 3, or more (up to 20) to make 200 steps."
    )
    per_device_train_batch_size: int = option(32, "Rows of a training batch on one device.")
    per_device_eval_batch_size: int = option(128, "Rows of an evaluation batch on one device.")
    warmup_steps: float = option(0.1, "Warm-up steps, or below 1 a share of all steps.")
    weight_decay: float = option(0.01, "Decay of matrices.")
    save_strategy: str = option("epoch", "When to write a checkpoint: no, epoch, steps.")
    save_total_limit: int | None = option(2, "Checkpoints kept.")
    logging_steps: float = option(50, "Steps between two log lines.")

    max_steps: int = option(-1, "Steps to train, in place of num_train_epochs.")
    gradient_accumulation_steps: int = option(1, "Batches that make one step.")
    seed: int = option(42, "Seed of first weights, order and dropout.")
    resume_from_checkpoint: str | None = option(
        None, "true: continue from the last checkpoint in output_dir; or a checkpoint's folder."
    )
    report_to: str | None = option(
        "none", "Where the log goes besides: tensorboard, wandb, mlflow, ... or none; several "
        "comma-separated.",
    )  # fmt: skip
    push_to_hub: bool = option(False, "Push the finished model to a hub.")
    hub_model_id: str | None = option(None, "namespace/name on the hub.")

    overwrite_output: bool = option(False, "Write into an output folder that holds files.")
    source_language: str = option("en", "Language of the labelled data; names its metrics.")
    target_language: str = option("zh", "Language to be served; names its metrics.")
    max_length: int | None = option(
        None, "Tokens of a row; longer text is truncated; left out: 128, or what the model reads."
    )
    precision: str = option("auto", "auto, fp32, bf16 or fp16 (the weights stay float32).")

    adapter: str | None = option(
        None,
        "none (full fine-tuning), lora, dora or ia3; left out: none, or lora above 350 million "
        "parameters without embeddings.",
    )
    adapter_rank: int = option(16, "Rank of LoRA and DoRA.")
    adapter_alpha: int | None = option(None, "Scale of LoRA and DoRA; left out: twice the rank.")
    adapter_dropout: float = option(0.0, "Dropout before the adapter.")
    adapter_target_modules: list[str] | None = option(
        None, "Module names the adapter goes on; left out: all linear layers of the blocks."
    )
    save_base_model: bool = option(
        True, "Save the base beside an adapter, so that the folder loads by itself with its labels."
    )

    verify_save: bool = option(
        True, "Read the saved folder back and compare its logits with the model's."
    )
    hub_replace_labels: bool = option(False, "Push over a model that has other labels.")

    freeze_embeddings: bool | None = option(
        None, "Do not train the token embeddings; left out: by encoder size."
    )
    freeze_encoder: bool = option(False, "Train the head only.")
    embedding_learning_rate: float | None = option(None, "Learning rate of the token embeddings.")
    propagate_embeddings: bool = option(
        False, "At the end, move embeddings of tokens never seen as their seen neighbours moved."
    )
    head_learning_rate: float | None = option(None, "Learning rate of the head.")
    layer_decay: float = option(1.0, "Factor on the learning rate per layer below the last.")
    class_weights: str = option("none", 'none, auto (inverse frequency) or "negative=2,neutral=1".')
    soft_label_weight: float = option(
        0.5, "Weight of the soft label in rows that have a hard one too."
    )
    kd_temperature: float = option(1.0, "Softens a teacher's probabilities and the student's.")
    target_share: float | None = option(
        None, "Target rows as a share of every batch (up-sampled); left out: as in the data."
    )
    selection: str = option(
        "last", "Which weights are kept: last (a fixed budget), average (the mean of snapshots of "
        "the last half), source_dev (best on source validation) or target_dev (best on target "
        "validation; reported as oracle).",
    )  # fmt: skip
    early_stopping_patience: int | None = option(
        None, "Stop after this many evaluations without a gain on the selection's set."
    )

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ConfigError("; ".join(problems))

    @property
    def selection_language(self) -> str | None:
        """The language whose evaluation set the selection looks at; None where it looks at none."""
        languages = {"source_dev": self.source_language, "target_dev": self.target_language}
        return languages.get(self.selection)

    def _problems(self) -> Iterator[str]:
        """All contradictions, so that they are reported together, before anything is loaded."""
        for name, allowed in (
            ("adapter", (None, *ADAPTERS)),
            ("selection", SELECTIONS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in allowed:
                known = ", ".join(value for value in allowed if value is not None)
                yield f"--{name} takes {known}; got {getattr(self, name)!r}"
        yield from self._contradictions()
        yield from self._out_of_range()

    def _contradictions(self) -> Iterator[str]:
        uses_adapter = self.adapter not in (None, "none")
        if self.freeze_encoder and uses_adapter:
            yield "--freeze_encoder trains the head only; leave out --adapter, or it"
        if self.freeze_embeddings and self.embedding_learning_rate is not None:
            yield "--freeze_embeddings and --embedding_learning_rate exclude each other"
        if self.propagate_embeddings and (self.freeze_embeddings or uses_adapter):
            yield (
                "--propagate_embeddings needs a trained embedding table; leave out "
                "--freeze_embeddings and --adapter, or it"
            )
        if self.early_stopping_patience is not None and self.selection_language is None:
            yield (
                "--early_stopping_patience needs to know on what: add --selection source_dev "
                "(or target_dev, an oracle)"
            )
        if self.selection_language is not None and self.save_strategy == "no":
            yield f"--selection {self.selection} needs checkpoints; drop save_strategy no"

    def _out_of_range(self) -> Iterator[str]:
        if self.max_steps < 1 and self.num_train_epochs is not None and self.num_train_epochs <= 0:
            yield f"--num_train_epochs must be above 0; got {self.num_train_epochs}"
        if not 0 < self.layer_decay <= 1:
            yield f"--layer_decay must be in (0, 1]; got {self.layer_decay}"
        if self.target_share is not None and not 0 < self.target_share < 1:
            yield f"--target_share must be between 0 and 1; got {self.target_share}"
        if not 0 <= self.soft_label_weight <= 1:
            yield f"--soft_label_weight must be in [0, 1]; got {self.soft_label_weight}"
        if self.kd_temperature <= 0:
            yield f"--kd_temperature must be above 0; got {self.kd_temperature}"
        for name in ("max_length", "adapter_rank", "per_device_train_batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                yield f"--{name} must be at least 1; got {value}"
