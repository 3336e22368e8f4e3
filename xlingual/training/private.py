"""Private fine-tuning: DP-SGD on the rows that are trained on, by opacus."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import math
import secrets
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from torch.nn import LayerNorm
from torch.utils.data import DataLoader
from transformers import TrainerCallback
from transformers.trainer_utils import IntervalStrategy

from xlingual.config.methods import PrivateArguments
from xlingual.config.presets import enough_epochs
from xlingual.config.training import TransferArguments
from xlingual.data.poisson import PoissonBatches
from xlingual.errors import ConfigError, require
from xlingual.evaluation import TransferReport
from xlingual.tasks import IGNORE_INDEX
from xlingual.training.trainer import TransferTrainer

__all__ = ["PrivateTrainer"]

logger = logging.getLogger(__name__)

_ADAPTERS = ("none", "lora")
_ACCOUNT = "private_account.json"
_HEAD_RATE = 0.01


class PrivateTrainer(TransferTrainer):
    r"""A ``TransferTrainer`` whose model hardly depends on any single training row.

    .. math:: g = \frac{1}{qn} \left[ \sum_{i \in B} \nabla \ell_i
              \min\left(1, \frac{C}{\lVert \nabla \ell_i \rVert}\right)
              + \mathcal{N}(0, \sigma^2 C^2 I) \right]

    DP-SGD (Abadi et al. 2016) with Poisson sampling: with or without a given row, the probability
    of any model differs by a factor of at most :math:`e^\epsilon`, up to :math:`\delta`.
    :math:`\sigma` is chosen so that all steps of the run spend :math:`\epsilon`, by opacus' Renyi
    accountant (Mironov et al. 2019). Fewer trained parameters need less noise, so LoRA is trained
    or, without an adapter, the head alone (Yu et al. 2022, Li et al. 2022).

    Twice the steps need far less than twice the noise, so if ``num_train_epochs`` is not set, there
    are at least 200 steps and at least three epochs. If no learning rate is set, a head alone is
    trained at 0.01 for 256 features, and at less for more features (Yang et al. 2022).

    The unit of privacy is one row of ``train_dataset``; a person with many rows is less protected.
    Not covered: the mean training loss that is logged at the end, the scores, predictions and
    calibration temperature on evaluated rows, the number of rows, and the label names. The
    randomness is not cryptographic.

    Args:
        epsilon: :math:`\epsilon`.
        delta: :math:`\delta`.
        clipping_norm: *C*; 0.1 as in Li et al. 2022: with AdamW its scale matters little.
        noise_seed: Makes noise and batches reproducible; None: not reproducible, as privacy needs.
        **kwargs: Those of ``TransferTrainer``.

    Raises:
        ConfigError: Settings that would make the privacy accounting wrong.
        MissingDependencyError: opacus is not installed.
    """

    def __init__(
        self,
        *,
        epsilon: float,
        delta: float,
        clipping_norm: float = 0.1,
        noise_seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        require("opacus", extra="privacy")
        PrivateArguments(epsilon, delta, clipping_norm)
        args = kwargs.pop("args", None) or TransferArguments(output_dir="xlingual-output")
        _check(args, kwargs)
        args = copy.copy(args)
        args.adapter = args.adapter or "none"
        args.freeze_encoder = args.adapter == "none"
        has_rate = args.learning_rate is not None or args.head_learning_rate is not None
        if args.num_train_epochs is None:
            steps = len(kwargs["train_dataset"]) // args.per_device_train_batch_size
            args.num_train_epochs = enough_epochs(steps, most=math.inf)
        self.epsilon, self.delta, self.clipping_norm = epsilon, delta, clipping_norm
        self.noise_seed = noise_seed
        self.noise_multiplier = float("nan")
        self._hooks: Any = None
        self._resumed: Path | None = None
        super().__init__(args=args, **kwargs)
        if args.freeze_encoder and not has_rate:
            self.args.head_learning_rate = _HEAD_RATE * 256 / self.model.config.hidden_size
        # The gradient is clipped row by row; clipping it again would only shrink it.
        self.args.max_grad_norm = 0.0
        self.args.logging_strategy = IntervalStrategy.NO  # losses of private rows are not logged
        _check_rows(self.train_dataset)
        num_rows = len(self.train_dataset)
        size = self.args.per_device_train_batch_size
        self.batches = PoissonBatches(
            num_rows, sample_rate=min(1.0, size / num_rows), seed=noise_seed
        )
        self._noise = torch.Generator(device=self.args.device)
        self.add_callback(_PrivateSteps(self))
        if delta >= 1 / num_rows:
            logger.warning(
                "delta %g is not below 1/%d rows: that would allow publishing a row as it is",
                delta, num_rows,
            )  # fmt: skip
        if noise_seed is not None:
            logger.warning("the noise has a known seed: the result is reproducible and not private")

    def get_train_dataloader(self) -> Any:
        """Poisson batches; an empty one gets a row of weight 0."""
        rows = self._remove_unused_columns(self.train_dataset, description="Training")
        blank = rows.select([0]).remove_columns("weight").add_column("weight", [0.0])
        loader: Any = DataLoader(
            concatenate_datasets([rows, blank.select_columns(rows.column_names)]),
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)

    def _choose_noise(self, num_steps: int) -> float:
        """The noise with which this many steps spend the budget."""
        from opacus.accountants.utils import get_noise_multiplier

        try:
            return get_noise_multiplier(
                target_epsilon=self.epsilon,
                target_delta=self.delta,
                sample_rate=self.batches.sample_rate,
                steps=num_steps,
            )
        except ValueError as error:
            raise ConfigError(
                f"no noise keeps {num_steps} steps within epsilon {self.epsilon:g} and delta "
                f"{self.delta:g} ({error}); raise them, or train for fewer steps"
            ) from error

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Save a checkpoint together with the noise of its steps."""
        super()._save(output_dir, state_dict)
        folder = Path(output_dir or self.args.output_dir or ".")
        if folder.name.startswith("checkpoint-"):
            (folder / _ACCOUNT).write_text(json.dumps(self._account) + "\n", encoding="utf-8")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._resumed = Path(resume_from_checkpoint) / _ACCOUNT

    @property
    def _account(self) -> dict[str, float]:
        return {"noise_multiplier": self.noise_multiplier, "sample_rate": self.batches.sample_rate}

    def _check_resumed(self) -> None:
        """Refuse to resume with other noise: the accounting needs the same noise in all steps."""
        if self._resumed is None:
            return
        known = self._resumed.is_file()
        spent = json.loads(self._resumed.read_text(encoding="utf-8")) if known else None
        if spent != self._account:
            raise ConfigError(
                f"{self._resumed.parent} was made with {spent}, this run has {self._account}: "
                "resume with the same budget, rows, batch size and number of steps, or start again"
            )

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """The usual optimizer, with clipped and noised gradients."""
        from opacus.grad_sample import GradSampleHooks
        from opacus.optimizers import DPOptimizer

        if self.optimizer is None:
            # opacus 1.6 has no rule for a norm without a bias, as in the head of ModernBERT; a
            # layer without a rule is differentiated by torch.func, row by row.
            rules = {k: v for k, v in GradSampleHooks.GRAD_SAMPLERS.items() if k is not LayerNorm}
            hooks: Any = type("_Hooks", (GradSampleHooks,), {"GRAD_SAMPLERS": rules})
            plain = super().create_optimizer(model)
            self.noise_multiplier = self._choose_noise(self.state.max_steps)
            self._check_resumed()
            self._hooks = hooks(self.accelerator.unwrap_model(self.model))
            self.optimizer = DPOptimizer(
                plain,
                noise_multiplier=self.noise_multiplier,
                max_grad_norm=self.clipping_norm,
                expected_batch_size=self.batches.sample_rate * self.batches.num_rows,
                generator=self._noise,
            )
        return self.optimizer

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, then remove the hooks of opacus from the model."""
        try:
            with warnings.catch_warnings():  # the first layer reads frozen embeddings
                warnings.filterwarnings("ignore", message="Full backward hook is firing")
                return super().train(*args, **kwargs)
        finally:
            if self._hooks is not None:
                self._hooks.remove_hooks()
                self._hooks = None

    @property
    def spent_epsilon(self) -> float:
        """The part of the privacy budget spent so far; 0 before the first step."""
        from opacus.accountants import RDPAccountant

        if not self.state.global_step:
            return 0.0
        accountant = RDPAccountant()
        accountant.history = [
            (self.noise_multiplier, self.batches.sample_rate, self.state.global_step)
        ]
        return float(accountant.get_epsilon(self.delta))

    def evaluate_transfer(
        self, *, source: Mapping[str, Dataset], targets: Mapping[str, Dataset]
    ) -> TransferReport:
        """Scores, with the privacy budget spent (``epsilon``, ``delta``) among the costs."""
        report = super().evaluate_transfer(source=source, targets=targets)
        spent = {
            "epsilon": self.spent_epsilon,
            "delta": self.delta,
            "noise_multiplier": self.noise_multiplier,
            "clipping_norm": self.clipping_norm,
        }
        return dataclasses.replace(report, costs={**report.costs, **spent})


class _PrivateSteps(TrainerCallback):
    """The callbacks that opacus needs around a step of ``Trainer``."""

    def __init__(self, trainer: PrivateTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Pass the epoch on to the batches."""
        self.trainer.batches.set_epoch(int(state.epoch))

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Refuse gradients that are not per row, and seed the noise of this step."""
        params = kwargs["optimizer"].param_groups[0]["params"]
        sizes = {len(p.grad_sample) for p in params if p.grad_sample is not None}
        if len(sizes) > 1 or any(p.grad_sample is None for p in params):
            raise ConfigError(
                f"opacus finds no per-row gradient in this model (sizes {sorted(sizes)}); expected "
                "layers that keep the rows of a batch apart: use --adapter lora, or another model"
            )
        seed = self.trainer.noise_seed
        words = np.random.SeedSequence(None if seed is None else [seed, state.global_step, 1])
        fresh = secrets.randbits(63) if seed is None else int(words.generate_state(1, np.uint64)[0])
        self.trainer._noise.manual_seed(fresh % 2**63)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Clear the per-row gradients, which ``Trainer`` does not know about."""
        kwargs["optimizer"].zero_grad()


