r"""Build a small bilingual encoder from sentence pairs and a dictionary, on a CPU in an hour.

    python recipes/pretrain_encoder.py --bitext tatoeba.tsv.gz*3,news.tsv --dictionary cedict.txt \
        --output_dir runs/encoder

Tokenizer, stage 0 (static alignment), stage 1 (context layers); each is kept in the output folder,
so a run that was killed goes on where it stopped. With ``accelerate launch`` it runs on GPUs.
The flags may stand in a YAML file: ``--config encoder.yaml``.
``--teacher FOLDER`` lets it learn from a large pretrained encoder too: from its sentence vectors,
its token vectors and the similarities within a batch. No weight of it is in the result.
``--encoder FOLDER`` trains an existing ModernBERT encoder further instead, on ``--bitext``, on
``--monolingual text.txt`` (masked prediction), or on both. Weights: ``path*weight``.
"""

from __future__ import annotations

from pathlib import Path

import xlingual as xl


def main(args: xl.PretrainEncoderArguments) -> None:
    """Read, align, train, evaluate on held-out pairs, save."""
    from accelerate.utils import set_seed

    from xlingual import pretraining as pt

    accelerator = pt.make_accelerator(args.precision)
    set_seed(args.seed)
    output = Path(args.output_dir)
    with accelerator.main_process_first():
        sources = pt.read_sources(
            pt.parse_weighted_paths(args.bitext),
            dictionary=args.dictionary,
            dictionary_weight=args.dictionary_weight,
            monolingual=args.monolingual,
        )
        tokenizer = pt.start_tokenizer(
            sources,
            output / "tokenizer",
            encoder=args.encoder,
            vocab_size=args.vocab_size,
            max_chinese_characters=args.max_chinese_characters,
            seed=args.seed,
        )
        read = {"max_length": args.max_length, "device": accelerator.device}
        has_token_targets = args.teacher is not None and args.token_weight > 0
        corpus = pt.encode_sources(sources, tokenizer, with_spans=has_token_targets, **read)
        model = pt.start_encoder(
            None if args.encoder else corpus,
            tokenizer,
            args.encoder or output / "stage0",
            dim=args.dim,
            num_layers=args.num_layers,
            intermediate_size=args.intermediate_size,
            static_start=args.static_start,
            static_steps=args.static_steps,
            seed=args.seed,
        )
        targets, distillation = None, None
        if args.teacher is not None:
            teacher = pt.Teacher(
                args.teacher, prefix=args.teacher_prefix, pooling=args.teacher_pooling
            )
            cache = args.teacher_cache or output / "teacher"
            is_bf16 = accelerator.mixed_precision == "bf16"
            targets = pt.read_targets(teacher, sources, corpus, cache, bf16=is_bf16)
            distillation = pt.DistillationLoss(
                model.config.hidden_size,
                targets.dim,
                pooled_weight=args.pooled_weight,
                token_weight=args.token_weight,
                relation_weight=args.relation_weight,
                seed=args.seed,
            )
    switcher = pt.CodeSwitcher(sources.entries, tokenizer, device=accelerator.device)
    batches = pt.BatchMaker(
        corpus,
        tokenizer,
        text=pt.encode_text(sources.monolingual, tokenizer, **read),
        switcher=switcher if sources.entries else None,
        targets=targets,
        contrast_batch=args.contrast_batch,
        prediction_batch=args.prediction_batch,
        prediction_every=args.prediction_every,
        switch_probability=args.switch_probability,
        seed=args.seed,
    )
    log = pt.RetrievalLog(output / "retrieval.jsonl", sources.held_out_sample(), tokenizer)
    pt.train_context(
        pt.ContextObjective(
            model,
            contrast_weight=args.contrast_weight,
            bag_of_words_weight=args.bag_of_words_weight,
            distillation=distillation,
        ),
        batches,
        accelerator=accelerator,
        output_dir=output,
        steps=args.steps,
        learning_rate=args.learning_rate,
        embedding_scale=args.embedding_scale,
        save_every=args.save_every,
        on_save=lambda step: log.save_if_best(model, step, output / "encoder"),
    )
    if accelerator.is_main_process:
        print(log.table())
        print(f"saved: {output / 'encoder'}")


if __name__ == "__main__":
    xl.run_recipe(main)
