"""The same run as benchmarks/stock_trainer.py by TransferTrainer, with its defaults.

python benchmarks/transfer_trainer.py --model_name_or_path DIR --source_train FILE.jsonl
"""

import json
import sys
import time

from xlingual import (
    DataArguments,
    ModelArguments,
    TransferArguments,
    TransferTrainer,
    load_transfer_data,
    parse_arguments,
)

model_args, data_args, args = parse_arguments(
    sys.argv[1:], ModelArguments, DataArguments, TransferArguments, output_dir="runs/transfer"
)
started, cpu_before = time.perf_counter(), time.process_time()
data = load_transfer_data(data_args, use=["source_train"])
trainer = TransferTrainer(
    model_args.model_name_or_path, args, train_dataset=data.mixture("source_train"), task=data.task
)
trained = trainer.train().metrics["train_runtime"]
trainer.save_model()
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
print("MEASURED", json.dumps({"train": trained, "run": seconds, "cpu": cpu}))
