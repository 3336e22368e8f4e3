r"""English labels only: train on the source, serve the target.

    accelerate launch recipes/zero_shot.py \
        --source_train reviews.en.csv --target_test hotel.zh.jsonl --output_dir out

With no arguments it runs on the embedded encoder and corpus. No target label is read before the
final evaluation, except with --selection target_dev, which marks the result as an oracle.

--r_drop_weight 1 adds R-Drop: two passes over a row, one with a tenth of its tokens hidden, are
trained to agree.

With --target_unlabeled hotel.zh.txt it also estimates the accuracy on that text without labels: a
rough guide. --correct_label_shift true moves the output bias to the class shares of that text, if
they can be told.
"""

from __future__ import annotations

import xlingual as xl


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.ZeroShotArguments,
    args: xl.TransferArguments,
) -> xl.TransferReport:
    """Load, train, evaluate in both languages, save."""
    checkpoint = xl.prepare_output_dir(args)
    use, required = ["source_train", "source_validation", "target_test"], ["source_train"]
    if args.selection == "target_dev":
        use.append("target_validation")
    if method_args.correct_label_shift:
        required.append("target_unlabeled")
    if data_args.target_unlabeled or method_args.correct_label_shift:
        use.append("target_unlabeled")
    data = xl.load_transfer_data(
        data_args,
        use=use,
        required=required,
        source_language=args.source_language,
        target_language=args.target_language,
        rejected_to=args.output_dir,
        seed=args.seed,
    )

    loss = None
    if method_args.r_drop_weight:  # hidden tokens, because not every encoder has dropout
        loss = xl.RDropLoss(weight=method_args.r_drop_weight, token_cutoff=0.1, seed=args.seed)
    trainer = xl.TransferTrainer(
        model=model_args.model_name_or_path,
        args=args,
        train_dataset=data.mixture("source_train"),
        eval_dataset=data.selection_sets(),
        task=data.task,
        label_space=data.label_space,
        model_revision=model_args.model_revision,
        transfer_loss=loss,
    )
    trainer.train(resume_from_checkpoint=checkpoint)

    report = trainer.evaluate_transfer(source=data.evaluation_sets("source_validation"), targets={})
    if data.target_unlabeled:
        report = xl.estimate_target(
            trainer,
            report,
            data.evaluation_sets("target_unlabeled"),
            correct_shift=method_args.correct_label_shift,
        )
    return xl.finish_run(
        trainer, data, trainer.args, model_args, method_args, report=report, say=print
    )


if __name__ == "__main__":
    xl.run_recipe(main)
