r"""A few Chinese labels: train on k shots per label and the English data, if that helps.

    accelerate launch recipes/few_shot.py \
        --source_train reviews.en.csv --target_train hotel.zh.jsonl --shots_per_label 16 \
        --target_test hotel.zh.test.jsonl --output_dir out

A quarter of the shots is held out. A zero-shot model is trained first, or given by
--zero_shot_model runs/zero_shot. Then --regime joint trains a model on source and shots together,
half of every batch from the target; --regime sequential trains the zero-shot model further on the
shots. The model that is better on the held-out shots is saved.

With --target_unlabeled, the zero-shot model is instead trained further on that text, labelled by
co-training (see unlabeled_target), and on all shots; a guard chooses between the two models.
"""

from __future__ import annotations

import xlingual as xl


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.FewShotArguments,
    args: xl.TransferArguments,
) -> xl.TransferReport:
    """Train a zero-shot and a few-shot model, keep the better one, evaluate, save."""
    method_args.check_adapter(args.adapter)
    xl.prepare_output_dir(args)
    use = ["source_train", "source_validation", "target_train", "target_test"]
    data = xl.load_transfer_data(
        data_args,
        use=[*use, "target_unlabeled"] if data_args.target_unlabeled else use,
        required=["source_train", "target_train"],
        source_language=args.source_language,
        target_language=args.target_language,
        allow_other_target_labels=method_args.regime == "sequential",
        rejected_to=args.output_dir,
        seed=args.seed,
    )
    data = xl.with_labels_of(method_args.zero_shot_model, data)
    source, text = data.mixture("source_train"), data.pool("target_unlabeled")
    unlabeled = xl.ReadOnce(text) if text else None
    shots, held_out = xl.sample_few_shot(
        data.mixture("target_train"),
        shots_per_label=method_args.shots_per_label,
        label_column=data.task.label_column,
        seed=args.seed,
    )

    stages = xl.Stages(model_args, args, data)
    zero_shot = stages.fit("zero_shot", source, ready=method_args.zero_shot_model)
    has_words = unlabeled is not None and data.target_label_space == data.label_space
    labelled = xl.co_trained_rows(zero_shot, unlabeled) if has_words else None
    if labelled is not None:
        weights = dict.fromkeys(("shots", "held_out"), method_args.shot_weight)
        target = {"co_trained": labelled, "shots": shots, "held_out": held_out}
        rows = xl.mix_domains({}, target, target_weights=weights)
        few_shot = stages.fit("few_shot", rows, after=zero_shot)
        kept = xl.safer_of(zero_shot, few_shot, unlabeled=unlabeled)
    else:
        if method_args.regime == "sequential":
            labels = data.target_label_space
            few_shot = stages.fit("few_shot", shots, after=zero_shot, label_space=labels)
        else:
            rows = xl.mix_domains({"source": source}, {"shots": shots})
            few_shot = stages.fit("few_shot", rows, target_share=0.5)
        kept = xl.better_on(held_out, zero_shot=zero_shot, few_shot=few_shot)
    return xl.finish_run(kept, data, args, model_args, method_args, say=print)


if __name__ == "__main__":
    xl.run_recipe(main)
