r"""Chinese text without labels: adapt to it, and keep the zero-shot model if that goes wrong.

    accelerate launch recipes/unlabeled_target.py --method co_training \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_test hotel.zh.jsonl --output_dir out

A zero-shot model is trained first, or given by --zero_shot_model runs/zero_shot. Then --method is:

    recommended             co_training, or self_training where n-grams cannot
                            predict labels: several labels per row, text pairs,
                            too few rows
    co_training             the model labels the text, the words of the text
                            correct the labels, and the model is trained
                            further on them
    self_training           training on confident pseudo-labels, in rounds with
                            more rows each
    continued_pretraining   masked prediction on the text, then fine-tuning
    dann, cdan, mmd, coral  fine-tuning that makes the features of source and
                            target alike

The guard keeps the zero-shot model if the adapted one shows signs of collapse.
"""

from __future__ import annotations

import xlingual as xl


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.UnlabeledTargetArguments,
    args: xl.TransferArguments,
) -> xl.TransferReport:
    """Train zero-shot, adapt, apply the guard, evaluate, save."""
    losses = {
        "dann": xl.DomainAdversarialLoss,
        "cdan": xl.ConditionalAdversarialLoss,
        "mmd": xl.MaximumMeanDiscrepancyLoss,
        "coral": xl.CoralLoss,
    }
    xl.prepare_output_dir(args)
    data = xl.load_transfer_data(
        data_args,
        use=["source_train", "source_validation", "target_unlabeled", "target_test"],
        required=["source_train", "target_unlabeled"],
        source_language=args.source_language,
        target_language=args.target_language,
        rejected_to=args.output_dir,
        seed=args.seed,
    )
    data = xl.with_labels_of(method_args.zero_shot_model, data)
    source, unlabeled = data.mixture("source_train"), xl.ReadOnce(data.pool("target_unlabeled"))

    stages, method = xl.Stages(model_args, args, data), method_args.method
    zero_shot = student = stages.fit("zero_shot", source, ready=method_args.zero_shot_model)
    if method in ("recommended", "co_training"):
        labelled = xl.co_trained_rows(zero_shot, unlabeled)
        if labelled:
            student = stages.fit("co_training", labelled, after=zero_shot)
        if method == "recommended":
            method = "co_training" if labelled else "self_training"
    if method == "self_training":
        student = xl.self_train(
            stages.fit,
            zero_shot,
            source,
            unlabeled,
            shares=xl.doubling_shares(method_args.self_training_rounds),
            confidence_threshold=method_args.confidence_threshold,
        ).learner
    if method == "continued_pretraining":
        encoder = xl.continue_pretraining(
            stages.encoder,
            data.texts("source_train", "target_unlabeled"),
            output_dir=f"{args.output_dir}/continued_pretraining",
            num_train_epochs=method_args.pretraining_epochs,
            **stages.pretraining,
        )
        student = stages.fit("fine_tuning", source, encoder=encoder)
    if method in losses:
        rows = xl.mix_domains({"source": source}, data.target_unlabeled)
        student = stages.fit(method, rows, loss=losses[method](), target_share=0.5)
    if method_args.guard:
        # Co-training continues on the target alone: forgetting the source is no sign of collapse.
        held_out = data.pool("source_validation") if method != "co_training" else None
        student = xl.safer_of(zero_shot, student, unlabeled=unlabeled, source_validation=held_out)
    return xl.finish_run(student, data, args, model_args, method_args, say=print)


if __name__ == "__main__":
    xl.run_recipe(main)
