"""The loss of source-free adaptation against its formula, and what it does to skewed batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.transfer.batches import HIDDEN, NUM_LABELS, make_batch
from xlingual import InformationMaximizationLoss
from xlingual.errors import ConfigError

PRIOR = [0.7, 0.2, 0.1]


def built(*arguments, **options) -> InformationMaximizationLoss:
    loss = InformationMaximizationLoss(*arguments, **options)
    loss.build(hidden_size=HIDDEN, num_labels=NUM_LABELS)
    return loss


def expected(logits: np.ndarray, prior: np.ndarray, weight: float, diversity: float) -> float:
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    entropy = -(probs * np.log(probs)).sum(1).mean()
    mean = probs.mean(0)
    return weight * (entropy + diversity * (mean * np.log(mean / prior)).sum())


@pytest.mark.parametrize(("weight", "diversity"), [(1.0, 1.0), (0.5, 2.0), (1.0, 0.0)])
def test_the_formula(weight, diversity):
    batch = make_batch()
    loss = built(PRIOR, weight=weight, diversity_weight=diversity)(batch)
    target = batch.logits[batch.domain == 1].detach().double().numpy()
    assert loss.item() == pytest.approx(expected(target, np.array(PRIOR), weight, diversity), 1e-5)


def test_without_a_prior_the_classes_are_equal_up_to_a_constant():
    batch = make_batch()
    probs = batch.probs[batch.domain == 1].double().numpy()
    paper = -(probs * np.log(probs)).sum(1).mean() + (probs.mean(0) * np.log(probs.mean(0))).sum()
    assert built()(batch).item() == pytest.approx(paper + np.log(NUM_LABELS), 1e-5)


def test_gradients_reach_the_logits_of_target_rows_alone():
    batch = make_batch()
    built(PRIOR)(batch).backward()
    moved = batch.logits.grad.abs().sum(1) > 0
    assert moved.tolist() == (batch.domain == 1).tolist()
    assert batch.features.grad is None


def test_a_batch_without_target_rows_is_zero():
    batch = make_batch(num_target=0)
    loss = built(PRIOR)(batch)
    loss.backward()
    assert loss.item() == 0
    assert batch.logits.grad.abs().sum() == 0


def test_all_rows_in_one_class_is_the_least_entropy_and_not_the_least_loss():
    rows = torch.eye(NUM_LABELS)[[0, 0, 0, 0, 1, 1, 1, 2, 2, 2]] * 20
    collapsed = torch.eye(NUM_LABELS)[[0] * 10] * 20
    domain = torch.ones(10, dtype=torch.long)
    batches = [make_batch(0, 10, logits=logits, domain=domain) for logits in (rows, collapsed)]
    kept, fallen = (built([0.4, 0.3, 0.3])(batch).item() for batch in batches)
    assert kept == pytest.approx(0, abs=1e-4)
    assert fallen > 0.9
    tent = [built(PRIOR, diversity_weight=0.0)(batch).item() for batch in batches]
    assert tent == pytest.approx([0, 0], abs=1e-4), "entropy alone does not see it"


def test_the_prior_of_skewed_classes_is_where_the_loss_is_least():
    rows = torch.eye(NUM_LABELS)[[0] * 7 + [1] * 2 + [2]] * 20
    batch = make_batch(0, 10, logits=rows, domain=torch.ones(10, dtype=torch.long))
    assert built(PRIOR)(batch).item() == pytest.approx(0, abs=1e-4)
    assert built()(batch).item() > 0.2, "equal classes would move the rows"


def test_nothing_of_it_goes_into_a_checkpoint():
    assert built(PRIOR).state_dict() == {}


@pytest.mark.parametrize("prior", [[0.5, 0.5, 0.0], [0.5, float("nan"), 0.5], [0.5, 0.5]])
def test_a_prior_that_is_none(prior):
    with pytest.raises(ConfigError, match="share"):
        built(prior)


def test_multi_label_is_refused():
    batch = make_batch(labels=torch.zeros(9, NUM_LABELS))
    with pytest.raises(ConfigError, match="one label per row"):
        built()(batch)
