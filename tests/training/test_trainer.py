from __future__ import annotations

import pytest
import torch
from datasets import Dataset

from xlingual import LabelSpace, TransferArguments, TransferTrainer, mix_domains
from xlingual.errors import ConfigError


def arguments(tmp_path, **settings) -> TransferArguments:
    usual = {
        "output_dir": str(tmp_path / "run"),
        "num_train_epochs": 2,
        "per_device_train_batch_size": 8,
        "precision": "fp32",
        "save_strategy": "no",
        "disable_tqdm": True,
        "learning_rate": 1e-3,
        "freeze_embeddings": False,
    }
    return TransferArguments(**{**usual, **settings})


def weights(trainer: TransferTrainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()}


def test_trains_every_parameter_and_learns(tmp_path, encoder, english, chinese):
    args = arguments(tmp_path, num_train_epochs=8, learning_rate=3e-3)
    trainer = TransferTrainer(encoder, args, train_dataset=english, eval_dataset={"zh": chinese})
    before = weights(trainer)
    trainer.train()
    unmoved = [name for name, p in weights(trainer).items() if torch.equal(p, before[name])]
    assert unmoved == []
    report = trainer.evaluate_transfer(source={"en": english}, targets={"zh": chinese})
    assert report.results()["eval_en_accuracy"] > 0.9


def test_frozen_embeddings_stay_and_the_rest_moves(tmp_path, encoder, english):
    args = arguments(tmp_path, freeze_embeddings=True)
    trainer = TransferTrainer(encoder, args, train_dataset=english)
    before = weights(trainer)
    trainer.train()
    unmoved = [name for name, p in weights(trainer).items() if torch.equal(p, before[name])]
    assert unmoved == ["model.embeddings.tok_embeddings.weight"]


def test_frozen_encoder_trains_the_head_only(tmp_path, encoder, english):
    trainer = TransferTrainer(
        encoder, arguments(tmp_path, freeze_encoder=True), train_dataset=english
    )
    before = weights(trainer)
    trainer.train()
    moved = [name for name, p in weights(trainer).items() if not torch.equal(p, before[name])]
    assert moved
    assert all(name.startswith(("head.", "classifier.")) for name in moved)


@pytest.mark.parametrize("unlabelled", [0, 3])
def test_one_batch_of_eight_is_eight_batches_of_one(tmp_path, encoder, english, unlabelled):
    rows = english.select([0, 1, 2, 3, 6, 7, 8, 9])
    labels = [None] * unlabelled + list(rows["label"])[unlabelled:]
    rows = Dataset.from_dict(
        {"text": rows["text"], "label": labels, "weight": [1, 2, 0.5, 1, 3, 1, 1, 0.25]}
    )
    ends = []
    for batch, accumulation in ((8, 1), (1, 8)):
        args = arguments(
            tmp_path,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            max_steps=3,
            optim="sgd",
            learning_rate=0.1,
            max_grad_norm=0,
        )
        trainer = TransferTrainer(
            encoder, args, train_dataset=rows, label_space=LabelSpace(("negative", "positive"))
        )
        trainer.train()
        ends.append(weights(trainer))
    for name, parameter in ends[0].items():
        torch.testing.assert_close(ends[1][name], parameter, atol=2e-6, rtol=1e-4)


def test_an_unlabelled_batch_gives_no_loss_and_no_nan(tmp_path, encoder, english):
    rows = english.select(range(4)).add_column("none", [None] * 4)
    rows = rows.remove_columns("label").rename_column("none", "label")
    trainer = TransferTrainer(
        encoder,
        arguments(tmp_path, max_steps=1, weight_decay=0.0),
        train_dataset=rows,
        label_space=LabelSpace(("negative", "positive")),
    )
    before = weights(trainer)
    trainer.train()
    assert all(torch.equal(p, before[name]) for name, p in weights(trainer).items())


def test_weights_of_domains_are_in_the_loss(tmp_path, encoder, english, chinese):
    mixed = mix_domains({"en": english}, {"zh": chinese}, target_weights={"zh": 2.0})
    trainer = TransferTrainer(encoder, arguments(tmp_path), train_dataset=mixed)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in (0, len(english))])
    batch.pop("length")
    model = trainer.model.eval()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        losses = torch.nn.functional.cross_entropy(
            model(**inputs).logits, batch["labels"], reduction="none"
        )
        loss = trainer.compute_loss(model, dict(batch))
    torch.testing.assert_close(loss, (losses[0] + 2.0 * losses[1]) / 2)


def test_same_seed_same_weights(tmp_path, encoder, english):
    ends = []
    for _ in range(2):
        trainer = TransferTrainer(encoder, arguments(tmp_path, seed=7), train_dataset=english)
        trainer.train()
        ends.append(weights(trainer))
    assert all(torch.equal(p, ends[1][name]) for name, p in ends[0].items())


