"""The loss seam, with losses that are simple enough to be checked by hand."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset

from tests.training.test_trainer import arguments, weights
from xlingual import LabelSpace, TransferTrainer
from xlingual.transfer.loss.base import CombinedLoss, LossInputs, TransferLoss, join_rows

SPACE = LabelSpace(("negative", "positive"))


class Shrink(TransferLoss):
    """A parameter of its own, the features, and added rows: everything the seam offers."""

    needs_features = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, float]] = []
        self.step = -1

    def build(self, *, hidden_size: int, num_labels: int) -> None:
        assert num_labels == 2
        self.layer = torch.nn.Linear(hidden_size, 1)

    def extra_rows(self, inputs, *, step):
        self.step = step
        return {name: inputs[name][:2] for name in ("input_ids", "attention_mask")}

    def forward(self, batch: LossInputs) -> torch.Tensor:
        torch.testing.assert_close(batch.extra_logits, batch.logits[:2], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(batch.extra_features, batch.features[:2], rtol=1e-4, atol=1e-4)
        self.seen.append((self.step, batch.progress))
        return self.layer(batch.features).square().mean()


def test_a_loss_sees_its_rows_trains_its_parameters_and_is_not_saved(tmp_path, encoder, english):
    loss = Shrink()
    args = arguments(tmp_path, num_train_epochs=1, gradient_accumulation_steps=2)
    trainer = TransferTrainer(encoder, args, train_dataset=english, transfer_loss=loss)
    before = weights(trainer)
    assert "transfer_loss.layer.weight" in before
    trainer.train()
    assert not torch.equal(loss.layer.weight, before["transfer_loss.layer.weight"])
    assert [step for step, _ in loss.seen] == list(range(6))  # two batches in each of three steps
    assert [progress for _, progress in loss.seen] == [0, 0, 1 / 3, 1 / 3, 2 / 3, 2 / 3]
    trainer.save_model()
    from safetensors import safe_open

    with safe_open(tmp_path / "run" / "model.safetensors", "pt") as saved:
        names = set(saved.keys())
    assert names
    assert not any("transfer_loss" in name for name in names)
    assert not (tmp_path / "run" / "transfer_loss.safetensors").exists()


def test_evaluation_knows_nothing_of_it(tmp_path, encoder, english, chinese):
    plain = TransferTrainer(encoder, arguments(tmp_path), train_dataset=english)
    other = TransferTrainer(
        encoder, arguments(tmp_path), train_dataset=english, transfer_loss=Shrink()
    )
    assert (plain.predict_labels(chinese).probs == other.predict_labels(chinese).probs).all()
    assert other.objective.transfer_loss.seen == []


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_resumed_equals_uninterrupted(tmp_path, encoder, english, adapter):
    def fit(folder: str, **settings) -> TransferTrainer:
        args = arguments(
            tmp_path / folder, save_strategy="steps", save_steps=3, adapter=adapter, **settings
        )
        trainer = TransferTrainer(encoder, args, train_dataset=english, transfer_loss=Shrink())
        trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
        return trainer

    whole = fit("whole")
    checkpoint = tmp_path / "whole" / "run" / "checkpoint-9"
    resumed = fit("resumed", resume_from_checkpoint=str(checkpoint))
    assert resumed.objective.transfer_loss.seen[0][0] == 9
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name


class Added(TransferLoss):
    """Adds a given number of rows of its own and records what comes back."""

    def __init__(self, num_rows: int, length: int) -> None:
        super().__init__()
        self.rows = {
            "input_ids": torch.full((num_rows, length), 4),
            "attention_mask": torch.ones(num_rows, length, dtype=torch.long),
        }

    def extra_rows(self, inputs, *, step):
        return self.rows if len(self.rows["input_ids"]) else None

    def forward(self, batch: LossInputs) -> torch.Tensor:
        self.batch = batch
        return batch.logits.new_tensor(1.0)


def test_combined_losses_each_get_their_own_rows():
    parts = [Added(2, 5), Added(0, 1), Added(3, 2)]
    combined = CombinedLoss(parts, pad_token_id=1)
    rows = combined.extra_rows({}, step=0)
    assert rows["input_ids"].shape == (5, 5)
    assert rows["attention_mask"].sum(dim=1).tolist() == [5, 5, 2, 2, 2]
    assert rows["input_ids"][2].tolist() == [4, 4, 1, 1, 1]
    extra = torch.arange(10.0).reshape(5, 2)
    zeros = torch.zeros(4, 2)
    total = combined(LossInputs(zeros, torch.zeros(4), torch.zeros(4), extra_logits=extra))
    assert total == 3
    assert parts[0].batch.extra_logits.equal(extra[:2])
    assert parts[1].batch.extra_logits is None
    assert parts[2].batch.extra_logits.equal(extra[2:])


def test_joined_rows_are_padded_and_masked():
    first = {"input_ids": torch.tensor([[7, 8, 9]]), "attention_mask": torch.ones(1, 3)}
    second = {
        "input_ids": torch.tensor([[5]]),
        "attention_mask": torch.ones(1, 1),
        "token_type_ids": torch.zeros(1, 1),
    }
    joined = join_rows([first, second], pad_token_id=3)
    assert joined["input_ids"].tolist() == [[7, 8, 9], [5, 3, 3]]
    assert joined["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert "token_type_ids" not in joined


def test_an_unlabelled_batch_trains_on(tmp_path, encoder):
    rows = Dataset.from_dict({"text": ["房间很大", "早餐难吃"] * 8, "label": [None] * 16})
    rows = rows.cast_column("label", __import__("datasets").Value("string"))
    trainer = TransferTrainer(
        encoder,
        arguments(tmp_path, max_grad_norm=0),
        train_dataset=rows,
        label_space=SPACE,
        transfer_loss=Shrink(),
    )
    before = weights(trainer)
    assert torch.isfinite(torch.tensor(trainer.train().training_loss))
    after = weights(trainer)
    assert all(torch.isfinite(value).all() for value in after.values())
    assert not torch.equal(
        after["transfer_loss.layer.weight"], before["transfer_loss.layer.weight"]
    )


class TwoWordsLoss(Added):
    """A name of two words, and a number of its own."""

    def metrics(self, loss):
        return {**super().metrics(loss), "num_rows": torch.tensor(2.0)}


def test_losses_are_named_by_their_class_and_numbered_where_there_are_several():
    batch = LossInputs(torch.zeros(4, 2), torch.zeros(4), torch.zeros(4))
    one = TwoWordsLoss(0, 1)
    assert one.metrics(one(batch)) == {"loss_two_words": 1, "num_rows": 2}
    several = CombinedLoss([one, Added(0, 1), TwoWordsLoss(0, 1)], pad_token_id=0)
    found = several.metrics(several(batch))
    assert list(found) == [
        "loss_two_words_1", "num_rows_1", "loss_added", "loss_two_words_2", "num_rows_2",
    ]  # fmt: skip


def test_short_rows_are_filled_with_the_tokenizers_padding(tmp_path, encoder, english):
    """XLM-R pads with 1; its id 0 is the token that begins a text."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    plain = AutoTokenizer.from_pretrained(encoder)
    shifted = PreTrainedTokenizerFast(
        tokenizer_object=plain.backend_tokenizer, pad_token=plain.convert_ids_to_tokens(1)
    )
    assert shifted.pad_token_id == 1
    trainer = TransferTrainer(
        encoder,
        arguments(tmp_path),
        train_dataset=english,
        processing_class=shifted,
        transfer_loss=[Added(1, 2), Added(1, 5)],
    )
    combined = trainer.objective.transfer_loss
    rows = combined.extra_rows({}, step=0)
    assert rows["input_ids"].tolist() == [[4, 4, 1, 1, 1], [4] * 5]
    assert rows["attention_mask"].tolist() == [[1, 1, 0, 0, 0], [1] * 5]
    assert trainer.objective.pad_token_id == 1
