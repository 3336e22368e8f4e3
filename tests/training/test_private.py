"""DP-SGD: row gradients, clipping and noise against their formula, and what must be refused."""

from __future__ import annotations

import copy
import sys

import numpy as np
import pytest
import torch

from xlingual import LabelSpace, TransferArguments
from xlingual.errors import ConfigError, MissingDependencyError

opacus = pytest.importorskip("opacus")

from xlingual import PrivateTrainer  # noqa: E402
from xlingual.config.methods import PrivateArguments  # noqa: E402

SPACE = LabelSpace(("negative", "positive"))
LAYOUTS = ("modernbert", "bert", "xlm-r", "deberta-v3")
CLIP, RATE = 0.5, 0.3


def arguments(folder, **options) -> TransferArguments:
    usual = {
        "adapter": "lora", "adapter_rank": 2, "max_steps": 1, "precision": "fp32",
        "per_device_train_batch_size": 8, "learning_rate": RATE, "head_learning_rate": RATE,
        "optim": "sgd", "weight_decay": 0.0, "warmup_steps": 0, "lr_scheduler_type": "constant",
        "disable_tqdm": True, "report_to": "none", "save_strategy": "no",
    }  # fmt: skip
    return TransferArguments(output_dir=str(folder), **{**usual, **options})


def make(encoder, rows, folder, *, noise: float | None = None, batch=None, **options):
    trainer = PrivateTrainer(
        epsilon=4.0, delta=1e-3, clipping_norm=CLIP, noise_seed=3, model=str(encoder),
        args=arguments(folder, **options), train_dataset=rows, label_space=SPACE,
    )  # fmt: skip
    if noise is not None:
        trainer._choose_noise = lambda num_steps: noise
    if batch is not None:
        trainer.batches = FixedBatches(trainer.batches, batch)
    return trainer


class FixedBatches(torch.utils.data.Sampler):
    """One batch, under the rate of another sampler."""

    def __init__(self, like, batch: list[int]) -> None:
        self.num_rows, self.sample_rate, self.batch = like.num_rows, like.sample_rate, batch

    def set_epoch(self, epoch: int) -> None:
        pass

    def __len__(self) -> int:
        return 1

    def __iter__(self):
        yield self.batch


def trained(model) -> dict[str, torch.Tensor]:
    named = model.named_parameters()
    return {name: p.detach().clone() for name, p in named if p.requires_grad}


