"""Score a bilingual encoder: retrieval, zero-shot transfer, baselines and the ceiling.

    python benchmarks/encoder.py --data DATA --encoder FOLDER_OR_HUB_ID --results results.jsonl

For each task: an encoder fine-tuned on English labels and scored on Chinese (zero-shot), the same
with Chinese labels (ceiling), and, with ``--parallel FILES``, bilingual LSI with logistic
regression. Each cell is appended to ``--results`` and not run again. ``--stage0 FOLDER`` adds the
encoder before its context layers were trained. ``DATA`` holds ``topic/``, ``reviews/``, ``nli/``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from results import read_rows

REVIEWS = ("hotel", "books", "computer", "phone", "clothes")
REVIEW_TESTS = ",".join(f"{name}=reviews/zh_{name}.test.jsonl" for name in REVIEWS)

# epochs: as many as one seed needs to converge on the embedded encoder; the same for all encoders.
# max_length: half of the English reviews have over 128 tokens, and their ends are most telling.
TASKS = {
    "topic": {
        "task": "sequence",
        "epochs": 12,
        "max_length": 128,
        "english": ("topic/en.train.jsonl", "topic/en.test.jsonl"),
        "chinese": ("topic/zh.train.jsonl", "topic/zh.test.jsonl"),
    },
    "reviews": {
        "task": "sequence",
        "epochs": 2,
        "max_length": 256,
        "english": ("reviews/en.train.jsonl", "reviews/en.dev.jsonl"),
        "chinese": ("reviews/zh_hotel.train.jsonl", REVIEW_TESTS),
    },
    "nli": {
        "task": "pair",
        "epochs": 3,
        "max_length": 128,
        "english": ("nli/en.train.jsonl,nli/en_sick.train.jsonl", "nli/en_xnli.dev.jsonl"),
        "chinese": ("nli/zh_ocnli.train.jsonl", "nli/zh_xnli.dev.jsonl"),
    },
}


def main() -> None:
    """Run the missing cells, then print the tables."""
    args = parse()
    from xlingual import embedded_encoder

    results = Path(args.results)
    done = {_key(row): row for row in read_rows(results)}
    encoders = {"encoder": args.encoder or embedded_encoder()}
    if args.stage0:
        encoders["stage 0"] = args.stage0
    for cell, run in cells(args, encoders):
        if _key(cell) not in done:
            started = time.perf_counter()
            row = {**cell, "scores": run(), "seconds": time.perf_counter() - started}
            done[_key(cell)] = row
            print(row, file=sys.stderr, flush=True)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print("\n".join(table(list(done.values()))))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", required=True, type=Path, help="folder with topic/, reviews/ and nli/")
    add("--encoder", help="folder or hub id; default: the embedded encoder")
    add("--stage0", help="folder of the encoder before stage 1")
    add("--parallel", default="", help="english<TAB>chinese files for the LSI baseline: a,b*2")
    add("--results", default="encoder.jsonl", help="one JSON line per cell")
    add("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    add("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    add("--ceiling_seeds", type=int, nargs="*", default=[0])
    add("--flags", nargs="*", default=[], help="key=value of TransferArguments")
    return parser.parse_args()


def cells(args: argparse.Namespace, encoders: dict[str, str]) -> Iterator[tuple[dict, object]]:
    """Every cell with the call that fills it, the cheap ones first."""
    flags = " ".join(args.flags)
    for name, path in encoders.items():
        cell = {"model": name, "path": str(path), "flags": flags}
        yield (
            {**cell, "task": "retrieval", "labels": "none", "seed": 0},
            lambda path=path: retrieval(path, args.data),
        )
        for labels, seeds in (("english", args.seeds), ("chinese", args.ceiling_seeds)):
            if name != "encoder" and labels == "chinese":
                continue
            for task in args.tasks:
                for seed in seeds:
                    yield (
                        {**cell, "task": task, "labels": labels, "seed": seed},
                        lambda path=path, task=task, labels=labels, seed=seed: fine_tune(
                            path, task, labels=labels, seed=seed, args=args
                        ),
                    )
    if args.parallel:
        baseline = Baseline(args.parallel)
        for task in (name for name in args.tasks if TASKS[name]["task"] == "sequence"):
            cell = {"model": "LSI + logistic regression", "path": "", "flags": "", "task": task}
            yield (
                {**cell, "labels": "english", "seed": 0},
                lambda task=task: baseline.score(task, args.data),
            )


def retrieval(path: str, data: Path) -> dict[str, float]:
    """Retrieval@1 of the translation among the sentences of the topic test."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from xlingual.pretraining import Bitext, retrieval_accuracy

    model = AutoModel.from_pretrained(path, dtype=torch.float32)
    sides = [_texts(data / f"topic/{language}.test.jsonl") for language in ("en", "zh")]
    bitext = Bitext("topic", sides[0], sides[1])
    return retrieval_accuracy(model, AutoTokenizer.from_pretrained(path), bitext)


