"""Train with each loss of the seam in turn and save the weights: ``main(model, out)``.

Run by the playlist in two processes, and by a test in its own with accumulated batches.
"""

from __future__ import annotations

import json
from pathlib import Path

from accelerate import PartialState
from datasets import Dataset
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer

from tests.conftest import NEGATIVE, POSITIVE
from xlingual import LabelSpace, TransferArguments, TransferTrainer, mix_domains
from xlingual.data.bitext import Bitext
from xlingual.transfer.data.code_switching import code_switch
from xlingual.transfer.loss.base import TransferLoss
from xlingual.transfer.loss.bitext_contrast import BitextContrastLoss, encode_pairs
from xlingual.transfer.loss.cdan import ConditionalAdversarialLoss
from xlingual.transfer.loss.consistency import ConsistencyLoss
from xlingual.transfer.loss.coral import CoralLoss
from xlingual.transfer.loss.dann import DomainAdversarialLoss
from xlingual.transfer.loss.mmd import MaximumMeanDiscrepancyLoss
from xlingual.transfer.loss.r_drop import RDropLoss

SPACE = LabelSpace(("negative", "positive"))
PAIRS = POSITIVE + NEGATIVE
WORDS = {"room": ["房间"], "clean": ["干净"], "bed": ["床"], "staff": ["服务员", "工作人员"]}
LOSSES = ("r_drop", "consistency", "dann", "cdan", "mmd", "coral", "bitext_contrast")


def make_losses(model: str) -> dict[str, TransferLoss]:
    """One of each, set so that a few steps show it."""
    english, chinese = map(list, zip(*PAIRS, strict=True))
    tokenizer = AutoTokenizer.from_pretrained(model)
    pairs = encode_pairs(Bitext("pairs", english, chinese), tokenizer=tokenizer)
    losses = (
        RDropLoss(weight=2.0, token_cutoff=0.2),
        ConsistencyLoss(weight=2.0),
        DomainAdversarialLoss(scale=1.0),
        ConditionalAdversarialLoss(scale=1.0),
        MaximumMeanDiscrepancyLoss(),
        CoralLoss(weight=10.0),
        BitextContrastLoss(pairs, step_share=0.5, num_pairs=4),
    )
    return dict(zip(LOSSES, losses, strict=True))


def training_rows() -> Dataset:
    """English rows with labels, Chinese ones without, and words of the English ones switched."""
    labels = ["positive"] * len(POSITIVE) + ["negative"] * len(NEGATIVE)
    english = Dataset.from_dict({"text": [en for en, _ in PAIRS] * 2, "label": labels * 2})
    chinese = Dataset.from_dict({"text": [zh for _, zh in PAIRS]})
    mixed = mix_domains({"en": english}, {"zh": chinese})
    return code_switch(mixed, WORDS, sentence_probability=1.0, token_probability=0.5)


def train(
    model: str, out: str, loss: TransferLoss | None, accumulation: int
) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Two epochs by plain gradient descent: the weights, discriminators included, and the log."""
    trainer = TransferTrainer(
        model,
        TransferArguments(
            output_dir=out,
            precision="fp32",
            per_device_train_batch_size=4,
            gradient_accumulation_steps=accumulation,
            num_train_epochs=2,
            learning_rate=0.05,
            head_learning_rate=0.05,
            optim="sgd",  # no adaptive step sizes: they would hide a factor on the gradient
            max_grad_norm=0,
            freeze_embeddings=False,
            target_share=0.5,
            save_strategy="no",
            logging_steps=2,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=training_rows(),
        label_space=SPACE,
        transfer_loss=loss,
    )
    trainer.train()
    model_proper = trainer.accelerator.unwrap_model(trainer.model)
    ends = {name: value.detach().clone() for name, value in model_proper.named_parameters()}
    return ends, [line for line in trainer.state.log_history if "loss" in line]


def main(model: str, out: str) -> None:
    ends: dict[str, Tensor] = {}
    logs: dict[str, list[dict[str, float]]] = {}
    for name, loss in make_losses(model).items():
        after, logs[name] = train(model, f"{out}/{name}", loss, accumulation=1)
        ends |= {f"{name}/{key}": value for key, value in after.items()}
    processes = PartialState()
    metadata = {"world_size": str(processes.num_processes)}
    path = Path(out) / f"rank{processes.process_index}.safetensors"
    save_file(ends, path, metadata=metadata)
    path.with_suffix(".json").write_text(json.dumps(logs), encoding="utf-8")