def enlarge(model) -> None:
    """LoRA begins at B = 0, where A has no gradient."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.3, generator=generator)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_step_is_the_sum_of_clipped_row_gradients(encoders, english, tmp_path, layout):
    batch = [0, 5, 7, 30]
    trainer = make(encoders[layout], english, tmp_path, noise=0.0, batch=batch)
    enlarge(trainer.model)
    before = trained(trainer.model)
    model = copy.deepcopy(trainer.model).eval()
    total = {name: np.zeros(tuple(p.shape)) for name, p in before.items()}
    norms = []
    for row in batch:
        encoded = trainer.data_collator([
            {key: trainer.train_dataset[row][key] for key in ("input_ids", "attention_mask")}
        ])  # fmt: skip
        label = torch.tensor([trainer.train_dataset[row]["labels"]])
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(**encoded).logits, label).backward()
        grads = {n: p.grad.double().numpy() for n, p in model.named_parameters() if p.requires_grad}
        norms.append(np.sqrt(sum((g**2).sum() for g in grads.values())))
        for name, grad in grads.items():
            total[name] += grad * min(1.0, CLIP / norms[-1])
    assert max(norms) > CLIP, "something must be clipped"
    trainer.train()
    expected_size = trainer.batches.sample_rate * len(english)
    for name, after in trained(trainer.model).items():
        expected = before[name].double().numpy() - RATE * total[name] / expected_size
        np.testing.assert_allclose(after.double().numpy(), expected, atol=2e-6)


def test_the_noise_has_the_size_that_the_account_says(encoder, english, tmp_path):
    ends = []
    for noise in (0.0, 4.0):
        trainer = make(encoder, english, tmp_path, noise=noise, batch=[1, 2, 3], adapter_rank=8)
        trainer.train()
        ends.append(trained(trainer.model))
    drawn = np.concatenate([(ends[1][name] - ends[0][name]).flatten() for name in ends[0]])
    assert len(drawn) > 5000
    expected = RATE * 4.0 * CLIP / (trainer.batches.sample_rate * len(english))
    assert drawn.std() == pytest.approx(expected, rel=0.05)
    assert abs(drawn.mean()) < 0.1 * expected


def test_an_empty_batch_adds_noise_alone(encoder, english, tmp_path):
    trainer = make(encoder, english, tmp_path, noise=0.0, batch=[len(english)])
    before = trained(trainer.model)
    trainer.train()
    assert all(torch.equal(before[name], p) for name, p in trained(trainer.model).items())


def test_what_is_frozen_stays_bit_by_bit_and_the_hooks_are_gone(encoder, english, tmp_path):
    trainer = make(encoder, english, tmp_path, max_steps=3)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    moves = set(trained(trainer.model))
    trainer.train()
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(before[name], parameter) is (name not in moves), name
    assert not any(module._backward_hooks for module in trainer.model.modules())
    trainer.save_model()  # read back and compared


def test_the_head_alone(encoder, english, tmp_path):
    trainer = make(encoder, english, tmp_path, adapter="none")
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    for name, parameter in trainer.model.named_parameters():
        is_head = not name.startswith("model.")
        assert torch.equal(before[name], parameter) is not is_head, name


def test_settings_left_open_are_many_steps_and_the_rate_of_a_head(encoder, english, tmp_path):
    options = {"adapter": "none", "max_steps": -1, "learning_rate": None}
    trainer = make(encoder, english, tmp_path, **options, head_learning_rate=None)
    steps_per_epoch = len(english) // 8
    assert 200 <= trainer.args.num_train_epochs * steps_per_epoch < 200 + steps_per_epoch
    expected = 0.01 * 256 / trainer.model.config.hidden_size
    assert trainer.args.head_learning_rate == pytest.approx(expected)
    own = make(encoder, english, tmp_path, **options, head_learning_rate=0.5, num_train_epochs=1)
    assert (own.args.head_learning_rate, own.args.num_train_epochs) == (0.5, 1)
    few = make(encoder, english.select(range(5)), tmp_path, **options)
    assert few.args.num_train_epochs == 200, "one batch an epoch"


@pytest.mark.slow
def test_the_budget_is_spent_and_not_more(encoder, english, tmp_path):
    trainer = make(encoder, english, tmp_path, max_steps=6)
    assert trainer.spent_epsilon == 0
    trainer.train()
    accountant = opacus.accountants.RDPAccountant()
    for _ in range(6):
        accountant.step(noise_multiplier=trainer.noise_multiplier, sample_rate=8 / len(english))
    assert trainer.spent_epsilon == pytest.approx(accountant.get_epsilon(1e-3), rel=1e-9)
    assert 3.9 < trainer.spent_epsilon <= 4.0
    assert trainer._choose_noise(60) > trainer.noise_multiplier, "more steps, more noise"
    costs = trainer.evaluate_transfer(source={}, targets={"zh": english}).costs
    assert costs["epsilon"] == trainer.spent_epsilon
    assert costs["delta"] == 1e-3
    assert not any("loss" in entry for entry in trainer.state.log_history[:-1])


def test_one_noise_seed_is_one_result_and_none_is_never_the_same(encoder, english, tmp_path):
    ends = []
    for seed in (3, 3, None, None):
        trainer = make(encoder, english, tmp_path, noise=1.0, max_steps=2)
        trainer.noise_seed = trainer.batches.seed = seed
        trainer.train()
        ends.append(torch.cat([p.flatten() for p in trained(trainer.model).values()]))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[2], ends[3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter": "dora"}, "--adapter lora"),
        ({"precision": "bf16"}, "fp32"),
        ({"gradient_accumulation_steps": 2}, "larger batch"),
        ({"selection": "source_dev", "save_strategy": "epoch"}, "not accounted for"),
        ({"class_weights": "auto"}, "counts private labels"),
    ],
)
def test_settings_that_break_the_account_are_refused(encoder, english, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        make(encoder, english, tmp_path, **options)


def test_rows_without_a_label_are_refused(encoder, english, tmp_path):
    rows = english.map(lambda row: {"label": None if "rude" in row["text"] else row["label"]})
    with pytest.raises(ConfigError, match="some rows have none"):
        make(encoder, rows, tmp_path)


def test_budgets_that_are_none():
    for bad in ({"private_epsilon": 0.0}, {"private_delta": 1.0}, {"private_clipping_norm": -1.0}):
        with pytest.raises(ConfigError, match="must be above 0"):
            PrivateArguments(**bad)


def test_no_noise_is_enough(encoder, english, tmp_path):
    trainer = make(encoder, english, tmp_path)
    trainer.epsilon = 1e-9
    with pytest.raises(ConfigError, match="no noise keeps"):
        trainer.train()


def test_without_opacus_it_says_what_to_install(encoder, english, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus", None)
    with pytest.raises(MissingDependencyError, match=r"xlingual\[privacy\]"):
        make(encoder, english, tmp_path)
