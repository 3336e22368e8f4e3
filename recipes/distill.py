r"""A big model, or several: a small student learns what its teachers would say.

    accelerate launch recipes/distill.py --teachers xlm-r-large-tuned,mdeberta-tuned*0.5 \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_test hotel.zh.jsonl --output_dir out

Teachers may have any architecture and vocabulary; their labels are matched by name and their
probabilities fused by weights. They read source_train, target_unlabeled (if they can read Chinese)
and the English side of --bitext, of which the student learns the Chinese side. --soft_label_weight
weighs their word against the hard labels, --kd_temperature softens it.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Ask the teachers, train the student, evaluate, save."""
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
        read_bitexts,
        write_report,
    )

    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, DistillArguments, TransferArguments,
        output_dir="runs/distill",
    )  # fmt: skip
    checkpoint = prepare_output_dir(args)
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
    source = teachers.teach(data.mixture("source_train"))
    taught = {}
    if data.target_unlabeled:
        taught["unlabeled"] = teachers.teach(mix_domains({}, data.target_unlabeled))
    if method_args.bitext:
        taught["bitext"] = label_bitext(
            teachers,
            read_bitexts(method_args.bitext),
            confidence_threshold=method_args.bitext_threshold,
            num_rows=method_args.bitext_rows,
            seed=args.seed,
        )

    source_sets = data.evaluation_sets("source_validation", args.source_language)
    student = TransferTrainer(
        model=model_args.model_name_or_path,
        args=args,
        train_dataset=mix_domains({"source": source}, taught),
        eval_dataset=data.selection_sets(args.source_language, args.target_language),
        task=data.task,
        label_space=data.label_space,
        model_revision=model_args.model_revision,
    )
    student.train(resume_from_checkpoint=checkpoint)
    student.save_model()

    targets = data.evaluation_sets("target_test", args.target_language)
    report = student.evaluate_transfer(source=source_sets, targets=targets)
    if student.is_world_process_zero():
        write_report(
            args.output_dir, report, model_args, data_args, method_args, student.args,
            rows=source_sets | targets, data=data,
        )  # fmt: skip
        print(report.table())
        print(f"saved: {args.output_dir}")
    if args.push_to_hub:
        student.push_to_hub()


if __name__ == "__main__":
    run_recipe(main)