def fine_tune(
    path: str, task: str, *, labels: str, seed: int, args: argparse.Namespace
) -> dict[str, float]:
    """Accuracy and macro-F1 on the English set and every Chinese one after one fine-tuning."""
    from xlingual import (
        DataArguments,
        TransferArguments,
        TransferTrainer,
        load_transfer_data,
        parse_arguments,
    )

    settings = TASKS[task]
    train, target = settings[labels][0], settings["chinese"][1]
    data = load_transfer_data(
        DataArguments(
            task=settings["task"],
            source_train=_below(args.data, train),
            source_validation=_below(args.data, settings["english"][1]),
            target_test=_below(args.data, target),
        ),
        use=["source_train", "source_validation", "target_test"],
    )
    with tempfile.TemporaryDirectory() as folder:
        (arguments,) = parse_arguments(
            [
                f"num_train_epochs={settings['epochs']}",
                f"max_length={settings['max_length']}",
                *args.flags,
            ],
            TransferArguments,
            output_dir=folder,
            seed=seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = TransferTrainer(
            model=path,
            args=arguments,
            train_dataset=data.mixture("source_train"),
            task=data.task,
            label_space=data.label_space,
        )
        trainer.train()
        report = trainer.evaluate_transfer(
            source=data.evaluation_sets("source_validation"),
            targets=data.evaluation_sets("target_test"),
        )
    found = report.results()
    return {
        key.removeprefix("eval_"): found[key]
        for key in found
        if key.endswith(("_accuracy", "_macro_f1")) and "majority" not in key
    }


class Baseline:
    """Bilingual LSI over words, characters and character bigrams, with logistic regression.

    One document is a sentence pair; 60,000 types, TF-IDF, 256 singular vectors. A text is the mean
    of its types' unit vectors: straight from the SVD, the vector of a frequent type is a hundred
    times as long as that of a rare one and hides it.
    """

    def __init__(self, parallel: str) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.preprocessing import normalize
        from sklearn.utils.extmath import randomized_svd

        from xlingual.pretraining import parse_weighted_paths, read_bitext

        bitexts = [read_bitext(path) for path, _ in parse_weighted_paths(parallel)]
        pairs = [f"{en} {zh}" for b in bitexts for en, zh in zip(b.english, b.chinese, strict=True)]
        self.vectorizer = TfidfVectorizer(
            tokenizer=words_and_characters,
            token_pattern=None,
            max_features=60_000,
            sublinear_tf=True,
            min_df=2,
        )
        documents = self.vectorizer.fit_transform(pairs)
        _, _, right = randomized_svd(documents, 256, n_iter=2, random_state=0)
        self.vectors = normalize(right.T)

    def features(self, texts: list[str]) -> np.ndarray:
        """Unit vectors of the texts, shape ``(rows, 256)``."""
        from sklearn.preprocessing import normalize

        return normalize(self.vectorizer.transform(texts) @ self.vectors)

    def score(self, task: str, data: Path) -> dict[str, float]:
        """Accuracy and macro-F1, trained on the English rows alone."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        settings = TASKS[task]
        train = settings["english"][0]
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        classifier.fit(self.features(_texts(data / train)), _labels(data / train))
        sets = {"en": settings["english"][1]}
        for entry in settings["chinese"][1].split(","):
            name, _, path = entry.rpartition("=")
            sets[f"zh_{name}" if name else "zh"] = path
        scores = {}
        for name, path in sets.items():
            gold = _labels(data / path)
            predicted = classifier.predict(self.features(_texts(data / path)))
            scores[f"{name}_accuracy"] = float((predicted == gold).mean())
            scores[f"{name}_macro_f1"] = float(f1_score(gold, predicted, average="macro"))
        return scores


def words_and_characters(text: str) -> list[str]:
    """Lower-cased words, Chinese characters and bigrams of neighbouring Chinese characters."""
    import re

    tokens: list[str] = re.findall(r"[a-z0-9']+", text.lower())
    for run in re.findall(r"[\u3400-\u9fff]+", text):
        tokens += [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
    return tokens


def table(rows: list[dict]) -> list[str]:
    """Markdown: one line per model, labels, task and metric."""
    lines = [
        "| model | labels | task | metric | seeds | mean | sd |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        key = (row["model"], row["labels"], row["task"], row["flags"])
        groups.setdefault(key, []).append(_with_mean(row["scores"]))
    for (model, labels, task, flags), group in groups.items():
        name = f"{model} ({flags})" if flags else model
        for metric in group[0]:
            values = [100 * scores[metric] for scores in group]
            deviation = f"{statistics.stdev(values):.1f}" if len(values) > 1 else "-"
            lines.append(
                f"| {name} | {labels} | {task} | {metric} | {len(values)} | "
                f"{statistics.mean(values):.1f} | {deviation} |"
            )
    return lines


def _with_mean(scores: dict[str, float]) -> dict[str, float]:
    domains = [scores[f"zh_{d}_accuracy"] for d in REVIEWS if f"zh_{d}_accuracy" in scores]
    return {**scores, "zh_mean_accuracy": statistics.mean(domains)} if domains else scores


def _below(data: Path, spec: str) -> str:
    """``name=path,path`` with every path below the data folder."""
    entries = []
    for entry in spec.split(","):
        name, equals, path = entry.rpartition("=")
        entries.append(f"{name}{equals}{data / path}")
    return ",".join(entries)


def _texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


def _labels(path: Path) -> np.ndarray:
    return np.array([json.loads(line)["label"] for line in path.read_text("utf-8").splitlines()])


def _key(row: dict) -> tuple:
    return row["model"], row["path"], row["flags"], row["task"], row["labels"], row["seed"]


if __name__ == "__main__":
    main()
