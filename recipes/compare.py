r"""No idea what to use: run several methods with several seeds on your data, and read one table.

    python recipes/compare.py --methods zero_shot,co_training,dann,few_shot,supervised \
        --seeds 0 1 2 --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_train hotel.zh.jsonl --target_test hotel.zh.test.jsonl --output_dir out

Methods: zero_shot, zero_shot_average, r_drop, frozen_features; with --target_unlabeled
frozen_self_training, frozen_co_training, co_training, self_training, continued_pretraining, dann,
cdan, mmd, coral, language_adapters; with --dictionary code_switching; with --bitext
bitext_consistency, continual_alignment; with --translations translations; with --teachers distill;
with --target_train few_shot, joint and supervised, the ceiling: the target's labels alone; with
both few_shot_with_text. Left out: those that the data allows, without r_drop, dann, cdan, mmd,
language_adapters, continual_alignment and joint. The recipes' flags are handed on to them. What
starts from a zero-shot model takes that of the same seed, and its seconds hold those of that run.
--num_workers runs go side by side; left out, one on each GPU. Every run has a folder, its settings
(.yaml) and its log (.log) in --output_dir; started again, the comparison goes on where it stopped.
"""

from __future__ import annotations

from pathlib import Path

import xlingual as xl


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.MethodArguments,
    compare_args: xl.CompareArguments,
    args: xl.TransferArguments,
) -> None:
    """Choose the methods, run what has no result yet, compare, save the table."""
    settings = xl.changed_settings(model_args, data_args, args)
    corpus = xl.embedded_roles()
    data = {role: settings.pop(role) for role in corpus if role in settings} or corpus
    data |= method_args.files
    finished = xl.run_all(
        xl.plan_runs(
            xl.choose_methods(compare_args, data),
            compare_args.seeds,
            recipes=Path(__file__).parent,
            output_dir=args.output_dir,
            data=data,
            settings=settings,
            method_settings=xl.changed_settings(method_args),
            target_language=args.target_language,
        ),
        output_dir=args.output_dir,
        num_workers=compare_args.num_workers,
        overwrite=args.overwrite_output,
    )
    unlabeled = {}
    if "target_test" not in data and "target_unlabeled" in data:
        read = xl.load_transfer_data(data_args, use=["source_train", "target_unlabeled"])
        unlabeled = xl.sample_unlabeled(read)
    comparison = xl.compare_runs(
        finished,
        task=data_args.task,
        source_language=args.source_language,
        target_language=args.target_language,
        unlabeled=unlabeled,
    )
    xl.write_comparison(args.output_dir, comparison)
    print(comparison.table())
    print(f"saved: {args.output_dir}")


if __name__ == "__main__":
    xl.run_recipe(main)
