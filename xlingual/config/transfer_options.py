"""``TransferOptions``: the flags of a training run, without torch or transformers.

``TransferArguments`` adds transformers' ``TrainingArguments``. This half is separate so that
``--help`` is instant.
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
    """Training, model selection and saving.

    Raises:
        ConfigError: Flags that contradict each other; all of them are named at once.
    """

    # Flags of transformers. Those above the blank line have a different default there.
    output_dir: str | None = option(None, "Where the model, checkpoints and results go.")
    learning_rate: float | None = option(None, "Peak learning rate; default: by encoder size.")
    num_train_epochs: float | None = option(
        None, "Passes over the data; default: 3, or up to 20 to reach 200 steps."
    )
    per_device_train_batch_size: int = option(32, "Rows per training batch on each device.")
    per_device_eval_batch_size: int = option(128, "Rows per evaluation batch on each device.")
    warmup_steps: float = option(0.1, "Warm-up steps; below 1, a share of all steps.")
    weight_decay: float = option(0.01, "Weight decay, on matrices only.")
    save_strategy: str = option("epoch", "When to write a checkpoint: no, epoch, steps.")
    save_total_limit: int | None = option(2, "Checkpoints to keep.")
    logging_steps: float = option(50, "Steps between log lines.")

    max_steps: int = option(-1, "Steps to train; overrides num_train_epochs.")
    gradient_accumulation_steps: int = option(1, "Batches per optimizer step.")
    seed: int = option(42, "Seed of initial weights, row order and dropout.")
    resume_from_checkpoint: str | None = option(
        None, "true to continue from the last checkpoint in output_dir, or a checkpoint's folder."
    )
    report_to: str | None = option(
        "none", "Tracking tools to log to, comma-separated: tensorboard, wandb, mlflow, ...; or "
        "none.",
    )  # fmt: skip
    push_to_hub: bool = option(False, "Push the finished model to a hub.")
    hub_model_id: str | None = option(None, "namespace/name on the hub.")

    overwrite_output: bool = option(False, "Write into an output folder that is not empty.")
    source_language: str = option("en", "Language of the labelled data; names its metrics.")
    target_language: str = option("zh", "Language to be served; names its metrics.")
    max_length: int | None = option(
        None,
        "Tokens per row; longer text is truncated; default: 128, or the model's limit if lower.",
    )
    precision: str = option("auto", "auto, fp32, bf16 or fp16 (the weights stay float32).")

    adapter: str | None = option(
        None,
        "none (full fine-tuning), lora, dora or ia3; default: none, or lora above 350 million "
        "parameters without embeddings.",
    )
    adapter_rank: int = option(16, "Rank of LoRA and DoRA.")
    adapter_alpha: int | None = option(None, "Scale of LoRA and DoRA; default: twice the rank.")
    adapter_dropout: float = option(0.0, "Dropout on the adapter's input.")
    adapter_target_modules: list[str] | None = option(
        None, "Names of the modules to adapt; default: all linear layers of the blocks."
    )
    save_base_model: bool = option(
        True, "Save the base model with an adapter, so that the folder loads on its own."
    )

    verify_save: bool = option(
        True, "Load the saved folder and compare its logits with the model's."
    )
    hub_replace_labels: bool = option(False, "Replace a model on the hub that has other labels.")

    freeze_embeddings: bool | None = option(
        None, "Do not train the token embeddings; default: by encoder size."
    )
    freeze_encoder: bool = option(False, "Train the head only.")
    embedding_learning_rate: float | None = option(None, "Learning rate of the token embeddings.")
    propagate_embeddings: bool = option(
        False,
        "After training, move the embeddings of unseen tokens as their seen neighbours moved.",
    )
    head_learning_rate: float | None = option(None, "Learning rate of the head.")
    layer_decay: float = option(1.0, "Learning-rate factor per layer below the last.")
    class_weights: str = option("none", 'none, auto (inverse frequency) or "negative=2,neutral=1".')
    soft_label_weight: float = option(
        0.5, "Weight of the soft label in rows that also have a hard label."
    )
    kd_temperature: float = option(1.0, "Softens the probabilities of teacher and student.")
    target_share: float | None = option(
        None, "Share of target rows in every batch (up-sampled); default: as in the data."
    )
    selection: str = option(
        "last", "The weights to keep: last (a fixed budget), average (the mean of snapshots of the "
        "last half), source_dev (best on source validation) or target_dev (best on target "
        "validation; reported as an oracle).",
    )  # fmt: skip
    early_stopping_patience: int | None = option(
        None, "Stop after this many evaluations without a gain on the selection set."
    )

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ConfigError("; ".join(problems))

    @property
    def selection_language(self) -> str | None:
        """The language of the validation set that selection uses; None if it uses none."""
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
            yield "--freeze_encoder trains the head only; leave out either it or --adapter"
        if self.freeze_embeddings and self.embedding_learning_rate is not None:
            yield "--freeze_embeddings and --embedding_learning_rate exclude each other"
        if self.propagate_embeddings and (self.freeze_embeddings or uses_adapter):
            yield (
                "--propagate_embeddings needs trained embeddings; leave out either it, or "
                "--freeze_embeddings and --adapter"
            )
        if self.early_stopping_patience is not None and self.selection_language is None:
            yield (
                "--early_stopping_patience needs a validation set to stop on: add --selection "
                "source_dev (or target_dev, an oracle)"
            )
        if self.selection_language is not None and self.save_strategy == "no":
            yield f"--selection {self.selection} needs checkpoints; leave out --save_strategy no"

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
