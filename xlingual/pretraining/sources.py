"""The sources of a build: bitext files with weights, a dictionary, monolingual text."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xlingual.config.weights import parse_path_weights
from xlingual.data.bitext import Bitext, open_text, read_bitext
from xlingual.data.dictionary import DictionaryEntry, dictionary_pairs, read_dictionary
from xlingual.errors import ConfigError, DataError
from xlingual.pretraining.corpus import split_held_out

__all__ = ["PretrainingSources", "parse_weighted_paths", "read_sources", "sample_texts"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainingSources:
    """Clean training pairs, held-out pairs and dictionary entries.

    Attributes:
        train: One bitext a source; the dictionary's pairs, if any, are the last.
        held_out: Pairs of the same sources that no training step sees.
        entries: Dictionary entries, empty without a dictionary.
        weights: Sampling weight of each source by name.
        monolingual: Sentences of one language each, for masked prediction.
    """

    train: list[Bitext]
    held_out: list[Bitext]
    entries: list[DictionaryEntry]
    weights: dict[str, float]
    monolingual: list[str]

    def held_out_sample(self, size: int = 1000) -> list[Bitext]:
        """The first ``size`` held-out pairs of each source, which are in random order."""
        return [
            Bitext(b.name, b.english[:size], b.chinese[:size]) for b in self.held_out if len(b) > 1
        ]


def parse_weighted_paths(spec: str) -> list[tuple[Path, float]]:
    """Read ``--bitext path[*weight],path[*weight]``; a weight that is not given is 1.

    Raises:
        ConfigError: A weight is not a number above 0, or a file does not exist.
    """
    files = [(Path(path), weight) for path, weight in parse_path_weights(spec, flag="--bitext")]
    for path, _ in files:
        if not path.is_file():
            raise ConfigError(f"no such file: {str(path)!r} (in {spec!r})")
    return files


def read_sources(
    bitext: Sequence[tuple[Path, float]],
    *,
    dictionary: str | Path | None = None,
    dictionary_weight: float = 1.0,
    monolingual: str | Path | None = None,
    max_held_out: int = 2000,
) -> PretrainingSources:
    """Read, clean and split bitext files, and turn a dictionary into weighted pairs.

    Args:
        bitext: Files with their sampling weights.
        dictionary: CC-CEDICT or two columns.
        dictionary_weight: Sampling weight of the dictionary's pairs.
        monolingual: Text with one sentence a line.
        max_held_out: Pairs held out of each file at most.

    Raises:
        ConfigError: Two files have one name, or there is nothing to read.
        DataError: A file cannot be read.
    """
    if not bitext and dictionary is None and monolingual is None:
        raise ConfigError("nothing to train on: give --bitext, --dictionary or --monolingual")
    train, held_out, weights = [], [], {}
    for path, weight in bitext:
        source = read_bitext(path)
        if source.name in weights:
            raise ConfigError(f"two bitext files are named {source.name!r}; rename one")
        logger.info("%s: %d pairs, dropped %s", source.name, len(source), dict(source.dropped))
        kept, held = split_held_out(source, size=max_held_out)
        train.append(kept)
        held_out.append(held)
        weights[source.name] = weight
    entries = read_dictionary(dictionary) if dictionary is not None else []
    if entries:
        chinese = [text for source in train for text in source.chinese]
        train.append(dictionary_pairs(entries, text=chinese, name="dictionary"))
        weights["dictionary"] = dictionary_weight
        logger.info("dictionary: %d pairs of %d entries", len(train[-1]), len(entries))
    text = read_monolingual(Path(monolingual)) if monolingual is not None else []
    return PretrainingSources(train, held_out, entries, weights, text)


def read_monolingual(path: Path) -> list[str]:
    """Non-empty lines of a text file, plain or gzipped.

    Raises:
        DataError: There is none.
    """
    lines = [line.strip() for line in open_text(path) if line.strip()]
    if not lines:
        raise DataError(f"{path} holds no text; expected one sentence a line")
    return lines


def sample_texts(
    bitexts: Sequence[Bitext], weights: Mapping[str, float], *, pairs: int = 200_000, seed: int = 0
) -> list[str]:
    """Both sides of ``pairs`` draws in proportion to the weights, for training a tokenizer.

    No sentence pair is drawn more than three times, dictionary entries without limit: their
    weights say how common a word is, and a word list has no other way to say it.
    """
    total = sum(weights.get(b.name, 1.0) for b in bitexts)
    rng = np.random.default_rng(seed)
    texts: list[str] = []
    for bitext in bitexts:
        count = round(pairs * weights.get(bitext.name, 1.0) / total)
        if bitext.pair_weights is None:
            order = np.tile(rng.permutation(len(bitext)), 3)[:count]
        else:
            probability = np.asarray(bitext.pair_weights) / np.sum(bitext.pair_weights)
            order = rng.choice(len(bitext), count, p=probability)
        for index in order:
            texts += [bitext.english[index], bitext.chinese[index]]
    return texts
