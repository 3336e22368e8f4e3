"""The end of a run: save the model that it keeps, evaluate it, write the report, and push it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from datasets import Dataset

from xlingual.config.options import ModelArguments
from xlingual.config.training import TransferArguments
from xlingual.data import TransferData
from xlingual.evaluation import TransferReport
from xlingual.reporting.run_files import write_report
from xlingual.training.pushing import push_run
from xlingual.training.trainer import TransferTrainer

__all__ = ["finish_run"]


def finish_run(
    trainer: TransferTrainer,
    data: TransferData,
    args: TransferArguments,
    model_args: ModelArguments | None = None,
    method_args: Any = None,
    *,
    report: TransferReport | None = None,
    targets: Mapping[str, Dataset] | None = None,
    say: Callable[[str], object] | None = None,
) -> TransferReport:
    """Save the model that a run keeps, evaluate it, write its report, and push it if asked to.

    The model is saved first: no label of ``target_test`` is read before that, and an error in the
    evaluation does not lose it.

    Args:
        trainer: The model, of any stage; called on all processes.
        data: The evaluated sets: ``source_validation``, if the model has its labels, and
            ``target_test``.
        args: The settings of the run; those left open are written as ``trainer`` has filled them.
        model_args: For ``run_config.yaml`` and the model card.
        method_args: The same.
        report: A report on the source; only the targets are then evaluated.
        targets: The target sets, if they are not those of ``target_test``.
        say: Called on the main process with the text for the user, the table and the folder, before
            anything is pushed. Recipes pass ``print``; None: nothing is said.

    Returns:
        The report.

    Raises:
        XlingualError: The model cannot be saved or pushed.
    """
    folder = args.output_dir or "."
    trainer.save_model(folder)
    source = data.evaluation_sets("source_validation")
    targets = data.evaluation_sets("target_test") if targets is None else targets
    if report is None:
        has_its_labels = trainer.label_space == data.label_space
        report = trainer.evaluate_transfer(source=source if has_its_labels else {}, targets=targets)
    else:
        found = trainer.evaluate_transfer(source={}, targets=targets)
        report = replace(report, targets=found.targets)
    if trainer.is_world_process_zero():
        write_report(
            folder,
            report,
            model_args=model_args,
            method_args=method_args,
            args=args.filled_from(trainer.args),
            rows={**source, **targets},
            data=data,
        )
        if say is not None:
            say(report.table())
            say(f"saved: {folder}")
    if trainer.args.push_to_hub:
        trainer.push_to_hub()
    elif args.push_to_hub:
        push_run(args)
    return report