def _check(args: TransferArguments, kwargs: Mapping[str, Any]) -> None:
    """Refuse settings that read private rows unaccounted for, or mix rows in a gradient."""
    problems = {
        "expected --adapter lora, or none for the head alone": (
            args.adapter not in (None, *_ADAPTERS)
        ),
        "--precision must be fp32": args.bf16 or args.fp16,
        "--gradient_accumulation_steps must be 1: a larger batch is a larger batch size": (
            args.gradient_accumulation_steps != 1
        ),
        "one process on one device only: the noise and accounting of several do not add up; got "
        f"{max(args.world_size, args.n_gpu)}: start it with python and one CUDA_VISIBLE_DEVICES": (
            args.world_size != 1 or args.n_gpu > 1
        ),
        "--selection must be last or average: validation rows are not accounted for": (
            args.selection not in ("last", "average")
        ),
        "--class_weights auto counts private labels; give numbers": args.class_weights == "auto",
        "no transfer loss: it reads rows together": kwargs.get("transfer_loss") is not None,
        "training rows are needed": not len(kwargs.get("train_dataset") or ()),
    }
    if any(problems.values()):
        said = "; ".join(words for words, is_bad in problems.items() if is_bad)
        raise ConfigError(f"private fine-tuning: {said}")


def _check_rows(rows: Any) -> None:
    """Every row must be labelled: the loss is divided by the labels of a batch."""
    labels = np.asarray(rows["labels"][:])
    if (labels == IGNORE_INDEX).any() or "soft_labels" in rows.column_names:
        raise ConfigError("private fine-tuning needs a label for each row; some rows have none")
