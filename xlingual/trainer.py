"""``TransferTrainer``: transformers' ``Trainer`` with a task, label names, domains and weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from datasets import Dataset
from torch import nn
from transformers import (
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    set_seed,
)

from xlingual.adapters import add_adapter, complete_saved_model
from xlingual.data import TransferSampler, encode, label_space_of
from xlingual.errors import ConfigError, DataError
from xlingual.evaluation import LabelPredictions, TransferReport, score_set
from xlingual.labels import LabelSpace
from xlingual.modeling import (
    LoadedModel,
    copy_weights,
    count_parameters,
    freeze,
    load_model,
    load_tokenizer,
    name_labels,
    own_label_space,
    parameter_groups,
)
from xlingual.scoring import predict_in_order, quick_scores, training_costs
from xlingual.tasks import Task, get_task, num_labelled
from xlingual.training_args import TransferArguments, preset_for
from xlingual.weights import resolve_class_weights

__all__ = ["TransferTrainer"]

EvalDatasets: TypeAlias = "Dataset | dict[str, Dataset] | None"


class _SetEpoch(TrainerCallback):
    """Tells the sampler which epoch begins.

    The loader does so too, but not below the two wrappers that a resumed, distributed run puts
    around the batch sampler; there the order would be that of epoch 0.
    """

    def __init__(self, trainer: TransferTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.trainer.train_sampler is not None:
            self.trainer.train_sampler.set_epoch(int(state.epoch))


class TransferTrainer(Trainer):
    r"""Fine-tunes an encoder on source (and target) rows; everything else is ``Trainer``'s.

    Data sets are given as text: ``Dataset`` in canonical columns (``text``, ``label``, ...), or
    already encoded. The loss is computed from the logits,

    .. math:: L = \frac{1}{N} \sum_i w_i \, \ell_i

    with *N* the number of labelled rows in the whole step (over accumulated batches and
    processes), :math:`w_i` the row's weight and :math:`\ell_i` the task's loss: eight batches of
    one row give the gradient of one batch of eight.

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

    Raises:
        ConfigError: Arguments that contradict each other or the data.
        LabelSpaceError: Labels of a set that the label space does not have.
        ModelLoadError: The model cannot be loaded.
    """

    args: TransferArguments
    model: Any  # a PreTrainedModel, or a PeftModel around one
    processing_class: PreTrainedTokenizerBase
    train_dataset: Any

    # The loss is ours and already divided by all labelled rows of the step.
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
        **kwargs: Any,
    ) -> None:
        args = args if args is not None else TransferArguments(output_dir="xlingual-output")
        self.args = args = copy.copy(args)  # the presets filled in below are this run's own
        self.task = get_task(task) if isinstance(task, str) else task
        self.train_sampler: TransferSampler | None = None
        set_seed(args.seed)  # the head's first weights are part of what a seed decides
        loaded = self._load(model, label_space, train_dataset, model_revision)
        self.label_space, self.new_parameters = loaded.label_space, loaded.new_parameters
        self.processing_class = processing_class or load_tokenizer(
            loaded.model.name_or_path, revision=model_revision
        )
        self.class_weights = resolve_class_weights(
            args.class_weights, train_dataset, task=self.task, label_space=self.label_space
        )
        callbacks = [*(callbacks or []), _SetEpoch(self)]
        if args.selection_language is not None:
            args.metric_for_best_model = self._selection_metric(eval_dataset)
            if args.early_stopping_patience is not None:
                callbacks.append(EarlyStoppingCallback(args.early_stopping_patience))
        super().__init__(
            model=self._adapted(loaded.model, num_rows=len(train_dataset or ())),
            args=args,
            data_collator=data_collator or DataCollatorWithPadding(self.processing_class),
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

    def _load(
        self,
        model: PreTrainedModel | str | None,
        label_space: LabelSpace | None,
        train_dataset: Dataset | None,
        revision: str | None,
    ) -> LoadedModel:
        """The model with the task's head; one that is given loaded keeps the head it has."""
        names = label_space or own_label_space(model) or label_space_of(train_dataset, self.task)
        if isinstance(model, nn.Module):
            return LoadedModel(model, name_labels(model, names), frozenset())
        return load_model(model, task=self.task, label_space=names, revision=revision)

    def _adapted(self, model: PreTrainedModel, *, num_rows: int) -> nn.Module:
        """Settings by size, then what is frozen, then the adapter."""
        args = self.args
        embeddings = count_parameters(model.get_input_embeddings())
        preset = preset_for(count_parameters(model.base_model) - embeddings)
        args.apply_preset(preset, num_rows=num_rows)
        freeze(model, embeddings=bool(args.freeze_embeddings), encoder=args.freeze_encoder)
        if args.adapter == "none" or hasattr(model, "peft_config"):
            return model
        return add_adapter(
            model,
            kind=args.adapter,
            task=self.task,
            new_parameters=self.new_parameters,
            rank=args.adapter_rank,
            alpha=args.adapter_alpha,
            dropout=args.adapter_dropout,
            target_modules=args.adapter_target_modules,
        )

    def _selection_metric(self, eval_dataset: EvalDatasets) -> str:
        """The key that selection watches, checked before the first step and not after an epoch."""
        language = self.args.selection_language
        names = list(eval_dataset) if isinstance(eval_dataset, dict) else []
        if language not in names:
            raise ConfigError(
                f"--selection {self.args.selection} needs an evaluation set named {language!r}; "
                f"got {', '.join(names) or 'none by name'}; give --source_validation (source_dev) "
                "or --target_validation (target_dev)"
            )
        return f"eval_{language}_{self.task.primary_metric}"

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
            max_length=self.args.max_length,
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        """The weighted mean of the task's row losses, over all labelled rows of the step."""
        columns = ("labels", "domain", "weight")  # ours, not the model's
        labels = inputs["labels"]
        outputs = model(**{name: v for name, v in inputs.items() if name not in columns})
        weights = self.class_weights
        losses = self.task.loss_per_row(
            outputs.logits,
            labels,
            class_weights=None if weights is None else weights.to(labels.device),
            label_smoothing=self.args.label_smoothing_factor,
        )
        loss = (losses * inputs.get("weight", 1.0)).sum()
        if model.training and num_items_in_batch is not None:
            # The count is that of all processes, over which the gradients are averaged again.
            loss = loss * self.accelerator.num_processes / num_items_in_batch
        else:
            loss = loss / num_labelled(labels).clamp(min=1)
        return (loss, outputs) if return_outputs else loss

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device
    ) -> torch.Tensor | None:
        """Labelled rows of a whole step: over its accumulated batches, and over processes."""
        if not batch_samples:
            return None
        count = sum(num_labelled(batch["labels"]) for batch in batch_samples)
        count = torch.as_tensor(count, device=device)
        if self.args.world_size > 1:
            count = self.accelerator.gather(count.reshape(1)).sum()
        return count.clamp(min=1)

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            super()._set_signature_columns_if_needed()
            columns: Any = self._signature_columns
            columns += ["domain", "weight"]

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
        """AdamW, with learning rates of their own for embeddings, layers and head where set."""
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
        """Go on from what another trainer has learnt; a head of other labels starts anew."""
        copy_weights(other.model, self.model, head=self.label_space == other.label_space)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Also make a final folder load by itself, with label names that can be read."""
        super()._save(output_dir, state_dict)
        folder = Path(output_dir or self.args.output_dir or ".")
        if not folder.name.startswith("checkpoint-"):
            complete_saved_model(self.model, folder, save_base=self.args.save_base_model)

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        """Predict a set of rows, given as text or encoded, in the order they are in."""
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
