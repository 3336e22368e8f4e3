"""Whether a trimmed vocabulary changes anything, and what it saves, on texts of your own.

    python benchmarks/trimming.py --kind Unigram --size 250000 --num_tokens 60000 en.jsonl zh.jsonl

Trains a tokenizer on the texts, pads it to --size with made-up pieces of other scripts, puts a
model with random weights under it, trims it to the texts and English and Chinese, and compares the
pieces of every text and the logits of --texts of them (0: all), in batches of similar length.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers import XLMRobertaConfig as Config
from transformers import XLMRobertaForSequenceClassification as Model

from xlingual.vocabulary import trim_vocabulary
from xlingual.vocabulary.texts import corpus_files, read_texts

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
OTHER_SCRIPTS = ((0x400, 0x450), (0xE01, 0xE2F), (0x621, 0x64A), (0x905, 0x939), (0xAC00, 0xAD00))


def foreign_words(count: int) -> list[str]:
    generator, words = random.Random(0), dict[str, None]()
    while len(words) < count:
        low, high = generator.choice(OTHER_SCRIPTS)
        length = generator.randint(2, 6)
        words["".join(chr(generator.randrange(low, high)) for _ in range(length))] = None
    return list(words)


def train(kind: str, texts: list[str], size: int) -> Tokenizer:
    common = {"special_tokens": SPECIALS, "show_progress": False}
    core = min(size, 40_000)
    if kind == "Unigram":
        inner = Tokenizer(models.Unigram())
        inner.normalizer = normalizers.NFKC()
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=core, unk_token="[UNK]", **common)
        inner.train_from_iterator(texts, trainer)

        spec = json.loads(inner.to_str())
        words = foreign_words(size - len(spec["model"]["vocab"]))
        spec["model"]["vocab"] += [["▁" + word, -12.0] for word in words]
        inner = Tokenizer.from_str(json.dumps(spec))
    elif kind == "WordPiece":
        inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        inner.normalizer = normalizers.BertNormalizer()
        trainer = trainers.WordPieceTrainer(vocab_size=core, **common)
        inner.train_from_iterator(texts, trainer)
        vocabulary = inner.get_vocab()
        for word in foreign_words(size - len(vocabulary)):
            vocabulary[word] = len(vocabulary)
        inner.model = models.WordPiece(vocabulary, unk_token="[UNK]")
    else:
        inner = Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, **common)
        inner.train_from_iterator([*texts, *foreign_words(size // 4)], trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return inner


@torch.no_grad()
def largest_difference(folders: tuple[str, str], texts: list[str]) -> float:
    pairs = [
        (
            Model.from_pretrained(folder, dtype=torch.float32).eval(),
            AutoTokenizer.from_pretrained(folder),
        )
        for folder in folders
    ]
    texts, largest = sorted(texts, key=len), 0.0
    for start in range(0, len(texts), 64):
        batch = texts[start : start + 64]
        first, second = (
            model(**t(batch, truncation=True, max_length=128, padding=True, return_tensors="pt"))
            for model, t in pairs
        )
        largest = max(largest, float((first.logits - second.logits).abs().max()))
    return largest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+")
    parser.add_argument("--kind", choices=("Unigram", "WordPiece", "BPE"), default="Unigram")
    parser.add_argument("--size", type=int, default=250_000)
    parser.add_argument("--num_tokens", type=int)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--half", action="store_true", help="store the weights in float16")
    parser.add_argument("--texts", type=int, default=0)
    options = parser.parse_args()
    texts = list(dict.fromkeys(read_texts(corpus_files(options.files))))
    inner = train(options.kind, texts, options.size)
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIALS, strict=True))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, **{f"{role}_token": name for role, name in names.items()}
    )
    with tempfile.TemporaryDirectory() as scratch:
        old, new = f"{scratch}/old", f"{scratch}/new"
        config = Config(
            vocab_size=len(tokenizer), hidden_size=options.hidden, num_labels=3,
            num_hidden_layers=options.layers, num_attention_heads=options.hidden // 64,
            intermediate_size=4 * options.hidden, max_position_embeddings=514,
            pad_token_id=0, bos_token_id=2, eos_token_id=3,
        )  # fmt: skip
        model = Model(config)
        (model.half() if options.half else model).save_pretrained(old)
        tokenizer.save_pretrained(old)
        del model
        began = time.perf_counter()
        report = trim_vocabulary(
            old, new, languages=["en", "zh"], corpus=options.files, num_tokens=options.num_tokens
        )
        took = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{options.kind}, {len(texts):,} texts, trimmed in {took:.1f} s, peak {peak:,.0f} MiB"
        )
        print(report.table())
        chosen = texts[: options.texts] if options.texts else texts
        print(f"largest logit difference on {len(chosen):,} texts: "
              f"{largest_difference((old, new), chosen):.2e}")  # fmt: skip


if __name__ == "__main__":
    main()
