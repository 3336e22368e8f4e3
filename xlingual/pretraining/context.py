"""Stage 1: context layers over aligned embeddings, by contrast, translation and masked prediction.

A run is a sequence of steps of two kinds, three of the first to one of the second:

* *contrast*: InfoNCE between the mean vectors of the two sides, plus translation bag-of-words;
* *prediction*: masked prediction over ``[CLS] english [SEP] chinese [SEP]`` (TLM, Conneau and
  Lample, 2019), or over single sentences when only monolingual text is given (MLM).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import ModernBertForMaskedLM, PreTrainedTokenizerFast

from xlingual.errors import ConfigError
from xlingual.pretraining.corpus import EncodedCorpus, PairBatch, Rows
from xlingual.pretraining.encoder import mean_pool
from xlingual.pretraining.noise import (
    CodeSwitcher,
    join_pairs,
    mask_for_prediction,
    mask_inputs,
    pad_rows,
    to_tensors,
)
from xlingual.pretraining.objectives import (
    bag_of_words_loss,
    masked_prediction_loss,
)
from xlingual.transfer.loss.info_nce import info_nce

__all__ = ["BatchMaker", "ContextObjective", "parameter_groups"]


@dataclass(frozen=True)
class BatchMaker:
    """Turn step numbers into noised, padded batches; a pure function of seed and step.

    Attributes:
        corpus: Pairs, or None for masked prediction on ``text`` alone.
        tokenizer: Fast tokenizer.
        text: Sentences of one language each; given with pairs, every other prediction step
            uses them.
        switcher: Code-switching by dictionary, or None.
        contrast_batch: Pairs in a contrastive step.
        prediction_batch: Pairs in a prediction step.
        prediction_every: Every so manieth step predicts; 0 for never. More prediction than one
            step in four was worse on every task.
        input_masking: Share of tokens masked in contrastive steps.
        prediction_masking: Share of tokens to predict; higher than for MLM because the other
            side gives the answer away.
        switch_probability: Probability with which a token that has a translation is switched.
        negatives: Random ids in the sampled softmax of masked prediction.
        seed: Seed of the run.
    """

    corpus: EncodedCorpus | None
    tokenizer: PreTrainedTokenizerFast
    text: EncodedCorpus | None = None
    switcher: CodeSwitcher | None = None
    contrast_batch: int = 256
    prediction_batch: int = 96
    prediction_every: int = 4
    input_masking: float = 0.1
    prediction_masking: float = 0.3
    switch_probability: float = 0.1
    negatives: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        if self.contrast_batch < 2 or self.prediction_batch < 1:
            raise ConfigError(
                "contrast needs at least 2 pairs in a batch and prediction 1, got "
                f"{self.contrast_batch} and {self.prediction_batch}"
            )
        if self.corpus is None and self.text is None:
            raise ConfigError("a build needs sentence pairs or monolingual text, got neither")

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The batch of one step, as keyword arguments of :class:`ContextObjective`."""
        rng = np.random.default_rng((self.seed, step, 2))
        every = 1 if self.corpus is None else self.prediction_every
        if self.corpus is not None and not (every and step % every == every - 1):
            batch = self.corpus.batch(step, batch_size=self.contrast_batch, seed=self.seed)
            return self._contrast(batch, rng)
        use_text = self.corpus is None or (self.text is not None and step // every % 2 == 1)
        corpus = self.text if use_text else self.corpus
        assert corpus is not None
        batch = corpus.batch(step, batch_size=self.prediction_batch, seed=self.seed)
        if use_text:
            return self._prediction(batch.english, rng)
        # Either order, so that neither language is always the one read first.
        sides = [batch.english, batch.chinese]
        first, second = sides if rng.random() < 0.5 else sides[::-1]
        return self._prediction(join_pairs(first, second), rng)

    def _contrast(self, batch: PairBatch, rng: np.random.Generator) -> dict[str, Tensor]:
        result: dict[str, Tensor] = {}
        for side, rows in (("english", batch.english), ("chinese", batch.chinese)):
            ids, mask = pad_rows(rows, self._pad)
            noised = mask_inputs(
                self._switch(ids, rng),
                probability=self.input_masking,
                mask_id=self._mask,
                special_ids=self._special,
                rng=rng,
            )
            wanted = ~np.isin(ids, self._special)
            names = (side, f"{side}_mask", f"{side}_clean", f"{side}_wanted")
            tensors = to_tensors(noised, mask, ids, wanted)
            result.update(zip(names, tensors, strict=True))
        keys = to_tensors(batch.english_keys, batch.chinese_keys)
        return {**result, "english_keys": keys[0], "chinese_keys": keys[1]}

    def _prediction(self, rows: Rows, rng: np.random.Generator) -> dict[str, Tensor]:
        ids, mask = pad_rows(rows, self._pad)
        ids = self._switch(ids, rng)
        corrupted, chosen = mask_for_prediction(
            ids,
            probability=self.prediction_masking,
            mask_id=self._mask,
            vocab_size=len(self.tokenizer),
            special_ids=self._special,
            rng=rng,
        )
        negatives = rng.integers(len(self._special), len(self.tokenizer), self.negatives)
        names = ("ids", "mask", "chosen", "labels", "negatives")
        return dict(
            zip(names, to_tensors(corrupted, mask, chosen, ids[chosen], negatives), strict=True)
        )

    def _switch(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        if self.switcher is None:
            return ids
        return self.switcher(ids, probability=self.switch_probability, rng=rng)

    @property
    def _pad(self) -> int:
        return int(self.tokenizer.pad_token_id)

    @property
    def _mask(self) -> int:
        return int(self.tokenizer.mask_token_id)

    @property
    def _special(self) -> list[int]:
        return list(self.tokenizer.all_special_ids)


class ContextObjective(nn.Module):
    r"""The loss of either kind of step as one ``forward``, so that DDP can wrap it.

    .. math:: L_\text{contrast} = \text{InfoNCE} + \beta\, \text{BoW}, \qquad
              L_\text{predict} = \gamma\, \text{TLM}

    The bag-of-words uses the masked-prediction head on the *pooled* vector, which is also how
    ``ModernBertForSequenceClassification`` uses that head: it arrives at fine-tuning trained.

    Args:
        model: Encoder with its masked-prediction head.
        temperature: Temperature of the contrast.
        bag_of_words_weight: :math:`\beta`.
        prediction_weight: :math:`\gamma`.
    """

    def __init__(
        self,
        model: ModernBertForMaskedLM,
        *,
        temperature: float = 0.05,
        bag_of_words_weight: float = 0.2,
        prediction_weight: float = 0.5,
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.bag_of_words_weight = bag_of_words_weight
        self.prediction_weight = prediction_weight

    def forward(self, **batch: Tensor) -> Tensor:
        """Loss of one batch from :class:`BatchMaker`."""
        return self._prediction(batch) if "labels" in batch else self._contrast(batch)

    def _contrast(self, batch: Mapping[str, Tensor]) -> Tensor:
        english = self._pooled(batch["english"], batch["english_mask"])
        chinese = self._pooled(batch["chinese"], batch["chinese_mask"])
        loss = info_nce(
            english,
            chinese,
            temperature=self.temperature,
            source_keys=batch["english_keys"],
            target_keys=batch["chinese_keys"],
        )
        if self.bag_of_words_weight:
            to_chinese = self._translate(english, batch["chinese_clean"], batch["chinese_wanted"])
            to_english = self._translate(chinese, batch["english_clean"], batch["english_wanted"])
            loss = loss + self.bag_of_words_weight * (to_chinese + to_english) / 2
        return loss

    def _prediction(self, batch: Mapping[str, Tensor]) -> Tensor:
        output = self.model.model(input_ids=batch["ids"], attention_mask=batch["mask"])
        hidden = self.model.head(output.last_hidden_state[batch["chosen"]])
        decoder = self.model.decoder
        loss = masked_prediction_loss(
            hidden, decoder.weight, decoder.bias, batch["labels"], negatives=batch["negatives"]
        )
        return self.prediction_weight * loss

    def _pooled(self, ids: Tensor, mask: Tensor) -> Tensor:
        output = self.model.model(input_ids=ids, attention_mask=mask)
        return mean_pool(output.last_hidden_state, mask)

    def _translate(self, pooled: Tensor, ids: Tensor, wanted: Tensor) -> Tensor:
        return bag_of_words_loss(self.model.decoder(self.model.head(pooled)), ids, wanted)


def parameter_groups(
    model: ModernBertForMaskedLM,
    *,
    learning_rate: float,
    embedding_scale: float,
    weight_decay: float,
) -> list[dict[str, object]]:
    """Optimizer groups: slow embeddings, decayed matrices, and vectors without decay.

    Args:
        model: Encoder with its head.
        learning_rate: Peak learning rate of the layers.
        embedding_scale: Learning rate of the embeddings as a share of it; they arrive aligned.
        weight_decay: Decay of the matrices outside the embeddings.
    """
    table = model.get_input_embeddings().weight
    others = [p for p in model.parameters() if p is not table and p.requires_grad]
    return [
        {"params": [table], "lr": learning_rate * embedding_scale, "weight_decay": 0.0},
        {
            "params": [p for p in others if p.ndim > 1],
            "lr": learning_rate,
            "weight_decay": weight_decay,
        },
        {"params": [p for p in others if p.ndim < 2], "lr": learning_rate, "weight_decay": 0.0},
    ]
