"""``TransferArguments``: the flags of a training run, including all of transformers'."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from xlingual.config.inherited import refused_flags, takes_parameter_groups
from xlingual.config.optimizers import check_optimizer
from xlingual.config.optional_packages import check_packages
from xlingual.config.precision import has_bf16
from xlingual.config.presets import Preset, enough_epochs
from xlingual.config.transfer_options import TransferOptions

__all__ = ["TransferArguments"]


@dataclass
class TransferArguments(TransferOptions, TrainingArguments):  # type: ignore[misc]
    """Arguments of a transfer run: ``TransferOptions`` and everything in ``TrainingArguments``.

    Defaults that differ from transformers: ``learning_rate`` by the size of the encoder, more
    epochs on few rows, batches of 32, 10% warm-up, weight decay 0.01, a checkpoint after each epoch
    with the last two kept, and bfloat16 where the hardware supports it.

    Raises:
        ConfigError: Flags that contradict each other; all of them are named at once.
    """

    # The task says which column holds the labels; as a flag the name belongs to ``DataArguments``.
    label_names: list[str] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        TransferOptions.__post_init__(self)
        if str(self.resume_from_checkpoint).lower() == "false":
            self.resume_from_checkpoint = None  # transformers would read the word as a path
        if not self.report_to:
            self.report_to = "none"  # an empty list, as transformers writes it into a config
        elif "," in self.report_to:
            names: Any = [name.strip() for name in self.report_to.split(",")]
            self.report_to = names
        check_packages(self, on_gpu=self._is_on_gpu())
        self._choose_precision()
        if self.selection_language is not None:
            self.eval_strategy = self.save_strategy
            if self.eval_steps is None:
                self.eval_steps = self.save_steps
            self.load_best_model_at_end = True
            self.greater_is_better = True
        TrainingArguments.__post_init__(self)
        check_optimizer(self)

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        asked = {name for name in ("bf16", "fp16") if getattr(self, name)} | {self.precision}
        if len(asked - {"auto"}) > 1:
            yield "--precision, --bf16 and --fp16 contradict each other; keep one"
        elif "fp16" in asked and not self._is_on_gpu() and not torch.backends.mps.is_available():
            yield "--precision fp16 needs a GPU; on a CPU use fp32 or bf16"
        yield from refused_flags(self)

    def _is_on_gpu(self) -> bool:
        return torch.cuda.is_available() and not self.use_cpu

    def _choose_precision(self) -> None:
        if self.bf16 or self.fp16:  # transformers' own flags for the same
            self.precision = "bf16" if self.bf16 else "fp16"
        on_gpu = self._is_on_gpu()
        if not on_gpu and not torch.backends.mps.is_available():
            self.use_cpu = True  # without a GPU, transformers accepts bf16 only with this flag
        self.fp16 = self.precision == "fp16"
        self.bf16 = self.precision == "bf16" or (self.precision == "auto" and has_bf16(on_gpu))

    def for_stage(self, name: str | None, **settings: Any) -> TransferArguments:
        """The arguments of one stage of a run that trains several times.

        Args:
            name: The stage's folder below ``output_dir``; None: the run's only training, which is
                resumed and pushed as the run itself.
            settings: Settings of this stage; what the user has set takes precedence.
        """
        stage = copy.copy(self)
        if name is not None:
            stage.output_dir = str(Path(self.output_dir or ".") / name)
            stage.resume_from_checkpoint = "true" if self.resume_from_checkpoint else None
            stage.push_to_hub = False  # the run is pushed, not its stages
        for key, value in settings.items():
            if getattr(self, key) is None:
                setattr(stage, key, value)
        return stage

    def filled_from(self, stage: TransferArguments) -> TransferArguments:
        """These arguments, with what they leave open filled in from a stage of the run."""
        filled = copy.copy(self)
        for name in (setting.name for setting in fields(self)):
            if getattr(filled, name) is None:
                setattr(filled, name, getattr(stage, name))
        return filled

    def apply_preset(self, preset: Preset, *, num_rows: int) -> None:
        """Fill in what the user left open, by encoder size and number of training rows."""
        if self.adapter is None:
            trains_encoder = not (self.freeze_encoder or self.propagate_embeddings)
            self.adapter = preset.adapter if trains_encoder else "none"
        uses_adapter = self.adapter != "none"
        if self.learning_rate is None:
            self.learning_rate = (
                preset.adapter_learning_rate if uses_adapter else preset.learning_rate
            )
        if self.head_learning_rate is None and takes_parameter_groups(self.optim):
            self.head_learning_rate = preset.head_learning_rate
        if self.freeze_embeddings is None:
            self.freeze_embeddings = (
                preset.freeze_embeddings
                and self.embedding_learning_rate is None
                and not self.propagate_embeddings
            )
        if self.num_train_epochs is None:
            rows_per_step = self.train_batch_size * self.gradient_accumulation_steps
            self.num_train_epochs = enough_epochs(
                num_rows / (rows_per_step * self.world_size),
                min_epochs=preset.min_epochs,
                min_steps=preset.min_steps,
            )
