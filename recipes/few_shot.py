r"""A few Chinese labels: k shots per label beside the English data, kept only if they help.

    accelerate launch recipes/few_shot.py \
        --source_train reviews.en.csv --target_train hotel.zh.jsonl --shots_per_label 16 \
        --target_test hotel.zh.test.jsonl --output_dir out

A quarter of the shots is held out. A zero-shot model is trained first, or taken as it is with
--zero_shot_model runs/zero_shot; then, --regime joint, source and shots in one run with half of
every batch from the target, or, --regime sequential, the zero-shot model further on the shots. The
model that does better on the held-out shots is saved. With --target_unlabeled the zero-shot model
goes on with that text, labelled by its own words (co-training), and the shots, held-out ones too.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Train a zero-shot and a few-shot model, keep the better one, evaluate, save."""
    from xlingual import (  # noqa: I001
        DataArguments, FewShotArguments, ModelArguments, ReadOnce, TransferArguments,
        TransferTrainer, better_on, co_trained_rows, load_transfer_data, mix_domains,
        parse_arguments, prepare_output_dir, push_run, safer_of, sample_few_shot, with_labels_of,
        write_report,
    )  # fmt: skip

    model_args, data_args, shot_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, FewShotArguments, TransferArguments,
        output_dir="runs/few_shot",
    )  # fmt: skip
    shot_args.check_adapter(args.adapter)
    prepare_output_dir(args)
    sequential = shot_args.regime == "sequential"
    use = ["source_train", "source_validation", "target_train", "target_test"]
    data = load_transfer_data(
        use=[*use, "target_unlabeled"] if data_args.target_unlabeled else use,
        required=["source_train", "target_train"],
        allow_other_target_labels=sequential,
        rejected_to=args.output_dir,
        seed=args.seed,
        **vars(data_args),
    )
    data = with_labels_of(shot_args.zero_shot_model, data)
    shots, held_out = sample_few_shot(
        data.mixture("target_train"),
        shots_per_label=shot_args.shots_per_label,
        label_column=data.task.label_column,
        seed=args.seed,
    )
    source = data.mixture("source_train")
    source_sets = data.evaluation_sets("source_validation", args.source_language)
    selection_sets = data.selection_sets(args.source_language, args.target_language)
    encoder, revision = model_args.model_name_or_path, model_args.model_revision
    given = shot_args.zero_shot_model

    def fit(stage, rows, label_space, *, ready=None, after=None, **settings):
        stage_args = args.for_stage(stage, **settings)
        if ready:
            stage_args.adapter = "none"  # it is taken as it is
        start = ready or (given if after else None)
        checkpoint = prepare_output_dir(stage_args)
        trainer = TransferTrainer(
            model=start or encoder,
            args=stage_args,
            train_dataset=rows,
            eval_dataset=selection_sets if label_space == data.label_space else None,
            task=data.task,
            label_space=label_space,
            model_revision=None if start else revision,
        )
        if after is not None and not start:
            trainer.start_from(after)
        if not ready:
            trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    zero_shot = fit("zero_shot", source, data.label_space, ready=given)
    text = data.target_unlabeled
    unlabeled = ReadOnce(mix_domains({}, text)) if text else None
    has_words = unlabeled is not None and data.target_label_space == data.label_space
    labelled = co_trained_rows(zero_shot, unlabeled) if has_words else None
    if labelled is not None:
        target = {"co_trained": labelled, "shots": shots, "held_out": held_out}
        weights = dict.fromkeys(("shots", "held_out"), shot_args.shot_weight)
        mixed = mix_domains({}, target, target_weights=weights)
        few_shot = fit("few_shot", mixed, data.label_space, after=zero_shot)
        kept = safer_of(zero_shot, few_shot, unlabeled=unlabeled)
    else:
        if sequential:
            few_shot = fit("few_shot", shots, data.target_label_space, after=zero_shot)
        else:
            mixed = mix_domains({"source": source}, {"shots": shots})
            few_shot = fit("few_shot", mixed, data.label_space, target_share=0.5)
        kept = better_on(held_out, zero_shot=zero_shot, few_shot=few_shot)
    kept.save_model(args.output_dir)

    targets = data.evaluation_sets("target_test", args.target_language)
    report = kept.evaluate_transfer(
        source=source_sets if kept.label_space == data.label_space else {}, targets=targets
    )
    if kept.is_world_process_zero():
        write_report(
            args.output_dir, report, model_args, data_args, shot_args, kept.args, args,
            rows=source_sets | targets, data=data,
        )  # fmt: skip
        print(report.table())
        print(f"saved: {args.output_dir}")
    if args.push_to_hub:
        push_run(args)


if __name__ == "__main__":
    run_recipe(main)
