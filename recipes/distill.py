r"""A big model, or several: a small student learns what its teachers would say.

    accelerate launch recipes/distill.py --teachers xlm-r-large-tuned,mdeberta-tuned*0.5 \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_test hotel.zh.jsonl --output_dir out

Teachers may have any architecture and vocabulary; their labels are matched by name and their
probabilities fused by weights. They read source_train, target_unlabeled (if they can read Chinese)
and the English side of --bitext, of which the student learns the Chinese side. --soft_label_weight
weighs their word against the hard labels, --kd_temperature softens it.

--guard true also trains the student zero-shot, on the hard labels of source_train alone, and keeps
that one where the distilled one has lost source accuracy or moved far from it on the target text.
Off by default: it costs a second training, and good teachers, too, move a student far that is weak
in Chinese by itself. Without it, nothing in a run shows whether zero-shot would have done better.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Ask the teachers, train the student, let a guard choose if asked for, evaluate, save."""
    from xlingual import (
        DataArguments,
        DistillArguments,
        ModelArguments,
        Predictor,
        TeacherEnsemble,
        TransferArguments,
        TransferTrainer,
        label_bitext,
        load_transfer_data,
        mix_domains,
        parse_arguments,
        prepare_output_dir,
        push_run,
        read_bitexts,
        safer_of,
        write_report,
    )

    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, DistillArguments, TransferArguments,
        output_dir="runs/distill",
    )  # fmt: skip
    prepare_output_dir(args)
    data = load_transfer_data(
        use=["source_train", "source_validation", "target_unlabeled", "target_test"],
        rejected_to=args.output_dir,
        seed=args.seed,
        **vars(data_args),
    )

    weights = method_args.teacher_weights
    teachers = TeacherEnsemble(
        {name: Predictor.from_pretrained(name) for name in weights},
        task=data.task,
        label_space=data.label_space,
        weights=list(weights.values()),
    )
    source = data.mixture("source_train")
    unlabeled = mix_domains({}, data.target_unlabeled) if data.target_unlabeled else None
    taught = {}
    if unlabeled is not None:
        taught["unlabeled"] = teachers.teach(unlabeled)
    if method_args.bitext:
        taught["bitext"] = label_bitext(
            teachers,
            read_bitexts(method_args.bitext),
            confidence_threshold=method_args.bitext_threshold,
            num_rows=method_args.bitext_rows,
            seed=args.seed,
        )

    source_sets = data.evaluation_sets("source_validation", args.source_language)

    def fit(stage_args, rows):
        checkpoint = prepare_output_dir(stage_args)
        trainer = TransferTrainer(
            model=model_args.model_name_or_path,
            args=stage_args,
            train_dataset=rows,
            eval_dataset=data.selection_sets(args.source_language, args.target_language),
            task=data.task,
            label_space=data.label_space,
            model_revision=model_args.model_revision,
        )
        trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    student_args = args.for_stage("student") if method_args.guard else args
    student = fit(student_args, mix_domains({"source": teachers.teach(source)}, taught))
    if method_args.guard:
        zero_shot_args = args.for_stage("zero_shot")
        zero_shot_args.target_share = None  # it reads the source alone
        zero_shot = fit(zero_shot_args, source)
        held_out = mix_domains(source_sets) if source_sets else None
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
