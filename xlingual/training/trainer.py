"""``TransferTrainer``: transformers' ``Trainer`` with a task, label names, domains and weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    set_seed,
)

from xlingual.config.training import TransferArguments
from xlingual.data import TransferCollator, TransferSampler, encode
from xlingual.errors import DataError
from xlingual.evaluation import LabelPredictions, TransferReport, score_set
from xlingual.labels import LabelSpace
from xlingual.models.checks import check_model
from xlingual.models.loading import load_tokenizer
from xlingual.models.parts import copy_weights
from xlingual.tasks import Task, get_task
from xlingual.training.assembly import (
    EvalDatasets,
    adapted_model,
    make_objective,
    model_with_head,
    selection_metric,
)
from xlingual.training.callbacks import AverageWeights, LossParts, PropagateEmbeddings, SetEpoch
from xlingual.training.checkpointing import CheckpointingTrainer
from xlingual.training.objective import num_taught
from xlingual.training.parameter_groups import parameter_groups
from xlingual.training.scoring import predict_in_order, quick_scores, training_costs
from xlingual.training.whole_evaluation import WholeEvaluation
from xlingual.transfer.loop.averaging import WeightAverage
from xlingual.transfer.loss.base import TransferLoss

__all__ = ["TransferTrainer"]


class TransferTrainer(WholeEvaluation, CheckpointingTrainer):
    r"""Fine-tunes an encoder on source (and target) rows; the rest is that of ``Trainer``.

    Data sets are given as text: ``Dataset`` in canonical columns (``text``, ``label``, ...), or
    already encoded. The loss is computed from the logits,

    .. math:: L = \frac{1}{N} \sum_i w_i \, \ell_i + R

    with *N* the number of labelled rows in the whole step (over accumulated batches and
    processes), :math:`w_i` the row's weight, :math:`\ell_i` the loss of its hard or soft label, and
    *R* the transfer loss: eight batches of one row give the gradient of one batch of eight.

    Args:
        model: A folder or hub id, a loaded model with a head (and an adapter), or None for the
            embedded encoder.
        args: The run's settings.
        data_collator: Default: pad to the longest row of the batch.
        train_dataset: Rows to train on; ``mix_domains`` makes one set of several.
        eval_dataset: One set or several by name, for example ``{"en": ..., "zh": ...}``.
        processing_class: The tokenizer; default: that of ``model``.
        task: ``"sequence"``, ``"pair"`` or ``"multi_label"``.
        label_space: The label names; default: those of ``train_dataset``.
        model_revision: Branch, tag or commit, where ``model`` is a hub id.
        transfer_loss: Added to the task's loss while training; several are summed.

    Raises:
        ConfigError: Arguments that contradict each other or the data.
        LabelSpaceError: Labels of a set that the label space does not have.
        ModelLoadError: The model cannot be loaded, or does not fit its tokenizer.
    """

    train_dataset: Any

    # The loss is computed here, already divided by the number of labelled rows of the step.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel | str | None = None,
        args: TransferArguments | None = None,
        data_collator: Callable[..., Any] | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: EvalDatasets = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        *,
        task: str | Task = "sequence",
        label_space: LabelSpace | None = None,
        model_revision: str | None = None,
        transfer_loss: TransferLoss | Sequence[TransferLoss] | None = None,
        **kwargs: Any,
    ) -> None:
        args = args if args is not None else TransferArguments(output_dir="xlingual-output")
        self.args = args = copy.copy(args)  # presets are filled in for this run only
        self.task = get_task(task) if isinstance(task, str) else task
        self.train_sampler: TransferSampler | None = None
        self._last_batch = (-1, 0)
        set_seed(args.seed)  # for the initial weights of the head, too
        loaded = model_with_head(
            model,
            task=self.task,
            label_space=label_space,
            train_dataset=train_dataset,
            revision=model_revision,
        )
        self.label_space, self.new_parameters = loaded.label_space, loaded.new_parameters
        self.processing_class = processing_class or load_tokenizer(
            loaded.model.name_or_path, revision=model_revision
        )
        self.max_length = args.max_length = check_model(
            loaded.model,
            self.processing_class,
            max_length=args.max_length,
            takes_pairs=self.task.name == "pair",
        )
        if args.selection_language is not None:
            args.metric_for_best_model = selection_metric(args, eval_dataset, task=self.task)
        num_rows = len(train_dataset or ())
        trained = adapted_model(loaded, args, task=self.task, num_rows=num_rows)
        self.loss_parts, self.average = LossParts(), WeightAverage()
        callbacks = [*(callbacks or []), *self._own_callbacks(args, loaded.model)]
        self.objective = make_objective(
            trained,
            args,
            task=self.task,
            label_space=self.label_space,
            tokenizer=self.processing_class,
            train_dataset=train_dataset,
            transfer_loss=transfer_loss,
        )
        super().__init__(
            model=trained,
            args=args,
            data_collator=data_collator or TransferCollator(self.processing_class),
            train_dataset=self._encoded(train_dataset),
            eval_dataset=(
                {name: self._encoded(rows) for name, rows in eval_dataset.items()}
                if isinstance(eval_dataset, dict)
                else self._encoded(eval_dataset)
            ),
            processing_class=self.processing_class,
            compute_metrics=compute_metrics
            or partial(quick_scores, task=self.task, label_space=self.label_space),
            callbacks=callbacks,
            optimizers=optimizers,
            **kwargs,
        )

    def _own_callbacks(
        self, args: TransferArguments, model: PreTrainedModel
    ) -> Iterator[TrainerCallback]:
        yield SetEpoch(self)
        yield self.loss_parts
        if args.selection == "average":
            yield AverageWeights(self, self.average)
        if args.selection_language is not None and args.early_stopping_patience is not None:
            yield EarlyStoppingCallback(args.early_stopping_patience)
        if args.propagate_embeddings:
            table: Any = model.get_input_embeddings().weight
            yield PropagateEmbeddings(self, table)

    def _encoded(self, dataset: Dataset | None) -> Dataset | None:
        if dataset is None or "input_ids" in dataset.column_names:
            return dataset
        if not len(dataset):
            raise DataError("a data set has no rows; expected at least one")
        return encode(
            dataset,
            tokenizer=self.processing_class,
            task=self.task,
            label_space=self.label_space,
            max_length=self.max_length,
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        """The weighted sum of row losses over the step's labelled rows, plus the transfer loss."""
        batch = self.objective(
            model,
            inputs,
            step=self._batch_number(),
            progress=self.state.global_step / max(1, self.state.max_steps),
        )
        if model.training and num_items_in_batch is not None:
            # The count covers all processes, and gradients are averaged over processes once more.
            task = batch.task * self.accelerator.num_processes / num_items_in_batch
            num_batches = self.current_gradient_accumulation_steps
            loss = task + batch.transfer / num_batches
            if batch.metrics:
                parts = {"loss_task": task.detach() * num_batches, **batch.metrics}
                self.loss_parts.add(parts, weight=1 / num_batches)
        else:
            loss = batch.task / num_taught(inputs).clamp(min=1)
        return (loss, batch.outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, adding its parts to the training loss."""
        if "loss" in logs:
            logs |= self.loss_parts.take_means(self.accelerator)
        super().log(logs, start_time)

    def _batch_number(self) -> int:
        """Number of the batch, over accumulation and processes; the same after a resume."""
        step = self.state.global_step
        last, micro_step = self._last_batch
        self._last_batch = (step, micro_step + 1 if last == step else 0)
        per_step = self.args.gradient_accumulation_steps
        number = step * per_step + self._last_batch[1]
        return number * self.accelerator.num_processes + self.accelerator.process_index

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device
    ) -> torch.Tensor | None:
        """Labelled rows of a whole step: over its accumulated batches, and over processes."""
        if not batch_samples:
            return None
        count = sum(num_taught(batch) for batch in batch_samples)
        count = torch.as_tensor(count, device=device)
        if self.args.world_size > 1:
            count = self.accelerator.gather(count.reshape(1)).sum()
        return count.clamp(min=1)

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            super()._set_signature_columns_if_needed()
            columns: Any = self._signature_columns
            columns += ["domain", "group", "weight", "soft_labels"]
            columns += [f"view_{name}" for name in self.processing_class.model_input_names]

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        rows = self.train_dataset  # the argument has lost the columns the model does not read
        if self.args.train_sampling_strategy != "random" or "length" not in rows.column_names:
            return super()._get_train_sampler(train_dataset)
        self.train_sampler = TransferSampler(
            rows["length"][:],
            batch_size=self._train_batch_size,
            domains=rows["domain"][:],
            target_share=self.args.target_share,
            seed=self.args.data_seed if self.args.data_seed is not None else self.args.seed,
        )
        return self.train_sampler

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW, with separate learning rates for embeddings, layers and head if set."""
        args = self.args
        rates = (args.head_learning_rate, args.embedding_learning_rate)
        if self.optimizer is not None or (rates == (None, None) and args.layer_decay == 1.0):
            return super().create_optimizer(model)
        trained = self.model if model is None else model
        optimizer_class, optimizer_kwargs = self.get_optimizer_cls_and_kwargs(args, self.model)
        groups = parameter_groups(
            self.accelerator.unwrap_model(trained),
            learning_rate=args.learning_rate or 0.0,
            weight_decay=args.weight_decay,
            decay_parameters=set(self.get_decay_parameter_names(trained)),
            head_learning_rate=args.head_learning_rate,
            embedding_learning_rate=args.embedding_learning_rate,
            layer_decay=args.layer_decay,
        )
        self.optimizer = optimizer_class(groups, **optimizer_kwargs)
        return self.optimizer

    def start_from(self, other: TransferTrainer) -> None:
        """Continue from the weights of another trainer; a head with other labels stays new."""
        copy_weights(other.model, self.model, head=self.label_space == other.label_space)

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        """Predict rows, given as text or encoded, in their order."""
        encoded: Any = self._encoded(dataset)
        return predict_in_order(self, encoded, task=self.task)

    def evaluate_transfer(
        self, *, source: Mapping[str, Dataset], targets: Mapping[str, Dataset]
    ) -> TransferReport:
        """Score the trained model on source and target sets, with intervals, gap and costs.

        Args:
            source: Source sets, named as in the metric keys, for example ``{"en": ...}``.
            targets: Target sets, ``{"zh": ...}`` or ``{"zh_hotel": ..., "zh_books": ...}``.
        """
        scores = {
            name: score_set(
                name, self.predict_labels(rows), task=self.task, label_space=self.label_space
            )
            for name, rows in {**source, **targets}.items()
        }
        return TransferReport(
            task=self.task,
            label_space=self.label_space,
            source=[scores[name] for name in source],
            targets=[scores[name] for name in targets],
            selection=self.args.selection,
            costs=training_costs(self),
        )
