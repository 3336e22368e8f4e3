"""Train on mixed rows, some without a label, and save what came out: ``main(model, out, size)``.

Run by the playlist in ``size`` processes, and by a test in its own, with so many accumulated
batches.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from accelerate import PartialState
from datasets import Dataset

from xlingual import LabelSpace, TransferArguments, TransferTrainer, mix_domains

SPACE = LabelSpace(("negative", "positive"))


def rows(texts: list[str], *, unlabelled_every: int) -> Dataset:
    """Rows of several lengths, labels and weights; the labels are spread unevenly."""
    labels = [None if i % unlabelled_every == 0 else SPACE.names[i % 2] for i in range(len(texts))]
    weights = [1.0 + i % 3 for i in range(len(texts))]
    return Dataset.from_dict({"text": texts, "label": labels, "weight": weights})


def train(model: str, out: str, accumulation: int) -> TransferTrainer:
    english = ["the room was clean " * (1 + i % 7) + "and quiet" * (i % 2) for i in range(24)]
    chinese = ["房间很干净，" * (1 + i % 3) for i in range(10)]
    trainer = TransferTrainer(
        model,
        TransferArguments(
            output_dir=out,
            precision="fp32",
            per_device_train_batch_size=4,
            per_device_eval_batch_size=4,
            gradient_accumulation_steps=accumulation,
            num_train_epochs=2,
            learning_rate=0.1,
            optim="sgd",  # no adaptive step sizes: they would hide a factor on the gradient
            head_learning_rate=0.1,
            max_grad_norm=0,
            freeze_embeddings=False,
            target_share=0.5,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=mix_domains(
            {"en": rows(english, unlabelled_every=5)}, {"zh": rows(chinese, unlabelled_every=3)}
        ),
        label_space=SPACE,
    )
    trainer.train()
    return trainer


def main(model: str, out: str, size: str) -> None:
    trainer = train(model, out, accumulation=1)
    tested = [f"{'房间很脏' * (1 + i % 4)}{i}" for i in range(13)]  # an odd number of rows
    output = trainer.predict_labels(rows(tested, unlabelled_every=99))
    report = {
        "world_size": PartialState().num_processes,
        "wanted": int(size),
        "probs": np.asarray(output.probs).tolist(),
        "steps": trainer.state.global_step,
    }
    trainer.save_model(out)
    if trainer.is_world_process_zero():
        Path(out, "report.json").write_text(json.dumps(report))
