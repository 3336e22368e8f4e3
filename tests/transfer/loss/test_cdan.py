from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from tests.transfer.batches import HIDDEN, NUM_LABELS, make_batch
from xlingual.errors import ConfigError
from xlingual.transfer.loss.cdan import ConditionalAdversarialLoss


def make_loss(num_labels: int = NUM_LABELS, **settings) -> ConditionalAdversarialLoss:
    torch.manual_seed(0)
    loss = ConditionalAdversarialLoss(**settings)
    loss.build(hidden_size=HIDDEN, num_labels=num_labels)
    return loss


def row_weights(probs, labels, domain, *, entropy: bool, balanced: bool) -> np.ndarray:
    weights = 1 + np.exp((probs * np.log(probs)).sum(1)) if entropy else np.ones(len(probs))
    if balanced:
        classes = np.where(labels < 0, probs.argmax(1), labels)
        for i, (own, d) in enumerate(zip(classes, domain, strict=True)):
            counts = [((classes == own) & (domain == other)).sum() for other in (0, 1)]
            weights[i] *= 0 if 0 in counts else 1 / counts[d]
    return weights


@pytest.mark.parametrize("entropy", [True, False])
@pytest.mark.parametrize("balanced", [True, False])
def test_against_numpy(entropy, balanced):
    loss = make_loss(weighs_entropy=entropy, class_balanced=balanced)
    batch = make_batch(7, 6)
    probs = softmax(batch.logits.detach().double().numpy(), axis=1)
    features = batch.features.detach().double().numpy()
    inputs = np.einsum("if,ic->ifc", features, probs).reshape(13, -1)
    weights = {k: v.double().numpy() for k, v in loss.discriminator.state_dict().items()}
    hidden = np.maximum(0, inputs @ weights["hidden.weight"].T + weights["hidden.bias"])
    z = hidden @ weights["output.weight"][0] + weights["output.bias"]
    losses = np.log1p(np.exp(np.concatenate([z[:7], -z[7:]])))
    domain = batch.domain.numpy()
    w = row_weights(probs, batch.labels.numpy(), domain, entropy=entropy, balanced=balanced)
    expected = sum(np.average(losses[domain == d], weights=w[domain == d]) for d in (0, 1)) / 2
    assert loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_the_classifiers_output_gets_no_gradient():
    loss, batch = make_loss(), make_batch(7, 6)
    loss(batch).backward()
    assert batch.logits.grad is None
    assert batch.features.grad.abs().max() > 0
    assert all(p.grad.abs().max() > 0 for p in loss.parameters())


def test_the_encoders_gradient_is_reversed():
    loss, batch = make_loss(scale=1.0), make_batch(7, 6, progress=0.99)
    before = loss(batch)
    before.backward()
    moved = (batch.features - 0.5 * batch.features.grad).detach()
    assert loss(make_batch(7, 6, features=moved)) > before
    torch.optim.SGD(loss.parameters(), lr=0.5).step()
    assert loss(batch) < before


def test_balanced_classes_hide_a_shift_of_the_prior():
    """Features and predictions that depend on the class alone, in different shares."""
    classes = torch.tensor([0, 0, 0, 1, 0, 1, 1, 1])
    given = {
        "features": torch.randn(2, HIDDEN)[classes],
        "logits": 8 * torch.eye(NUM_LABELS)[classes],
    }
    loss = make_loss(scale=1.0)
    given = {name: values.requires_grad_() for name, values in given.items()}
    labels = torch.where(torch.arange(8) < 4, classes, -100)
    batch = make_batch(4, 4, progress=0.99, labels=labels, **given)

    def pull(balanced: bool) -> float:
        """The mean movement of the features of class 0."""
        loss.class_balanced, batch.features.grad = balanced, None
        loss.zero_grad()
        loss(batch).backward()
        return batch.features.grad[classes == 0].sum(dim=0).norm().item()

    with torch.no_grad():
        # At even odds everywhere the pulls of both domains cancel out, if the classes are even.
        loss.discriminator.output.bias.zero_()
        loss.discriminator.output.weight.mul_(1e-3)
    assert pull(True) < 0.05 * pull(False)


def test_classes_of_one_domain_alone_do_not_count():
    logits = 8 * torch.eye(NUM_LABELS)[[0, 0, 1, 1]]
    loss, given = make_loss(), {"logits": logits, "labels": torch.tensor([0, 0, -100, -100])}
    assert loss(make_batch(2, 2, **given)).item() == 0
    assert make_loss(class_balanced=False)(make_batch(2, 2, **given)).item() > 0


def test_many_labels_are_projected():
    loss = make_loss(num_labels=900)
    assert loss.discriminator.hidden.in_features == 1024
    logits = torch.randn(4, 900)
    batch = make_batch(2, 2, logits=logits, labels=torch.full((4,), -100))
    f, g = batch.features.detach().numpy(), softmax(logits.numpy(), axis=1)
    matrices = (loss.feature_projection.numpy(), loss.label_projection.numpy())
    expected = (f @ matrices[0]) * (g @ matrices[1]) / 32
    found = loss._products(batch.features, batch.probs).detach()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert {"feature_projection", "label_projection"} <= loss.state_dict().keys()


def test_several_labels_a_row():
    batch = make_batch(labels=torch.zeros(9, NUM_LABELS))
    loss = make_loss()(batch)
    loss.backward()
    assert loss > 0
    probs = batch.logits.detach().sigmoid()
    entropy = -(probs * probs.log() + (1 - probs) * (1 - probs).log()).mean(dim=1)
    torch.testing.assert_close(make_loss()._weights(batch), 1 + torch.exp(-entropy))


@pytest.mark.parametrize(("num_source", "num_target"), [(5, 0), (0, 5), (1, 1)])
def test_few_rows(num_source, num_target):
    batch = make_batch(num_source, num_target)
    loss = make_loss(class_balanced=False)
    loss(batch).backward()
    assert (loss(batch).item() == 0) is not bool(num_source and num_target)
    assert torch.isfinite(batch.features.grad).all()
    assert all(p.grad is not None for p in loss.parameters())


def test_certainty_without_end_is_finite():
    logits = 1e4 * torch.eye(NUM_LABELS)[[0, 1, 0, 1]]
    assert torch.isfinite(make_loss()(make_batch(2, 2, logits=logits)))


def test_bad_scale():
    with pytest.raises(ConfigError, match="at least 0; got -1"):
        ConditionalAdversarialLoss(scale=-1)
