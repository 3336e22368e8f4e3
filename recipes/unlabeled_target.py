r"""Chinese text without labels: adapt to it, and keep zero-shot where adapting goes wrong.

    accelerate launch recipes/unlabeled_target.py --method co_training \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_test hotel.zh.jsonl --output_dir out

Methods: recommended (co_training: the words of the text correct the model; where they cannot be
asked, self_training), continued_pretraining, dann, cdan, mmd, coral (these four make features
alike). A zero-shot model is trained first, or taken as it is: --zero_shot_model runs/zero_shot.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Train zero-shot, adapt, let the guard choose, evaluate, save."""
    from xlingual import (  # noqa: I001
        ConditionalAdversarialLoss, CoralLoss, DataArguments, DomainAdversarialLoss,
        MaximumMeanDiscrepancyLoss, ModelArguments, ReadOnce, TransferArguments, TransferTrainer,
        UnlabeledTargetArguments, co_trained_rows, continue_pretraining, load_transfer_data,
        mix_domains, parse_arguments, prepare_output_dir, push_run, safer_of, self_train,
        with_labels_of, write_report,
    )  # fmt: skip

    losses = {
        "dann": DomainAdversarialLoss, "cdan": ConditionalAdversarialLoss,
        "mmd": MaximumMeanDiscrepancyLoss, "coral": CoralLoss,
    }  # fmt: skip
    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, UnlabeledTargetArguments, TransferArguments,
        output_dir="runs/unlabeled_target",
    )  # fmt: skip
    prepare_output_dir(args)
    data = load_transfer_data(
        use=["source_train", "source_validation", "target_unlabeled", "target_test"],
        required=["source_train", "target_unlabeled"], rejected_to=args.output_dir,
        seed=args.seed, **vars(data_args),
    )  # fmt: skip
    data = with_labels_of(method_args.zero_shot_model, data)
    source = data.mixture("source_train")
    unlabeled = ReadOnce(mix_domains({}, data.target_unlabeled))
    source_sets = data.evaluation_sets("source_validation", args.source_language)
    selection_sets = data.selection_sets(args.source_language, args.target_language)

    given, method = method_args.zero_shot_model, method_args.method
    encoder, revision = model_args.model_name_or_path, model_args.model_revision

    def fit(stage, rows, *, ready=None, after=None, loss=None, **settings):
        stage_args = args.for_stage(stage, **settings)
        if ready:
            stage_args.adapter = "none"  # it is taken as it is
        start = ready or (given if after else None)
        checkpoint = prepare_output_dir(stage_args)
        trainer = TransferTrainer(
            model=start or encoder,
            args=stage_args,
            train_dataset=rows,
            eval_dataset=selection_sets,
            task=data.task,
            label_space=data.label_space,
            model_revision=None if start else revision,
            transfer_loss=loss,
        )
        if after is not None and not start:
            trainer.start_from(after)
        if not ready:
            trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    zero_shot = student = fit("zero_shot", source, ready=given)
    asks_words = method in ("recommended", "co_training")
    labelled = co_trained_rows(zero_shot, unlabeled) if asks_words else None
    if method == "recommended":
        method = "co_training" if labelled else "self_training"
    if labelled:
        student = fit("co_training", labelled, after=zero_shot)
    if method == "continued_pretraining":
        folder = continue_pretraining(
            encoder,
            data.texts("source_train", "target_unlabeled"),
            output_dir=f"{args.output_dir}/continued_pretraining",
            num_train_epochs=method_args.pretraining_epochs,
            max_length=args.max_length,
            bf16=args.bf16,
            seed=args.seed,
            revision=revision,
            resume=bool(args.resume_from_checkpoint),
        )
        encoder, revision = folder, None
        student = fit("fine_tuning", source)
    if method in losses:
        rows = mix_domains({"source": source}, data.target_unlabeled)
        student = fit(method, rows, loss=losses[method](), target_share=0.5)
    if method == "self_training":
        student = self_train(
            fit, zero_shot, source, unlabeled,
            shares=[0.8 / 2**k for k in reversed(range(method_args.self_training_rounds))],
            confidence_threshold=method_args.confidence_threshold,
        ).learner  # fmt: skip
    if method_args.guard:
        # Co-training goes on with the target alone: that it forgets the source is no bad sign.
        held_out = mix_domains(source_sets) if source_sets and method != "co_training" else None
        student = safer_of(zero_shot, student, unlabeled=unlabeled, source_validation=held_out)
    student.save_model(args.output_dir)

    targets = data.evaluation_sets("target_test", args.target_language)
    report = student.evaluate_transfer(source=source_sets, targets=targets)
    if student.is_world_process_zero():
        write_report(
            args.output_dir, report, model_args, data_args, method_args, student.args, args,
            rows=source_sets | targets, data=data,
        )  # fmt: skip
        print(report.table())
        print(f"saved: {args.output_dir}")
    if args.push_to_hub:
        push_run(args)


if __name__ == "__main__":
    run_recipe(main)
