"""``Stages``: a run that trains more than one model, each in its own folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from xlingual.config.options import ModelArguments
from xlingual.config.training import TransferArguments
from xlingual.data import TransferData
from xlingual.data.mixing import SOURCE
from xlingual.labels import LabelSpace
from xlingual.models.feature_extraction import extract_features
from xlingual.models.features import output_layer
from xlingual.training.output_dir import prepare_output_dir
from xlingual.training.trainer import TransferTrainer
from xlingual.transfer.loss.base import TransferLoss

__all__ = ["Stages"]

logger = logging.getLogger(__name__)


class Stages:
    """The training stages of one run: one encoder, one task, and mostly the same settings.

    ``stages.fit`` is the ``fit`` that ``self_train`` and ``adapt_source_free`` call.

    Args:
        model_args: The encoder that a stage starts from by default.
        args: The settings of the run.
        data: Task, label names, and the sets that are evaluated while training.
    """

    def __init__(
        self, model_args: ModelArguments, args: TransferArguments, data: TransferData
    ) -> None:
        self.encoder = model_args.model_name_or_path
        self.revision = model_args.model_revision
        self.args = args
        self.data = data
        self._taken: dict[TransferTrainer, tuple[str | None, str | None]] = {}

    def fit(
        self,
        stage: str | None,
        rows: Dataset,
        *,
        encoder: str | None = None,
        ready: str | None = None,
        after: TransferTrainer | None = None,
        loss: TransferLoss | Sequence[TransferLoss] | None = None,
        label_space: LabelSpace | None = None,
        freeze_output_layer: bool = False,
        **settings: Any,
    ) -> TransferTrainer:
        """Train a model on rows, or load one that is trained already.

        Args:
            stage: Name of its folder inside the run's folder. None: the run's only training, which
                uses the run's folder.
            rows: The training rows.
            encoder: Folder of another encoder to start from.
            ready: Folder or hub id of a trained model to use as it is.
            after: The model of an earlier stage to continue from.
            loss: Added to the task's loss.
            label_space: Label names other than those of the data; nothing is then evaluated while
                training.
            freeze_output_layer: Train the encoder and leave the output layer as it is.
            **settings: Fields of ``TransferArguments``, used where the user has set nothing.

        Returns:
            The trained model.

        Raises:
            OutputError: The folder holds files, or cannot be written.
            ConfigError: Settings that contradict each other or the data.
        """
        names = label_space or self.data.label_space
        args = self.args.for_stage(stage, **settings)
        if stage is not None and args.target_share and rows.unique("domain") == [SOURCE]:
            logger.info("%s trains on the source only, without --target_share", stage)
            args.target_share = None
        if ready:
            args.adapter = "none"
        checkpoint = prepare_output_dir(args)
        path, revision = self._start(encoder, ready, after)
        trainer = TransferTrainer(
            model=path,
            args=args,
            train_dataset=rows,
            eval_dataset=self.data.selection_sets() if names == self.data.label_space else None,
            task=self.data.task,
            label_space=names,
            model_revision=revision,
            transfer_loss=loss,
        )
        if ready:
            self._taken[trainer] = (path, revision)
            return trainer
        if freeze_output_layer:
            output_layer(trainer.model).requires_grad_(False)
        if after is not None and after not in self._taken:
            trainer.start_from(after)
        trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    def take(self, model: str | PreTrainedModel | None = None) -> TransferTrainer:
        """Load a trained model that no stage trains further, to predict with or to keep.

        Args:
            model: Loaded, a folder or a hub id; None: the model of the run.
        """
        args = self.args.for_stage("")
        args.adapter, args.selection = "none", "last"
        path, revision = (self.encoder, self.revision) if model is None else (model, None)
        trainer = TransferTrainer(
            model=path,
            args=args,
            eval_dataset=self.data.selection_sets(),
            task=self.data.task,
            label_space=self.data.label_space,
            model_revision=revision,
        )
        if not isinstance(path, PreTrainedModel):
            self._taken[trainer] = (path, revision)
        return trainer

    def features(self, trainer: TransferTrainer, rows: Dataset) -> NDArray[np.float32]:
        """The inputs of a model's output layer for rows, shape ``(rows, hidden)``."""
        return extract_features(
            trainer.model,
            rows,
            tokenizer=trainer.processing_class,
            task=self.data.task,
            max_length=trainer.max_length,
            batch_size=self.args.per_device_eval_batch_size,
        )

    def folder(self, stage: str) -> str:
        """The folder of a stage that trains in another way, with the same checks as in ``fit``."""
        args = self.args.for_stage(stage)
        prepare_output_dir(args)
        return str(args.output_dir)

    @property
    def pretraining(self) -> dict[str, Any]:
        """The settings of the run that ``continue_pretraining`` shares."""
        return {
            "max_length": self.args.max_length,
            "bf16": self.args.bf16,
            "seed": self.args.seed,
            "revision": self.revision,
            "resume": bool(self.args.resume_from_checkpoint),
        }

    def _start(
        self, encoder: str | None, ready: str | None, after: TransferTrainer | None
    ) -> tuple[str | None, str | None]:
        """Path and revision to load a stage from; a model that was taken is loaded again."""
        if ready or encoder:
            return ready or encoder, None
        if after is not None and after in self._taken:
            return self._taken[after]
        return self.encoder, self.revision
