"""Forty lines of stock Trainer with its defaults, the reference of benchmarks/speed.py.

python benchmarks/stock_trainer.py --model_name_or_path DIR --source_train FILE.jsonl
"""

import json
import time
from argparse import ArgumentParser

from datasets import load_dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
)

parser = ArgumentParser()
parser.add_argument("--model_name_or_path", required=True)
parser.add_argument("--source_train", required=True)
parser.add_argument("--num_train_epochs", type=float, default=3)
parser.add_argument("--output_dir", default="runs/stock")
options = parser.parse_args()

started, cpu_before = time.perf_counter(), time.process_time()
rows = load_dataset("json", data_files=options.source_train, split="train")
names = sorted(set(rows["label"]))
tokenizer = AutoTokenizer.from_pretrained(options.model_name_or_path)
model = AutoModelForSequenceClassification.from_pretrained(
    options.model_name_or_path, num_labels=len(names), dtype="float32"
)


def encode(batch):
    encoded = tokenizer(batch["text"], truncation=True, max_length=128)
    return {**encoded, "label": [names.index(label) for label in batch["label"]]}


args = TrainingArguments(options.output_dir, num_train_epochs=options.num_train_epochs)
encoded = rows.map(encode, batched=True, remove_columns=rows.column_names)
trainer = Trainer(model, args, train_dataset=encoded, processing_class=tokenizer)
trained = trainer.train().metrics["train_runtime"]
trainer.save_model()
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
print("MEASURED", json.dumps({"train": trained, "run": seconds, "cpu": cpu}))
