"""Measure the speed of ONNX: rows per second of PyTorch, fp32 and int8, in turn on one thread.

    OMP_NUM_THREADS=1 python benchmarks/export.py --model xlingual-output --onnx exported

The three take the same English and Chinese sentences through ``Predictor``; the ratio to PyTorch is
taken within each round, above 1 means faster than PyTorch.
"""

from __future__ import annotations

import argparse
import statistics
import time

TEXTS = (
    "Good.",
    "The room was clean and the staff were kind, but breakfast was cold.",
    "I would not stay there again: the street is loud until three in the morning, and nobody at "
    "the desk could say when the lift would be mended.",
    "好。",
    "房间很干净，服务员也很热情，就是早餐有点凉。",
    "我不会再住这里了：街上一直吵到凌晨三点，前台没有人说得清电梯什么时候能修好。",
)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of the trained model")
    parser.add_argument("--onnx", required=True, help="folder that xlingual export wrote")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--copies", type=int, default=50, help="how often the texts are repeated")
    return parser.parse_args()


def main() -> None:
    options = parse()

    import torch

    from xlingual.export import load_onnx_model
    from xlingual.inference import Predictor

    torch.set_num_threads(1)
    ways = {"torch": Predictor.from_pretrained(options.model, device="cpu", precision="fp32")}
    for precision in ("fp32", "int8"):
        served = Predictor.from_pretrained(options.onnx, backend="onnxruntime")
        served.session = load_onnx_model(options.onnx, precision=precision, num_threads=1)
        ways[precision] = served
    texts = list(TEXTS) * options.copies
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):  # the first round warms up
        for name, predictor in ways.items():
            started = time.process_time()
            predictor.predict(texts)
            if number:
                seconds[name].append(time.process_time() - started)
    print(f"{len(texts)} texts, {options.rounds} rounds, processor time; median [lowest, highest]")
    for name, taken in seconds.items():
        rates = [len(texts) / value for value in taken]
        ratios = [slow / fast for slow, fast in zip(seconds["torch"], taken, strict=True)]
        print(f"{name:<6} {describe(rates)} rows/s   x {describe(ratios)}")


def describe(values: list[float]) -> str:
    return f"{statistics.median(values):8.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    main()
