"""The folded maps give what scikit-learn's pipelines give."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xlingual.errors import ConfigError, DataError
from xlingual.transfer import choose_gate, fit_linear, fuse_features


def rows(num_labels: int, *, hidden: int = 8, size: int = 240, seed: int = 0):
    generator = np.random.default_rng(seed)
    labels = np.arange(size) % num_labels
    means = np.random.default_rng(99).normal(size=(num_labels, hidden))
    scales = np.geomspace(0.1, 30, hidden)
    return (means[labels] + generator.normal(size=(size, hidden))) * scales + 5, labels


PIPELINES = {
    "logistic_regression": lambda: LogisticRegression(C=0.1, max_iter=1000),
    "lda": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "pca": lambda: make_pipeline(PCA(3, svd_solver="full"), LogisticRegression(C=0.1)),
}


@pytest.mark.parametrize("num_labels", [2, 3])
@pytest.mark.parametrize("classifier", PIPELINES)
def test_the_folded_map_is_the_pipeline(classifier, num_labels) -> None:
    features, labels = rows(num_labels)
    tested, _ = rows(num_labels, seed=1)
    found = fit_linear(
        features, labels, num_labels=num_labels, classifier=classifier, strength=0.1,
        num_components=3,
    )  # fmt: skip
    assert found.weight.shape == (num_labels, 8)
    expected = make_pipeline(StandardScaler(), PIPELINES[classifier]()).fit(features, labels)
    probs = softmax(found(tested), axis=1)
    np.testing.assert_allclose(probs, expected.predict_proba(tested), atol=1e-3)


@pytest.mark.parametrize("num_labels", [2, 4])
def test_nearest_centroid_decides_as_scikit_learn_does(num_labels) -> None:
    features, labels = rows(num_labels)
    tested, _ = rows(num_labels, seed=1)
    found = fit_linear(features, labels, num_labels=num_labels, classifier="nearest_centroid")
    expected = make_pipeline(StandardScaler(), NearestCentroid()).fit(features, labels)
    np.testing.assert_array_equal(found(tested).argmax(1), expected.predict(tested))


def test_a_constant_feature_is_not_read() -> None:
    features, labels = rows(2)
    features[:, 3] = 7.0
    found = fit_linear(features, labels, num_labels=2, strength=0.1)
    assert not found.weight[:, 3].any()
    assert np.isfinite(found.bias).all()


def test_the_strength_is_chosen_where_labels_have_rows_enough() -> None:
    features, labels = rows(2, size=60)
    assert (fit_linear(features, labels, num_labels=2)(features).argmax(1) == labels).mean() > 0.8
    one_each = fit_linear(features[:2], labels[:2], num_labels=2)
    np.testing.assert_array_equal(one_each(features[:2]).argmax(1), labels[:2])


def test_a_gate_listens_to_the_encoder_that_knows() -> None:
    generator = np.random.default_rng(5)
    labels = np.arange(300) % 2
    good = generator.normal(size=(300, 8)) + 0.4 * labels[:, None]
    noise = generator.normal(size=(300, 12))
    scales = choose_gate([good, noise], labels, num_labels=2)
    assert scales.shape == (20,)
    assert scales[0] > scales[-1]
    fused = fuse_features([good, noise])
    gated = fit_linear(fused, labels, num_labels=2, strength=0.01, feature_scales=scales)
    plain = fit_linear(fused, labels, num_labels=2, strength=0.01)
    share = [np.abs(m.weight[:, 8:]).sum() / np.abs(m.weight).sum() for m in (gated, plain)]
    assert share[0] < share[1]


def test_fusion_concatenates() -> None:
    fused = fuse_features([np.ones((2, 3)), np.zeros((2, 1))])
    np.testing.assert_array_equal(fused, [[1, 1, 1, 0], [1, 1, 1, 0]])


def test_bad_input_is_refused() -> None:
    features, labels = rows(2)
    with pytest.raises(ConfigError, match="logistic_regression"):
        fit_linear(features, labels, num_labels=2, classifier="svm")
    with pytest.raises(ConfigError, match="above 0"):
        fit_linear(features, labels, num_labels=2, strength=-1.0)
    with pytest.raises(DataError, match="every label from 0 to 2"):
        fit_linear(features, labels, num_labels=3)
    with pytest.raises(DataError, match="one label id per row"):
        fit_linear(features, labels[:-1], num_labels=2)
    with pytest.raises(DataError, match="same rows"):
        fuse_features([features, features[:-1]])
    with pytest.raises(DataError, match="two encoders"):
        choose_gate([features], labels, num_labels=2)
