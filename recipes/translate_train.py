r"""Parallel text, a dictionary or translations: carry the English labels into Chinese.

    accelerate launch recipes/translate_train.py --translations reviews.zh.txt \
        --source_train reviews.en.csv --target_test hotel.zh.jsonl --output_dir out

The method follows from the data you give, or from --method:

    translations         --translations or --translation_model: train on source
                         rows and their translations together
    bitext_consistency   --bitext: a zero-shot teacher labels the English side,
                         the student learns the Chinese side
    continual_alignment  --bitext: fine-tune and keep the pairs' features close
    code_switching       --dictionary: train on rows with some Chinese words
    translate_test       as translations, but of target_test into English; the
                         scores (zh_translated) are of translator and model
"""

from __future__ import annotations

import xlingual as xl


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.TranslateTrainArguments,
    args: xl.TransferArguments,
) -> xl.TransferReport:
    """Train zero-shot, carry the labels across, apply the guard, evaluate, save."""
    xl.prepare_output_dir(args)
    data = xl.load_transfer_data(
        data_args,
        use=["source_train", "source_validation", "target_unlabeled", "target_test"],
        source_language=args.source_language,
        target_language=args.target_language,
        rejected_to=args.output_dir,
        seed=args.seed,
    )
    method, columns = method_args.method, data.task.text_columns
    source, targets = data.mixture("source_train"), data.evaluation_sets("target_test")
    bitext = xl.read_bitexts(method_args.bitext) if method_args.bitext else None
    translations = xl.translations_of(
        data,
        role="target_test" if method == "translate_test" else "source_train",
        given=method_args.translations,
        model=method_args.translation_model,
        cache=method_args.translation_cache or f"{args.output_dir}/translations.jsonl",
        batch_size=method_args.translation_batch_size,
        num_beams=method_args.translation_beams,
    )
    if method == "code_switching":
        entries = xl.read_dictionary(method_args.dictionary)
        words = xl.word_translations(entries, text=data.texts("target_unlabeled"))
        switched = xl.code_switch(source, words, seed=args.seed)

    stages, limits = xl.Stages(model_args, args, data), {}
    zero_shot = student = stages.fit("zero_shot", source)
    if method == "translations":
        translated = xl.translate_rows(source, translations, text_columns=columns)
        loss = None
        if method_args.consistency:
            source = xl.translate_rows(source, translations, text_columns=columns, as_view=True)
            loss = xl.ConsistencyLoss()
        rows = xl.mix_domains({"source": source}, {"zh": translated})
        student = stages.fit(method, rows, loss=loss, target_share=0.5)
    if method == "bitext_consistency":
        pseudo = xl.label_bitext(
            zero_shot,
            bitext,
            confidence_threshold=method_args.bitext_threshold,
            num_rows=method_args.bitext_rows,
            seed=args.seed,
        )
        rows = xl.mix_domains({"source": source}, {"bitext": pseudo})
        student = stages.fit(method, rows, target_share=0.5)
    if method == "continual_alignment":
        pairs = xl.encode_pairs(bitext, tokenizer=zero_shot.processing_class)
        student = stages.fit(method, source, loss=xl.BitextContrastLoss(pairs, seed=args.seed))
        limits["max_ngram_loss"] = xl.BitextContrastLoss.max_ngram_loss
    if method == "code_switching":
        student = stages.fit(method, switched, loss=xl.ConsistencyLoss())
    if method == "translate_test":
        targets = {
            f"{name}_translated": xl.translate_rows(rows, translations, text_columns=columns)
            for name, rows in targets.items()
        }
    if method_args.guard and student is not zero_shot:
        student = xl.safer_of(
            zero_shot,
            student,
            unlabeled=data.pool("target_unlabeled"),
            source_validation=data.pool("source_validation"),
            **limits,
        )
    return xl.finish_run(student, data, args, model_args, method_args, targets=targets, say=print)


if __name__ == "__main__":
    xl.run_recipe(main)