def test_predictions_keep_the_order_of_the_rows(tmp_path, encoder, english, chinese):
    trainer = TransferTrainer(encoder, arguments(tmp_path), train_dataset=english)
    together = trainer.predict_labels(chinese)
    for row in (0, 5, 11):
        alone = trainer.predict_labels(chinese.select([row]))
        assert alone.references[0] == together.references[row]
        torch.testing.assert_close(
            torch.tensor(alone.probs[0]), torch.tensor(together.probs[row]), atol=1e-5, rtol=1e-4
        )


def test_layer_decay_and_rates_reach_the_optimizer(tmp_path, encoder, english):
    args = arguments(
        tmp_path, layer_decay=0.5, head_learning_rate=5e-3, embedding_learning_rate=1e-5
    )
    trainer = TransferTrainer(encoder, args, train_dataset=english)
    trainer.create_optimizer()
    rates = {
        name: group["lr"]
        for group in trainer.optimizer.param_groups
        for name, p in trainer.model.named_parameters()
        if any(p is q for q in group["params"])
    }
    assert set(rates) == {name for name, _ in trainer.model.named_parameters()}
    assert rates["model.embeddings.tok_embeddings.weight"] == 1e-5
    assert rates["model.layers.1.attn.Wqkv.weight"] == 1e-3
    assert rates["model.layers.0.attn.Wqkv.weight"] == 5e-4
    assert rates["classifier.weight"] == 5e-3


def test_selection_without_its_set_fails_before_training(tmp_path, encoder, english):
    args = arguments(tmp_path, selection="source_dev", save_strategy="epoch")
    with pytest.raises(ConfigError, match="needs an evaluation set named 'en'"):
        TransferTrainer(encoder, args, train_dataset=english, eval_dataset={"zh": english})


def test_selection_keeps_the_best_and_stops_early(tmp_path, encoder, english):
    args = arguments(
        tmp_path,
        selection="source_dev",
        save_strategy="epoch",
        early_stopping_patience=1,
        num_train_epochs=20,
        learning_rate=3e-3,
    )
    trainer = TransferTrainer(encoder, args, train_dataset=english, eval_dataset={"en": english})
    trainer.train()
    assert trainer.state.epoch < 20
    score = trainer.evaluate()["eval_en_accuracy"]
    assert score == pytest.approx(trainer.state.best_metric)


def test_multi_label(tmp_path, encoder):
    rows = Dataset.from_dict(
        {
            "text": ["clean and quiet", "dirty", "quiet", "房间干净又安静"] * 6,
            "labels": [["clean", "quiet"], [], ["quiet"], ["clean", "quiet"]] * 6,
        }
    )
    args = arguments(tmp_path, num_train_epochs=20, learning_rate=5e-3)
    trainer = TransferTrainer(encoder, args, train_dataset=rows, task="multi_label")
    trainer.train()
    report = trainer.evaluate_transfer(source={"en": rows}, targets={"zh": rows.select([3])})
    assert report.results()["eval_en_macro_f1"] > 0.9
    assert "clean" in report.table()


def test_pairs_are_two_segments(tmp_path, encoder):
    rows = Dataset.from_dict(
        {"text": ["a clean room"], "text_pair": ["the room is dirty"], "label": ["no"]}
    )
    trainer = TransferTrainer(
        encoder,
        arguments(tmp_path),
        train_dataset=rows,
        task="pair",
        label_space=LabelSpace(("no", "yes")),
    )
    ids = trainer.train_dataset[0]["input_ids"]
    assert ids.count(trainer.processing_class.sep_token_id) == 2


@pytest.mark.parametrize("selection", ["last", "average"])
def test_unseen_embeddings_follow_their_neighbours(tmp_path, encoder, english, selection):
    def fit(**settings) -> TransferTrainer:
        args = arguments(
            tmp_path, embedding_learning_rate=1e-2, freeze_embeddings=None, selection=selection,
            **settings,
        )  # fmt: skip
        trainer = TransferTrainer(encoder, args, train_dataset=english)
        trainer.train()
        return trainer

    plain, propagated = fit(), fit(propagate_embeddings=True)
    table, other = (t.model.get_input_embeddings().weight for t in (plain, propagated))
    seen = torch.zeros(len(table), dtype=torch.bool)
    for ids in plain.train_dataset["input_ids"]:
        seen[ids] = True
    assert not seen.all()
    assert torch.equal(table[seen], other[seen])
    assert not torch.isclose(table[~seen], other[~seen]).all(dim=1).any()
    for name, value in weights(plain).items():
        if "tok_embeddings" not in name:
            assert torch.equal(value, weights(propagated)[name])
