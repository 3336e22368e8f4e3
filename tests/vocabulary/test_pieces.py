"""The parts of the proofs that rarely matter, each in the smallest case in which it does."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, models

from xlingual.vocabulary.output_folder import write_configs
from xlingual.vocabulary.pieces import fixed_tokens, rebuild, unknown_paths


def test_a_dropped_piece_could_make_an_unknown_word_known() -> None:
    tokens = ["[UNK]", "ab", "abc", "##cd"]
    inner = Tokenizer(models.WordPiece({t: n for n, t in enumerate(tokens)}, unk_token="[UNK]"))
    spec = json.loads(inner.to_str())
    assert inner.encode("abcd").tokens == ["[UNK]"]  # the longest match leaves a lone "##d"

    kept = {"[UNK]", "ab", "##cd"}
    careless = Tokenizer.from_str(json.dumps(rebuild(spec, kept)[0]))
    assert careless.encode("abcd").tokens == ["ab", "##cd"]
    needed = unknown_paths(["abcd"], spec["model"])
    assert needed == {"abc"}
    trimmed = Tokenizer.from_str(json.dumps(rebuild(spec, kept | needed)[0]))
    assert trimmed.encode("abcd").tokens == ["[UNK]"]


def test_the_lowest_score_prices_unknown_characters() -> None:
    scores = {"<unk>": 0.0, "xab": -14.0, "cd": -14.0, "x": -1.0, "bcd": -1.0, "a": -30.0}
    inner = Tokenizer(models.Unigram(list(scores.items()), unk_id=0))
    assert inner.encode("xabcd").tokens == ["xab", "cd"]  # -28, against -32 by way of "a"
    spec = json.loads(inner.to_str())
    kept = set(scores) - {"a"}
    careless = Tokenizer.from_str(json.dumps(rebuild(spec, kept)[0]))
    assert careless.encode("xabcd").tokens == ["x", "a", "bcd"]  # unknown for -14 - 10, so -26
    assert fixed_tokens(spec, scores) == {"<unk>", "a"}


def test_ids_in_configs(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    config = {
        "vocab_size": 90, "pad_token_id": 80, "eos_token_id": [7, 80], "bos_token_id": None,
        "sep_token_id": 55, "decoder": {"decoder_start_token_id": 7}, "num_labels": 7,
    }  # fmt: skip
    (old / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (old / "generation_config.json").write_text('{"eos_token_id": 7}', encoding="utf-8")
    write_configs(old, new, {7: 1, 80: 2, 3: 0})
    assert json.loads((new / "config.json").read_text(encoding="utf-8")) == {
        "vocab_size": 3, "pad_token_id": 2, "eos_token_id": [1, 2], "bos_token_id": None,
        "sep_token_id": None, "decoder": {"decoder_start_token_id": 1}, "num_labels": 7,
    }  # fmt: skip
    assert json.loads((new / "generation_config.json").read_text())["eos_token_id"] == 1
