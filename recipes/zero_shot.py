r"""English labels only: train on the source, serve the target.

    accelerate launch recipes/zero_shot.py \
        --source_train reviews.en.csv --target_test hotel.zh.jsonl --output_dir out

With no arguments it runs on the embedded encoder and corpus. No target label is read before the
last evaluation, unless --selection target_dev says so; the result is then marked as an oracle.

--r_drop_weight 1 asks two readings of a row, a tenth of its tokens hidden from one, to agree.

With --target_unlabeled hotel.zh.txt it also says, without a label, what accuracy to expect there:
a rough guide. --correct_label_shift true moves the output bias to the class shares of that text,
where they can be told.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Load, train, evaluate in both languages, save."""
    from dataclasses import replace

    from xlingual import (
        DataArguments,
        ModelArguments,
        RDropLoss,
        TransferArguments,
        TransferTrainer,
        ZeroShotArguments,
        estimate_target,
        load_transfer_data,
        parse_arguments,
        prepare_output_dir,
        write_report,
    )

    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, ZeroShotArguments, TransferArguments,
        output_dir="runs/zero_shot",
    )  # fmt: skip
    checkpoint = prepare_output_dir(args)
    use, required = ["source_train", "source_validation", "target_test"], ["source_train"]
    if args.selection == "target_dev":
        use.append("target_validation")
    if method_args.correct_label_shift:
        required.append("target_unlabeled")
    if data_args.target_unlabeled or method_args.correct_label_shift:
        use.append("target_unlabeled")
    data = load_transfer_data(
        use=use, required=required, rejected_to=args.output_dir, seed=args.seed, **vars(data_args)
    )

    loss = None
    if method_args.r_drop_weight:  # hidden tokens, because not every encoder has dropout
        loss = RDropLoss(weight=method_args.r_drop_weight, token_cutoff=0.1, seed=args.seed)
    source = data.evaluation_sets("source_validation", args.source_language)
    trainer = TransferTrainer(
        model=model_args.model_name_or_path,
        args=args,
        train_dataset=data.mixture("source_train"),
        eval_dataset=data.selection_sets(args.source_language, args.target_language),
        task=data.task,
        label_space=data.label_space,
        model_revision=model_args.model_revision,
        transfer_loss=loss,
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    report = trainer.evaluate_transfer(source=source, targets={})
    if data.target_unlabeled:
        report = estimate_target(
            trainer,
            report,
            data.evaluation_sets("target_unlabeled", args.target_language),
            correct_shift=method_args.correct_label_shift,
        )
    trainer.save_model()

    targets = data.evaluation_sets("target_test", args.target_language)
    report = replace(report, targets=trainer.evaluate_transfer(source={}, targets=targets).targets)
    if trainer.is_world_process_zero():
        write_report(
            args.output_dir, report, model_args, data_args, method_args, trainer.args,
            rows=source | targets, data=data,
        )  # fmt: skip
        print(report.table())
        print(f"saved: {args.output_dir}")
    if args.push_to_hub:
        trainer.push_to_hub()


if __name__ == "__main__":
    run_recipe(main)
