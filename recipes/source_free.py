r"""A trained model and Chinese text, but not its training data: adapt it with SHOT.

    accelerate launch recipes/source_free.py --model_name_or_path runs/zero_shot \
        --target_unlabeled hotel.zh.txt --target_test hotel.zh.jsonl --output_dir out

For a target side that may not see the source data: it only gets the model's folder. The output
layer is frozen; the encoder is trained to move the target's features towards it, while the class
shares are held at those that the given model predicts. The label names are the model's.
"""

from __future__ import annotations

import xlingual as xl


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.SourceFreeArguments,
    args: xl.TransferArguments,
) -> xl.TransferReport:
    """Adapt round by round under the guard, evaluate on the target, save."""
    label_space = xl.trained_label_space(
        model_args.model_name_or_path, task=data_args.task, revision=model_args.model_revision
    )
    xl.prepare_output_dir(args)
    data = xl.load_transfer_data(
        data_args,
        use=["target_unlabeled", "target_test"],
        required=["target_unlabeled"],
        source_language=args.source_language,
        target_language=args.target_language,
        label_space=label_space,
        rejected_to=args.output_dir,
        seed=args.seed,
    )
    stages = xl.Stages(model_args, args, data)
    kept = xl.adapt_source_free(
        stages.fit,
        stages.take(),
        data.pool("target_unlabeled"),
        extract=stages.features,
        num_rounds=method_args.num_rounds,
        pseudo_label_weight=method_args.pseudo_label_weight,
        diversity_weight=method_args.diversity_weight,
        guard=method_args.guard,
    ).learner
    return xl.finish_run(kept, data, args, model_args, method_args, say=print)


if __name__ == "__main__":
    xl.run_recipe(main)
