"""Measure the cost of predicting: against ``pipeline()``, and for a file of a million rows.

    python benchmarks/predict.py speed --model xlingual-output --rounds 5
    python benchmarks/predict.py rows --rows 1000000 --folder /tmp/predict

``speed`` runs the same texts in turn through Predictor and through ``pipeline()``, with its default
batch of one and with batches of 32, in one process; the ratio is taken within each round, and above
1 means that Predictor is faster. ``rows`` runs ``xlingual predict`` as a user does, kills it at
60%, resumes it, and checks that every row is there once and in its place; memory is the peak of the
process up to that point. Without ``--model`` it uses a tiny untrained model: the cost of reading
and writing is measured, not the model.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

OPENINGS = (
    "The room", "Our breakfast", "The staff at the desk", "This phone", "The second book",
    "房间", "早餐", "前台的服务", "这部手机", "第二本书", "總的來說這家店", "老板",
)  # fmt: skip
ENDINGS = (
    "was better than we expected.", "could have been cleaner.", "was fine, nothing more.",
    "broke after two days, and nobody answered our mails.", "is worth every cent.",
    "比想象的好。", "还可以更干净一些。", "一般般，没什么特别的。", "物有所值，下次还来。",
    "用了两天就坏了，客服也没人理。", "讓人失望，不會再來了。", "真的很不错！",
)  # fmt: skip


def sentence(generator: random.Random, *, longest: int) -> str:
    parts = generator.randint(1, longest)
    return " ".join(
        f"{generator.choice(OPENINGS)} {generator.choice(ENDINGS)}" for _ in range(parts)
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("speed", "rows"))
    parser.add_argument("--model", help="folder of a trained model; needed for speed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--texts", type=int, default=500, help="texts per round of speed")
    parser.add_argument("--folder", type=Path, default=Path("predict-benchmark"))
    return parser.parse_args()


def speed(options: argparse.Namespace) -> None:
    from transformers import pipeline

    from xlingual.inference import Predictor

    generator = random.Random(0)
    texts = [sentence(generator, longest=6) for _ in range(options.texts)]
    predictor = Predictor.from_pretrained(options.model, device="cpu", precision="fp32")
    stock = pipeline("text-classification", model=options.model, device=-1)
    ways = {
        "Predictor": lambda: [answer.label for answer in predictor.predict(texts)],
        "pipeline, batch 1": lambda: [answer["label"] for answer in stock(texts)],
        "pipeline, batch 32": lambda: [answer["label"] for answer in stock(texts, batch_size=32)],
    }
    answers = {name: run() for name, run in ways.items()}  # also warms up
    agreement = [
        statistics.mean(a == b for a, b in zip(answers["Predictor"], other, strict=True))
        for other in answers.values()
    ]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, run in ways.items():
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    print(f"{len(texts)} texts, {options.rounds} rounds, processor time; median [lowest, highest]")
    for (name, taken), agrees in zip(seconds.items(), agreement, strict=True):
        rates = [len(texts) / value for value in taken]
        ratios = [slow / fast for slow, fast in zip(taken, seconds["Predictor"], strict=True)]
        print(
            f"{name:<20} {describe(rates)} rows/s   x {describe(ratios)}   "
            f"same labels: {100 * agrees:.1f}%"
        )


def describe(values: list[float]) -> str:
    return f"{statistics.median(values):8.2f} [{min(values):.2f}, {max(values):.2f}]"


def tiny_model(folder: Path) -> str:
    import torch
    from transformers import AutoTokenizer, ModernBertConfig, ModernBertForSequenceClassification

    from xlingual import embedded_encoder

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(embedded_encoder())
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        pad_token_id=tokenizer.pad_token_id,
        id2label={0: "negative", 1: "positive"},
    )
    ModernBertForSequenceClassification(config).save_pretrained(folder / "tiny")
    tokenizer.save_pretrained(folder / "tiny")
    return str(folder / "tiny")


def peak_mib(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def rows_written(part: Path) -> int:
    try:
        return json.loads(part.with_name(f"{part.name}.json").read_text())["rows"]
    except (OSError, ValueError):
        return 0


def start(model: str, source: Path, target: Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "xlingual.cli", "predict", model, str(source), str(target)]
    return subprocess.Popen([*command, *flags], env={**os.environ, "PYTHONPATH": str(ROOT)})


def watch(process: subprocess.Popen[bytes], part: Path, marks: list[int]) -> Iterator[float]:
    """The peak memory when this many rows are written; the last mark is the end of the process."""
    peak = 0.0
    for mark in marks:
        while process.poll() is None and rows_written(part) < mark:
            try:
                peak = peak_mib(process)
            except (OSError, IndexError):
                break  # it has just ended
            time.sleep(0.05)
        yield peak


def rows(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    model = options.model or tiny_model(folder)
    source, target, total = folder / "in.jsonl", folder / "out.jsonl", options.rows
    part = target.with_name("out.jsonl.part")
    generator = random.Random(1)
    with source.open("w", encoding="utf-8") as file:
        for number in range(total):
            row = {"编号": number, "text": sentence(generator, longest=2), "来源": "template"}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{total:,} rows, {source.stat().st_size / 2**20:,.0f} MiB", flush=True)
    started = time.perf_counter()
    first = start(model, source, target, "--overwrite_output")
    shares = (0.1, 0.5, 0.6)
    peaks = watch(first, part, [int(total * share) for share in shares])
    for share, peak in zip(shares, peaks, strict=True):
        print(f"first process: peak {peak:,.0f} MiB at {share:.0%}", flush=True)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    print(f"killed at {rows_written(part):,} rows after {time.perf_counter() - started:.0f} s")
    second = start(model, source, target, "--resume")
    (peak,) = watch(second, part, [total + 1])
    print(f"second process: peak {peak:,.0f} MiB at 100%, exit code {second.wait()}")
    print(f"{total / (time.perf_counter() - started):,.0f} rows/s over both, with both starts")
    with target.open(encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    in_place = [row["编号"] for row in found] == list(range(total))
    answered = all(row["prediction"] in ("negative", "positive") for row in found)
    print(f"every row once and in its place: {in_place}; every row answered: {answered}")


def main() -> None:
    options = parse()
    if options.what == "speed" and not options.model:
        sys.exit("speed needs --model, the folder of a trained model")
    {"speed": speed, "rows": rows}[options.what](options)


if __name__ == "__main__":
    main()
