"""Check on your own texts that a trimmed vocabulary changes nothing, and measure the savings.

    python benchmarks/trimming.py --kind Unigram --size 250000 --num_tokens 60000 en.jsonl zh.jsonl

Trains a tokenizer on a sample of the texts, pads it to --size with made-up pieces of other scripts
(and --own of Latin and Chinese script, as many as in a large model), puts a model with random
weights on it, trims it to the texts and English and Chinese, and compares the pieces of every text
and the logits of --texts of them (0: all), in batches of similar length.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    XLMRobertaConfig as Config,
    XLMRobertaForSequenceClassification as Model,
)

from xlingual.vocabulary import trim_vocabulary
from xlingual.vocabulary.texts import corpus_files, read_texts

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
OWN_SCRIPTS = ((0x61, 0x7A), (0x4E00, 0x8FA0))
OTHER_SCRIPTS = ((0x400, 0x450), (0xE01, 0xE2F), (0x621, 0x64A), (0x905, 0x939), (0xAC00, 0xAD00))


def made_up_words(count: int, scripts: tuple[tuple[int, int], ...]) -> list[str]:
    generator, words = random.Random(0), dict[str, None]()
    while len(words) < count:
        low, high = generator.choice(scripts)
        length = generator.randint(2, 6)
        words["".join(chr(generator.randrange(low, high)) for _ in range(length))] = None
    return list(words)


def untrained(kind: str) -> tuple[Tokenizer, Any]:
    if kind == "Unigram":
        inner = Tokenizer(models.Unigram())
        inner.normalizer = normalizers.NFKC()
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        return inner, lambda **common: trainers.UnigramTrainer(unk_token="[UNK]", **common)
    if kind == "WordPiece":
        inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        inner.normalizer = normalizers.BertNormalizer()
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return inner, trainers.WordPieceTrainer
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return inner, lambda **common: trainers.BpeTrainer(initial_alphabet=alphabet, **common)


def padded(inner: Tokenizer, kind: str, size: int, num_own: int) -> Tokenizer:
    """The tokenizer with made-up words of other scripts, and, for BPE, the merges to them."""
    spec = json.loads(inner.to_str())
    model = spec["model"]
    vocabulary: Any = model["vocab"]
    words = made_up_words(num_own, OWN_SCRIPTS) + made_up_words(size, OTHER_SCRIPTS)
    if kind == "Unigram":
        known = {piece for piece, _ in vocabulary}
        words = [word for word in words if "▁" + word not in known]
        vocabulary += [["▁" + word, -12.0] for word in words[: size - len(vocabulary)]]
    elif kind == "WordPiece":
        for word in words:
            if len(vocabulary) < size:
                vocabulary.setdefault(word, len(vocabulary))
    else:
        for word in words:
            symbols = list(inner.pre_tokenizer.pre_tokenize_str(word)[0][0])
            token = symbols[0]
            for symbol in symbols[1:]:
                if len(vocabulary) < size and token + symbol not in vocabulary:
                    model["merges"].append([token, symbol])
                    vocabulary[token + symbol] = len(vocabulary)
                token += symbol
    return Tokenizer.from_str(json.dumps(spec))


def train(options: argparse.Namespace, texts: list[str]) -> Tokenizer:
    inner, trainer = untrained(options.kind)
    size = min(options.size, options.trained)
    inner.train_from_iterator(
        texts, trainer(vocab_size=size, special_tokens=SPECIALS, show_progress=False)
    )
    inner = padded(inner, options.kind, options.size, options.own)
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return inner


def build(options: argparse.Namespace, texts: list[str], folder: str) -> None:
    sample = random.Random(0).sample(texts, min(options.sample, len(texts)))
    began = time.perf_counter()
    inner = train(options, sample)
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIALS, strict=True))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, **{f"{role}_token": name for role, name in names.items()}
    )
    say(f"{options.kind}: {len(tokenizer):,} tokens, made in {time.perf_counter() - began:.0f} s")
    config = Config(
        vocab_size=len(tokenizer), hidden_size=options.hidden, num_labels=3,
        num_hidden_layers=options.layers, num_attention_heads=options.hidden // 64,
        intermediate_size=4 * options.hidden, max_position_embeddings=514,
        pad_token_id=0, bos_token_id=2, eos_token_id=3, dtype="float16" if options.half else None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Model(config)
    (model.half() if options.half else model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def trim(old: str, new: str, files: list[str], num_tokens: int | None) -> str:
    began = time.perf_counter()
    report = trim_vocabulary(old, new, languages=["en", "zh"], corpus=files, num_tokens=num_tokens)
    took = time.perf_counter() - began
    status = Path("/proc/self/status")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if status.is_file():  # on Linux, ru_maxrss includes the parent's memory before the start
        peak = int(status.read_text().split("VmHWM:")[1].split()[0])
    return f"trimmed in {took:.1f} s, peak memory {peak / 1024:,.0f} MiB\n{report.table()}"


@torch.no_grad()
def compare(folders: tuple[str, str], texts: list[str]) -> str:
    """Pieces and logits of all texts; the logits of a batch with the same padding on both sides."""
    old, new = (AutoTokenizer.from_pretrained(folder) for folder in folders)
    pair = [Model.from_pretrained(folder, dtype=torch.float32).eval() for folder in folders]
    texts = sorted(texts, key=len)
    largest, num_pieces, num_equal = 0.0, 0, 0
    limits = {"truncation": True, "max_length": 128, "padding": True, "return_tensors": "pt"}
    for start in range(0, len(texts), 64):
        batch = texts[start : start + 64]
        whole = [tokenizer(batch)["input_ids"] for tokenizer in (old, new)]
        for before, after in zip(*whole, strict=True):
            if old.convert_ids_to_tokens(before) == new.convert_ids_to_tokens(after):
                num_pieces += 1
        first, second = (
            model(**tokenizer(batch, **limits)).logits
            for model, tokenizer in zip(pair, (old, new), strict=True)
        )
        num_equal += int((first == second).all(dim=-1).sum())
        largest = max(largest, float((first - second).abs().max()))
    return (
        f"{len(texts):,} texts: {num_pieces:,} with the same pieces, {num_equal:,} with logits "
        f"that are equal bit for bit, largest difference {largest:.1e}"
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("files", nargs="+")
    add("--kind", choices=("Unigram", "WordPiece", "BPE"), default="Unigram")
    add("--size", type=int, default=250_000)
    add("--trained", type=int, default=20_000, help="pieces of --size that come from the texts")
    add("--own", type=int, default=0, help="made-up pieces in Latin and Chinese script")
    add("--sample", type=int, default=30_000, help="texts to train the tokenizer on")
    add("--num_tokens", type=int)
    add("--layers", type=int, default=1)
    add("--hidden", type=int, default=64)
    add("--half", action="store_true", help="store the weights in float16")
    add("--texts", type=int, default=0, help="texts to compare; 0: all, -1: none")
    options = parser.parse_args()
    files = corpus_files(options.files)
    texts = list(dict.fromkeys(read_texts(files)))
    with tempfile.TemporaryDirectory() as scratch:
        old, new = str(Path(scratch) / "old"), str(Path(scratch) / "new")
        build(options, texts, old)
        # In a process of its own, so that its peak memory is that of trimming.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            say(pool.submit(trim, old, new, files, options.num_tokens).result())
        if options.texts >= 0:
            began = time.perf_counter()
            say(compare((old, new), texts[: options.texts] if options.texts else texts))
            say(f"compared in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
