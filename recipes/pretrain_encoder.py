r"""Build a small bilingual encoder from sentence pairs and a dictionary, on a CPU in an hour.

    python recipes/pretrain_encoder.py --bitext tatoeba.tsv.gz*3,news.tsv --dictionary cedict.txt \
        --output_dir runs/encoder

Tokenizer, stage 0 (static alignment), stage 1 (context layers); each is kept in the output folder,
so a run that was killed goes on where it stopped. With ``accelerate launch`` it runs on GPUs.
``--encoder FOLDER`` trains an existing ModernBERT encoder further instead, on ``--bitext``, on
``--monolingual text.txt`` (masked prediction), or on both. Weights: ``path*weight``.
"""

import argparse

from xlingual import run_recipe


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags of this recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--bitext", default="", help="english<TAB>chinese files, gzipped or not: a.tsv*2,b.tsv.gz")
    add("--dictionary", help="CC-CEDICT, or two columns with a tab")
    add("--dictionary_weight", type=float, default=3.0, help="weight of its entries as pairs")
    add("--monolingual", help="text for masked prediction, one sentence a line (with --encoder)")
    add("--encoder", help="train this ModernBERT folder or hub id further, with its tokenizer")
    add("--output_dir", required=True, help="the encoder goes to OUTPUT_DIR/encoder")
    add("--vocab_size", type=int, default=18_000)
    add("--max_chinese_characters", type=int, default=4, help="longest Chinese piece")
    add("--dim", type=int, default=256, help="width of the embeddings and the layers")
    add("--num_layers", type=int, default=3)
    add("--intermediate_size", type=int, default=512, help="width of the gated MLP")
    add("--static_start", choices=("svd", "random"), default="svd", help="start of stage 0")
    add("--static_steps", type=int, default=2000, help="contrastive steps of stage 0")
    add("--steps", type=int, default=8000, help="steps of stage 1; one second each on two cores")
    add("--learning_rate", type=float, default=8e-4, help="peak learning rate of stage 1")
    add("--embedding_scale", type=float, default=0.03, help="embedding learning rate / the rate")
    add("--contrast_batch", type=int, default=256, help="pairs in a contrastive step")
    add("--prediction_batch", type=int, default=96, help="pairs in a masked-prediction step")
    add("--prediction_every", type=int, default=4, help="every so manieth step predicts; 0 never")
    add("--bag_of_words_weight", type=float, default=0.2)
    add("--switch_probability", type=float, default=0.1, help="code-switched tokens; 0 for none")
    add("--max_length", type=int, default=64, help="tokens of a sentence")
    add("--save_every", type=int, default=500, help="steps between checkpoints")
    add("--precision", choices=("auto", "no", "bf16"), default="auto", help="auto: bf16 if native")
    add("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Read, align, train, evaluate on held-out pairs, save."""
    args = parse(argv)

    from pathlib import Path

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
        model, tokenizer = pt.start_encoder(
            sources,
            args.encoder or output / "stage0",
            must_exist=args.encoder is not None,
            vocab_size=args.vocab_size,
            max_chinese_characters=args.max_chinese_characters,
            dim=args.dim,
            num_layers=args.num_layers,
            intermediate_size=args.intermediate_size,
            static_start=args.static_start,
            static_steps=args.static_steps,
            seed=args.seed,
        )
    batches = pt.BatchMaker(
        pt.encode_sources(sources, tokenizer, max_length=args.max_length),
        tokenizer,
        text=pt.encode_text(sources.monolingual, tokenizer, max_length=args.max_length),
        switcher=pt.CodeSwitcher(sources.entries, tokenizer) if sources.entries else None,
        contrast_batch=args.contrast_batch,
        prediction_batch=args.prediction_batch,
        prediction_every=args.prediction_every,
        switch_probability=args.switch_probability,
        seed=args.seed,
    )
    log = pt.RetrievalLog(output / "retrieval.jsonl", sources.held_out_sample(), tokenizer)
    pt.train_context(
        pt.ContextObjective(model, bag_of_words_weight=args.bag_of_words_weight),
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
    run_recipe(main)
