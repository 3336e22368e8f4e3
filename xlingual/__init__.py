"""Cross-lingual NLP transfer: train where you have labels, be right where you have none.

``import xlingual`` is light: a name is imported from its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlingual.arguments import DataArguments, FewShotArguments, ModelArguments
    from xlingual.cli import run_recipe
    from xlingual.data import (
        Columns,
        TransferData,
        embedded_corpus,
        load_transfer_data,
        mix_domains,
    )
    from xlingual.errors import XlingualError
    from xlingual.evaluation import LabelPredictions, TransferReport
    from xlingual.labels import LabelSpace
    from xlingual.modeling import embedded_encoder, load_model, load_tokenizer
    from xlingual.parsing import parse_arguments
    from xlingual.report import prepare_output_dir, write_report
    from xlingual.tasks import Task, get_task
    from xlingual.trainer import TransferTrainer
    from xlingual.training_args import TransferArguments
    from xlingual.transfer import better_on, sample_few_shot

_HOMES = {
    "Columns": "data",
    "DataArguments": "arguments",
    "FewShotArguments": "arguments",
    "LabelPredictions": "evaluation",
    "LabelSpace": "labels",
    "ModelArguments": "arguments",
    "Task": "tasks",
    "TransferArguments": "training_args",
    "TransferData": "data",
    "TransferReport": "evaluation",
    "TransferTrainer": "trainer",
    "XlingualError": "errors",
    "better_on": "transfer",
    "embedded_corpus": "data",
    "embedded_encoder": "modeling",
    "get_task": "tasks",
    "load_model": "modeling",
    "load_tokenizer": "modeling",
    "load_transfer_data": "data",
    "mix_domains": "data",
    "parse_arguments": "parsing",
    "prepare_output_dir": "report",
    "run_recipe": "cli",
    "sample_few_shot": "transfer",
    "write_report": "report",
}

__all__ = [
    "Columns",
    "DataArguments",
    "FewShotArguments",
    "LabelPredictions",
    "LabelSpace",
    "ModelArguments",
    "Task",
    "TransferArguments",
    "TransferData",
    "TransferReport",
    "TransferTrainer",
    "XlingualError",
    "better_on",
    "embedded_corpus",
    "embedded_encoder",
    "get_task",
    "load_model",
    "load_tokenizer",
    "load_transfer_data",
    "mix_domains",
    "parse_arguments",
    "prepare_output_dir",
    "run_recipe",
    "sample_few_shot",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"xlingual.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
