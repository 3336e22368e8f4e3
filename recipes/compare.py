r"""No idea which method to use: run several, with several seeds, and get one table.

    python recipes/compare.py --methods zero_shot,co_training,few_shot,supervised \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_train hotel.zh.jsonl --target_test hotel.zh.test.jsonl \
        --seeds 0 1 2 --output_dir out

Methods by the data that they need, besides English labels:

    nothing             zero_shot, zero_shot_average, r_drop*, frozen_features
    --target_unlabeled  co_training, self_training, continued_pretraining,
                        coral, dann*, cdan*, mmd*, language_adapters*,
                        frozen_self_training, frozen_co_training
    --dictionary        code_switching
    --bitext            bitext_consistency, continual_alignment*
    --translations      translations
    --teachers          distill
    --target_train      few_shot, joint*, supervised (target labels alone: the
                        ceiling); with --target_unlabeled few_shot_with_text

Without --methods, all methods that your data allows are run, except those with a star. Flags of the
recipes are passed on to the runs. A method that starts from a zero-shot model takes the one of the
same seed, and its seconds include that run. Every run has a folder, its settings (.yaml) and its
log (.log) in --output_dir; started again, the comparison continues where it stopped.
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
    """Choose the methods, run those without a result, compare them, save the table."""
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
