r"""A trained model and Chinese text, and no row of the source data: SHOT.

    accelerate launch recipes/source_free.py --model_name_or_path runs/zero_shot \
        --target_unlabeled hotel.zh.txt --target_test hotel.zh.jsonl --output_dir out

For a target side that may not see the source data: what has to be sent over is the model's folder.
The output layer is frozen; the encoder moves the target's features to it, with the classes held to
the shares that the given model predicts. The label names are the model's.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Adapt round by round under the guard, evaluate on the target, save."""
    from xlingual import (
        DataArguments,
        ModelArguments,
        SourceFreeArguments,
        TransferArguments,
        TransferTrainer,
        adapt_source_free,
        extract_features,
        load_transfer_data,
        mix_domains,
        output_layer,
        parse_arguments,
        prepare_output_dir,
        push_run,
        trained_label_space,
        write_report,
    )

    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, SourceFreeArguments, TransferArguments,
        output_dir="runs/source_free",
    )  # fmt: skip
    path, revision = model_args.model_name_or_path, model_args.model_revision
    label_space = trained_label_space(path, task=data_args.task, revision=revision)
    prepare_output_dir(args)
    data = load_transfer_data(
        use=["target_unlabeled", "target_test"],
        required=["target_unlabeled"],
        label_space=label_space,
        rejected_to=args.output_dir,
        seed=args.seed,
        **vars(data_args),
    )

    def make_trainer(stage_args, rows=None, loss=None):
        return TransferTrainer(
            model=path,
            args=stage_args,
            train_dataset=rows,
            task=data.task,
            label_space=label_space,
            model_revision=revision,
            transfer_loss=loss,
        )

    def fit(stage, rows, *, loss, after):
        stage_args = args.for_stage(stage, num_train_epochs=1.0)
        checkpoint = prepare_output_dir(stage_args)
        trainer = make_trainer(stage_args, rows, loss)
        output_layer(trainer.model).requires_grad_(False)
        trainer.start_from(after)
        trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    def features_of(trainer, rows):
        return extract_features(
            trainer.model,
            rows,
            tokenizer=trainer.processing_class,
            task=data.task,
            max_length=trainer.args.max_length,
            batch_size=args.per_device_eval_batch_size,
        )

    kept = adapt_source_free(
        fit,
        make_trainer(args.for_stage("given")),
        mix_domains({}, data.target_unlabeled),
        extract=features_of,
        num_rounds=method_args.num_rounds,
        pseudo_label_weight=method_args.pseudo_label_weight,
        diversity_weight=method_args.diversity_weight,
        guard=method_args.guard,
    ).learner
    kept.save_model(args.output_dir)

    targets = data.evaluation_sets("target_test", args.target_language)
    report = kept.evaluate_transfer(source={}, targets=targets)
    if kept.is_world_process_zero():
        write_report(
            args.output_dir, report, model_args, data_args, method_args, kept.args, args,
            rows=targets, data=data,
        )  # fmt: skip
        print(report.table())
        print(f"saved: {args.output_dir}")
    if args.push_to_hub:
        push_run(args)


if __name__ == "__main__":
    run_recipe(main)
