"""The encoder as a standard ModernBERT folder: build it from embeddings, save it, embed with it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import (
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
)

from xlingual.data.bitext import Bitext
from xlingual.pretraining.ragged import tokenise
from xlingual.writing import new_folder

__all__ = ["build_encoder", "embed_sentences", "mean_pool", "retrieval_accuracy", "save_encoder"]


def build_encoder(
    tokenizer: PreTrainedTokenizerFast,
    embeddings: NDArray[np.float32],
    *,
    num_layers: int = 3,
    intermediate_size: int = 512,
    num_attention_heads: int = 4,
    norm_eps: float = 1e-5,
    seed: int = 0,
) -> ModernBertForMaskedLM:
    """A ModernBERT that computes what its embedding table does: every residual branch is zero.

    The output projections of attention and MLP start at zero, so training begins at the quality of
    the static embeddings and can only be worth its cost by adding context to them.

    Args:
        tokenizer: Its special tokens go into the configuration.
        embeddings: Token embeddings, shape ``(vocab_size, hidden_size)``.
        num_layers: Encoder layers; all attend globally, sentences are short.
        intermediate_size: Width of the gated MLP.
        num_attention_heads: Attention heads.
        norm_eps: Must be the one the embeddings were trained with.
        seed: Seed of the remaining weights.

    Returns:
        The model with its masked-prediction head, whose decoder is tied to the embeddings.
    """
    torch.manual_seed(seed)
    config = ModernBertConfig(
        vocab_size=embeddings.shape[0],
        hidden_size=embeddings.shape[1],
        num_hidden_layers=num_layers,
        intermediate_size=intermediate_size,
        num_attention_heads=num_attention_heads,
        max_position_embeddings=512,
        layer_types=["full_attention"] * num_layers,
        # Sentences are short, so positions need the finer wavelengths of the local layers.
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 10_000.0}},
        norm_eps=norm_eps,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        classifier_pooling="mean",
        sparse_prediction=False,
    )
    model = ModernBertForMaskedLM(config)
    # The first norm makes the scale of a row meaningless to the encoder, but the decoder shares
    # the table: rows of unit length give it logits that start in range.
    rows = embeddings / np.sqrt(np.square(embeddings).mean() * embeddings.shape[1])
    with torch.no_grad():
        model.model.embeddings.tok_embeddings.weight.copy_(torch.from_numpy(rows))
        for layer in model.model.layers:
            nn.init.zeros_(layer.attn.Wo.weight)
            nn.init.zeros_(layer.mlp.Wo.weight)
    model.eval()
    return model


def save_encoder(
    model: ModernBertForMaskedLM, tokenizer: PreTrainedTokenizerFast, folder: str | Path
) -> Path:
    """Save in half precision: written beside, then renamed, so that no half folder is ever seen.

    The configuration keeps saying float32, so that a plain load is one that can be trained.
    A model card (``README.md``) already in the folder is kept.

    Raises:
        OutputError: The folder cannot be written.
    """
    folder = Path(folder)
    state = {
        name: _to_half(tensor)
        for name, tensor in model.state_dict().items()
        if name != "decoder.weight"  # tied to the embeddings
    }
    with new_folder(folder, replace=True) as beside:
        model.save_pretrained(beside, state_dict=state)
        tokenizer.save_pretrained(beside)
        (beside / "model.safetensors").chmod(0o644)  # written for the owner alone
        if (folder / "README.md").exists():
            shutil.copy2(folder / "README.md", beside / "README.md")
    return folder


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean of the hidden states over the attended tokens, shape ``(batch, dim)``."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


@torch.no_grad()
def embed_sentences(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    *,
    batch_size: int = 256,
    max_length: int = 128,
) -> NDArray[np.float32]:
    """Mean-pooled vectors of unit length in the order of ``texts``, shape ``(texts, dim)``.

    Args:
        model: Bare encoder that returns ``last_hidden_state``.
        tokenizer: Its tokenizer.
        texts: Sentences.
        batch_size: Sentences in a batch; batches hold similar lengths.
        max_length: Tokens kept of each sentence.
    """
    device = next(model.parameters()).device
    rows = tokenise(texts, tokenizer, max_length=max_length)[0].to(device)
    order = np.argsort(rows.lengths, kind="stable")
    was_training = model.training
    model.eval()
    vectors = []
    for start in range(0, len(order), batch_size):
        ids, mask = rows.padded(order[start : start + batch_size], tokenizer.pad_token_id)
        pooled = mean_pool(model(input_ids=ids, attention_mask=mask).last_hidden_state, mask)
        vectors.append(nn.functional.normalize(pooled.float(), dim=-1))
    model.train(was_training)
    in_order = np.empty((len(order), vectors[0].shape[1]), dtype=np.float32)
    in_order[order] = torch.cat(vectors).cpu().numpy()
    return in_order


def retrieval_accuracy(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, bitext: Bitext
) -> dict[str, float]:
    """Share of sentences whose nearest neighbour by cosine is their translation, both ways.

    Returns:
        ``en_to_zh`` and ``zh_to_en`` in [0, 1].
    """
    english = embed_sentences(model, tokenizer, bitext.english)
    chinese = embed_sentences(model, tokenizer, bitext.chinese)
    scores = english @ chinese.T
    gold = np.arange(len(scores))
    return {
        "en_to_zh": float((scores.argmax(1) == gold).mean()),
        "zh_to_en": float((scores.argmax(0) == gold).mean()),
    }


def _to_half(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor
