"""``TransferArguments``: what transformers' ``TrainingArguments`` say, and what transfer adds."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from xlingual.config.options import ADAPTERS, option
from xlingual.errors import ConfigError

__all__ = ["Preset", "TransferArguments", "enough_epochs", "preset_for"]

SELECTIONS = ("last", "average", "source_dev", "target_dev")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Preset:
    """Settings that fit a size of encoder; a flag that is set always wins."""

    name: str
    learning_rate: float
    adapter_learning_rate: float
    head_learning_rate: float | None
    freeze_embeddings: bool
    adapter: str = "none"


# By parameters of the encoder without its embeddings. Base and large: the usual recipe for XLM-R
# (Conneau et al. 2020) and LoRA at ten times that; small: MiniLM's 5e-5. Tiny is measured on the
# embedded encoder, see the README's table. Very large, beyond XLM-R-large: full fine-tuning takes
# 16 bytes a parameter, and LoRA does as well there (Hu et al. 2022).
_PRESETS = (
    (10_000_000, Preset("tiny", 3e-4, 1e-3, 1e-3, True)),
    (50_000_000, Preset("small", 5e-5, 5e-4, None, False)),
    (200_000_000, Preset("base", 2e-5, 3e-4, None, False)),
    (350_000_000, Preset("large", 1e-5, 2e-4, None, False)),
    (float("inf"), Preset("very large", 1e-5, 2e-4, None, False, adapter="lora")),
)


_ENOUGH_STEPS = 200


def preset_for(num_parameters: int) -> Preset:
    """The preset for an encoder with so many parameters, embeddings not counted."""
    return next(preset for limit, preset in _PRESETS if num_parameters <= limit)


def enough_epochs(steps_per_epoch: float, *, most: float = 20) -> float:
    """At least three, and as many as make 200 steps, but not more than ``most``.

    Three epochs over a few hundred rows stop long before the model has converged; it is steps that
    count (Mosbach et al. 2021, Zhang et al. 2021, on BERT with little data).
    """
    return float(min(most, max(3, math.ceil(_ENOUGH_STEPS / max(1, steps_per_epoch)))))


@dataclass
class TransferArguments(TrainingArguments):
    """Arguments of a transfer run; everything of ``TrainingArguments`` keeps its meaning.

    Defaults that differ from transformers: ``learning_rate`` by the size of the encoder, more
    epochs on few rows, batches of 32, 10% warm-up, weight decay 0.01, a checkpoint each epoch of
    which the last two are kept, and bfloat16 where the hardware computes in it.

    Raises:
        ConfigError: Flags that contradict each other; all of them are named at once.
    """

    output_dir: str | None = option(None, "Where the model, checkpoints and results go.")
    learning_rate: float | None = option(  # type: ignore[assignment]
        None, "Peak learning rate; left out: by encoder size."
    )
    num_train_epochs: float | None = option(  # type: ignore[assignment]
        None, "Passes over the data; left out: 3, or more (up to 20) to make 200 steps."
    )
    per_device_train_batch_size: int = option(32, "Rows of a training batch on one device.")
    per_device_eval_batch_size: int = option(128, "Rows of an evaluation batch on one device.")
    warmup_steps: float = option(0.1, "Warm-up steps, or below 1 a share of all steps.")
    weight_decay: float = option(0.01, "Decay of matrices.")
    save_strategy: str = option("epoch", "When to write a checkpoint: no, epoch, steps.")
    save_total_limit: int | None = option(2, "Checkpoints kept.")
    logging_steps: float = option(50, "Steps between two log lines.")

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
        None, "Stop after so many evaluations without a gain on the selection's set."
    )

    def __post_init__(self) -> None:
        self._check()
        if str(self.resume_from_checkpoint).lower() == "false":
            self.resume_from_checkpoint = None  # a flag's text; to transformers it were a path
        self._choose_precision()
        if self.selection_language is not None:
            self.eval_strategy = self.save_strategy
            if self.eval_steps is None:
                self.eval_steps = self.save_steps
            self.load_best_model_at_end = True
            self.greater_is_better = True
        super().__post_init__()

    def _check(self) -> None:
        """Report all contradictions together, before anything is loaded."""
        problems = []
        uses_adapter = self.adapter not in (None, "none")
        for name, value, allowed in (
            ("adapter", self.adapter, ADAPTERS),
            ("selection", self.selection, SELECTIONS),
            ("precision", self.precision, PRECISIONS),
        ):
            if value not in allowed and not (name == "adapter" and value is None):
                problems.append(f"--{name} takes {', '.join(allowed)}; got {value!r}")
        asked = {name for name in ("bf16", "fp16") if getattr(self, name)} | {self.precision}
        if len(asked - {"auto"}) > 1:
            problems.append("--precision, --bf16 and --fp16 say different things; keep one")
        if self.freeze_encoder and uses_adapter:
            problems.append("--freeze_encoder trains the head only; leave out --adapter, or it")
        if self.freeze_embeddings and self.embedding_learning_rate is not None:
            problems.append("--freeze_embeddings and --embedding_learning_rate exclude each other")
        if self.propagate_embeddings and (self.freeze_embeddings or uses_adapter):
            problems.append(
                "--propagate_embeddings needs a trained embedding table; leave out "
                "--freeze_embeddings and --adapter, or it"
            )
        if self.early_stopping_patience is not None and self.selection_language is None:
            problems.append(
                "--early_stopping_patience needs to know on what: add --selection source_dev "
                "(or target_dev, an oracle)"
            )
        if self.selection_language is not None and self.save_strategy == "no":
            problems.append(
                f"--selection {self.selection} needs checkpoints; drop save_strategy no"
            )
        if self.max_steps < 1 and self.num_train_epochs is not None and self.num_train_epochs <= 0:
            problems.append(f"--num_train_epochs must be above 0; got {self.num_train_epochs}")
        if not 0 < self.layer_decay <= 1:
            problems.append(f"--layer_decay must be in (0, 1]; got {self.layer_decay}")
        if self.target_share is not None and not 0 < self.target_share < 1:
            problems.append(f"--target_share must be between 0 and 1; got {self.target_share}")
        if not 0 <= self.soft_label_weight <= 1:
            problems.append(f"--soft_label_weight must be in [0, 1]; got {self.soft_label_weight}")
        if self.kd_temperature <= 0:
            problems.append(f"--kd_temperature must be above 0; got {self.kd_temperature}")
        for name in ("max_length", "adapter_rank", "per_device_train_batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                problems.append(f"--{name} must be at least 1; got {value}")
        if problems:
            raise ConfigError("; ".join(problems))

    def _choose_precision(self) -> None:
        if self.bf16 or self.fp16:  # the flags of transformers say the same
            self.precision = "bf16" if self.bf16 else "fp16"
        on_gpu = torch.cuda.is_available() and not self.use_cpu
        if not on_gpu and not torch.backends.mps.is_available():
            self.use_cpu = True  # transformers takes bf16 without a GPU only when this is said
        self.fp16 = self.precision == "fp16"
        self.bf16 = self.precision == "bf16" or (self.precision == "auto" and has_bf16(on_gpu))

    @property
    def selection_language(self) -> str | None:
        """The language whose evaluation set the selection looks at; None where it looks at none."""
        languages = {"source_dev": self.source_language, "target_dev": self.target_language}
        return languages.get(self.selection)

    def for_stage(self, name: str, **settings: Any) -> TransferArguments:
        """The arguments of one stage of a run that trains several times.

        Args:
            name: The stage's folder below ``output_dir``.
            settings: What differs in this stage, where the user has not set it.
        """
        stage = copy.copy(self)
        stage.output_dir = str(Path(self.output_dir or ".") / name)
        stage.resume_from_checkpoint = "true" if self.resume_from_checkpoint else None
        stage.push_to_hub = False  # the run is pushed, not its stages
        for key, value in settings.items():
            if getattr(self, key) is None:
                setattr(stage, key, value)
        return stage

    def apply_preset(self, preset: Preset, *, num_rows: int) -> None:
        """Fill what the user left open, by the encoder's size and the number of training rows."""
        if self.adapter is None:
            trains_encoder = not (self.freeze_encoder or self.propagate_embeddings)
            self.adapter = preset.adapter if trains_encoder else "none"
        uses_adapter = self.adapter != "none"
        if self.learning_rate is None:
            self.learning_rate = (
                preset.adapter_learning_rate if uses_adapter else preset.learning_rate
            )
        if self.head_learning_rate is None:
            self.head_learning_rate = preset.head_learning_rate
        if self.freeze_embeddings is None:
            self.freeze_embeddings = (
                preset.freeze_embeddings
                and self.embedding_learning_rate is None
                and not self.propagate_embeddings
            )
        if self.num_train_epochs is None:
            rows_per_step = self.train_batch_size * self.gradient_accumulation_steps
            self.num_train_epochs = enough_epochs(num_rows / (rows_per_step * self.world_size))


def has_bf16(on_gpu: bool) -> bool:
    """Whether bfloat16 is computed natively; emulated it is far slower than float32."""
    if on_gpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
