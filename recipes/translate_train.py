r"""Parallel text, a dictionary or translations: carry the labels across by them.

    accelerate launch recipes/translate_train.py --translations reviews.zh.txt \
        --source_train reviews.en.csv --target_test hotel.zh.jsonl --output_dir out

Methods: translations (--translations FILE or --translation_model FOLDER: source and translated rows
in one run), bitext_consistency (--bitext PAIRS: a zero-shot teacher reads the English side, the
student learns the Chinese one), continual_alignment (--bitext PAIRS keep the languages together),
code_switching (--dictionary FILE), translate_test (target_test is translated into English for the
zero-shot model; the figures, zh_translated, are those of translator and model together).
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Train zero-shot, carry the labels across, let the guard choose, evaluate, save."""
    from xlingual import (  # noqa: I001
        BitextContrastLoss, ConsistencyLoss, DataArguments, ModelArguments, TransferArguments,
        TransferTrainer, TranslateTrainArguments, code_switch, encode_pairs, label_bitext,
        load_transfer_data, mix_domains, parse_arguments, prepare_output_dir, push_run,
        read_bitexts, read_dictionary, safer_of, translate_rows, translations_of,
        word_translations, write_report,
    )  # fmt: skip

    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, TranslateTrainArguments, TransferArguments,
        output_dir="runs/translate_train",
    )  # fmt: skip
    prepare_output_dir(args)
    data = load_transfer_data(
        use=["source_train", "source_validation", "target_unlabeled", "target_test"],
        rejected_to=args.output_dir, seed=args.seed, **vars(data_args),
    )  # fmt: skip
    method, columns = method_args.method, data.task.text_columns
    source = data.mixture("source_train")
    unlabeled = mix_domains({}, data.target_unlabeled) if data.target_unlabeled else None
    source_sets = data.evaluation_sets("source_validation", args.source_language)
    targets = data.evaluation_sets("target_test", args.target_language)
    bitext = read_bitexts(method_args.bitext) if method_args.bitext else None
    languages = (args.source_language, args.target_language)
    role = "target_test" if method == "translate_test" else "source_train"
    translations = translations_of(
        data.texts(role),
        rows=getattr(data_args, role),
        role=role,
        task=data.task,
        columns=vars(data_args),
        languages=languages[::-1] if role == "target_test" else languages,
        given=method_args.translations,
        model=method_args.translation_model,
        cache=method_args.translation_cache or f"{args.output_dir}/translations.jsonl",
        batch_size=method_args.translation_batch_size,
        num_beams=method_args.translation_beams,
    )
    if method == "code_switching":
        entries = read_dictionary(method_args.dictionary)
        words = word_translations(entries, text=data.texts("target_unlabeled"))
        switched = code_switch(source, words, seed=args.seed)

    def fit(stage, rows, *, loss=None, **settings):
        stage_args = args.for_stage(stage, **settings)
        checkpoint = prepare_output_dir(stage_args)
        trainer = TransferTrainer(
            model=model_args.model_name_or_path,
            args=stage_args,
            train_dataset=rows,
            eval_dataset=data.selection_sets(args.source_language, args.target_language),
            task=data.task, label_space=data.label_space, transfer_loss=loss,
            model_revision=model_args.model_revision,
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    zero_shot = student = fit("zero_shot", source)
    if method == "translations":
        parts, loss = {"zh": translate_rows(source, translations, text_columns=columns)}, None
        if method_args.consistency:
            source = translate_rows(source, translations, text_columns=columns, as_view=True)
            loss = ConsistencyLoss()
        student = fit(method, mix_domains({"source": source}, parts), loss=loss, target_share=0.5)
    if method == "bitext_consistency":
        pseudo = label_bitext(
            zero_shot, bitext, confidence_threshold=method_args.bitext_threshold,
            num_rows=method_args.bitext_rows, seed=args.seed,
        )  # fmt: skip
        student = fit(method, mix_domains({"source": source}, {"bitext": pseudo}), target_share=0.5)
    if method == "continual_alignment":
        pairs = encode_pairs(bitext, tokenizer=zero_shot.processing_class)
        student = fit(method, source, loss=BitextContrastLoss(pairs, seed=args.seed))
    if method == "code_switching":
        student = fit(method, switched, loss=ConsistencyLoss())
    if method_args.guard and student is not zero_shot:
        held_out = mix_domains(source_sets) if source_sets else None
        # Alignment lost a point on reviews until it had to agree with n-grams as zero-shot does.
        limits = {"max_ngram_loss": 0.0} if method == "continual_alignment" else {}
        student = safer_of(
            zero_shot, student, unlabeled=unlabeled, source_validation=held_out, **limits
        )
    student.save_model(args.output_dir)

    if method == "translate_test":
        targets = {
            f"{name}_translated": translate_rows(rows, translations, text_columns=columns)
            for name, rows in targets.items()
        }
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
