"""Stage 1: context layers over aligned embeddings, by contrast, translation and masked prediction.

A run is a sequence of steps of two kinds, three of the first to one of the second:

* *contrast*: InfoNCE between the mean vectors of the two sides, plus translation bag-of-words,
  plus the targets of a teacher if there is one;
* *prediction*: masked prediction over ``[CLS] english [SEP] chinese [SEP]`` (TLM, Conneau and
  Lample, 2019), or over single sentences when only monolingual text is given (MLM).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import ModernBertForMaskedLM, PreTrainedTokenizerFast

from xlingual.errors import ConfigError
from xlingual.pretraining.corpus import EncodedCorpus
from xlingual.pretraining.distillation import DistillationLoss
from xlingual.pretraining.encoder import mean_pool
from xlingual.pretraining.noise import (
    CodeSwitcher,
    mask_for_prediction,
    mask_inputs,
    step_generator,
)
from xlingual.pretraining.objectives import bag_of_words_loss, masked_prediction_loss
from xlingual.pretraining.ragged import RaggedRows
from xlingual.pretraining.targets import TeacherTargets
from xlingual.transfer.loss.info_nce import info_nce

__all__ = ["BatchMaker", "ContextObjective", "parameter_groups"]


@dataclass(frozen=True)
class BatchMaker:
    """Turn step numbers into noised, padded batches; a pure function of seed and step.

    Batches are made on the device that holds the tokens of ``corpus``.

    Attributes:
        corpus: Pairs, or None for masked prediction on ``text`` alone.
        tokenizer: Fast tokenizer.
        text: Sentences of one language each; given with pairs, every other prediction step
            uses them.
        switcher: Code-switching by dictionary, or None.
        targets: A teacher's targets for the sentences of ``corpus``, or None.
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
    targets: TeacherTargets | None = None
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
        every = 1 if self.corpus is None else self.prediction_every
        if self.corpus is not None and not (every and step % every == every - 1):
            rows = self.corpus.draw(step, batch_size=self.contrast_batch, seed=self.seed)
            return self._contrast(self.corpus.tokens, rows, step)
        use_text = self.corpus is None or (self.text is not None and step // every % 2 == 1)
        corpus = self.text if use_text else self.corpus
        assert corpus is not None
        english, chinese = corpus.draw(step, batch_size=self.prediction_batch, seed=self.seed)
        if use_text:
            return self._prediction(*corpus.tokens.padded(english, self._pad), step)
        # Either order, so that neither language is always the one read first.
        is_turned = np.random.default_rng((self.seed, step, 2)).random() < 0.5
        sides = (chinese, english) if is_turned else (english, chinese)
        return self._prediction(*corpus.tokens.joined(*sides, self._pad), step)

    def _contrast(
        self, tokens: RaggedRows, rows: tuple[NDArray[np.int64], NDArray[np.int64]], step: int
    ) -> dict[str, Tensor]:
        both = np.concatenate(rows)
        clean, mask = tokens.padded(both, self._pad)
        rng = step_generator(self.seed, step, clean.device)
        special = self._special(clean.device)
        ids = mask_inputs(
            self._switch(clean, rng),
            probability=self.input_masking,
            mask_id=self._mask,
            special_ids=special,
            rng=rng,
        )
        wanted = ~torch.isin(clean, special)
        keys = torch.from_numpy(both).to(clean.device, non_blocking=True)
        batch = {"ids": ids, "mask": mask, "clean": clean, "wanted": wanted, "keys": keys}
        return batch if self.targets is None else {**batch, **self.targets(both)}

    def _prediction(self, clean: Tensor, mask: Tensor, step: int) -> dict[str, Tensor]:
        rng = step_generator(self.seed, step, clean.device)
        switched = self._switch(clean, rng)
        special = self._special(clean.device)
        corrupted, chosen = mask_for_prediction(
            switched,
            probability=self.prediction_masking,
            mask_id=self._mask,
            vocab_size=len(self.tokenizer),
            special_ids=special,
            rng=rng,
        )
        negatives = torch.randint(
            len(special),
            len(self.tokenizer),
            (self.negatives,),
            generator=rng,
            device=clean.device,
        )
        return {
            "ids": corrupted,
            "mask": mask,
            "chosen": chosen,
            "labels": switched[chosen],
            "negatives": negatives,
        }

    def _switch(self, ids: Tensor, rng: torch.Generator) -> Tensor:
        if self.switcher is None:
            return ids
        return self.switcher(ids, probability=self.switch_probability, rng=rng)

    @property
    def _pad(self) -> int:
        return int(self.tokenizer.pad_token_id)

    @property
    def _mask(self) -> int:
        return int(self.tokenizer.mask_token_id)

    def _special(self, device: torch.device) -> Tensor:
        return torch.tensor(self.tokenizer.all_special_ids, device=device)


class ContextObjective(nn.Module):
    r"""The loss of either kind of step as one ``forward``, so that DDP can wrap it.

    .. math:: L_\text{contrast} = \alpha\, \text{InfoNCE} + \beta\, \text{BoW}
              + L_\text{teacher}, \qquad L_\text{predict} = \gamma\, \text{TLM}

    The bag-of-words uses the masked-prediction head on the *pooled* vector, which is also how
    ``ModernBertForSequenceClassification`` uses that head: it arrives at fine-tuning trained.

    Args:
        model: Encoder with its masked-prediction head.
        temperature: Temperature of the contrast.
        contrast_weight: :math:`\alpha`.
        bag_of_words_weight: :math:`\beta`.
        prediction_weight: :math:`\gamma`.
        distillation: What the targets of a teacher in the batch are worth.

    Attributes:
        losses: The parts of the last loss by name, without their weights.
    """

    def __init__(
        self,
        model: ModernBertForMaskedLM,
        *,
        temperature: float = 0.05,
        contrast_weight: float = 1.0,
        bag_of_words_weight: float = 0.2,
        prediction_weight: float = 0.5,
        distillation: DistillationLoss | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.contrast_weight = contrast_weight
        self.bag_of_words_weight = bag_of_words_weight
        self.prediction_weight = prediction_weight
        self.distillation = distillation
        self.losses: dict[str, Tensor] = {}

    def forward(self, **batch: Tensor) -> Tensor:
        """Loss of one batch from :class:`BatchMaker`."""
        hidden = self.model.model(
            input_ids=batch["ids"], attention_mask=batch["mask"]
        ).last_hidden_state
        parts = self._prediction(hidden, batch) if "labels" in batch else self._pairs(hidden, batch)
        self.losses = {name: loss.detach() for name, (_, loss) in parts.items()}
        return torch.stack([weight * loss for weight, loss in parts.values()]).sum()

    def _pairs(
        self, hidden: Tensor, batch: Mapping[str, Tensor]
    ) -> dict[str, tuple[float, Tensor]]:
        pooled = mean_pool(hidden, batch["mask"])
        parts: dict[str, tuple[float, Tensor]] = {}
        if self.contrast_weight:
            loss = self._contrast(pooled, batch["keys"])
            parts["contrast"] = (self.contrast_weight, loss)
        if self.bag_of_words_weight:
            parts["bag_of_words"] = (self.bag_of_words_weight, self._bag_of_words(pooled, batch))
        if self.distillation is not None:
            parts |= self.distillation(hidden, pooled, batch)
        return parts

    def _contrast(self, pooled: Tensor, keys: Tensor) -> Tensor:
        english, chinese = pooled.chunk(2)
        english_keys, chinese_keys = keys.chunk(2)
        return info_nce(
            english,
            chinese,
            temperature=self.temperature,
            source_keys=english_keys,
            target_keys=chinese_keys,
        )

    def _bag_of_words(self, pooled: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Each side predicts the tokens of the other."""
        logits = self.model.decoder(self.model.head(pooled))
        others = [torch.cat(batch[name].chunk(2)[::-1]) for name in ("clean", "wanted")]
        return bag_of_words_loss(logits, *others)

    def _prediction(
        self, hidden: Tensor, batch: Mapping[str, Tensor]
    ) -> dict[str, tuple[float, Tensor]]:
        decoder = self.model.decoder
        loss = masked_prediction_loss(
            self.model.head(hidden[batch["chosen"]]),
            decoder.weight,
            decoder.bias,
            batch["labels"],
            negatives=batch["negatives"],
        )
        return {"prediction": (self.prediction_weight, loss)}


def parameter_groups(
    objective: ContextObjective,
    *,
    learning_rate: float,
    embedding_scale: float,
    weight_decay: float,
) -> list[dict[str, object]]:
    """Optimizer groups: slow embeddings, decayed matrices, and vectors without decay.

    Args:
        objective: Encoder with its head, and what is trained beside it.
        learning_rate: Peak learning rate of the layers.
        embedding_scale: Learning rate of the embeddings as a share of it; they arrive aligned.
        weight_decay: Decay of the matrices outside the embeddings.
    """
    table = objective.model.get_input_embeddings().weight
    others = [p for p in objective.parameters() if p is not table and p.requires_grad]
    return [
        {"params": [table], "lr": learning_rate * embedding_scale, "weight_decay": 0.0},
        {
            "params": [p for p in others if p.ndim > 1],
            "lr": learning_rate,
            "weight_decay": weight_decay,
        },
        {"params": [p for p in others if p.ndim < 2], "lr": learning_rate, "weight_decay": 0.0},
    ]
