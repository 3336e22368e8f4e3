r"""A language adapter each for source and target, a task adapter over the first, and a swap.

    accelerate launch recipes/language_adapters.py \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_test hotel.zh.jsonl --output_dir out

The language adapters learn by masked prediction, from the source's texts and from the target's
(labels there are never read). The adapters are LoRA pairs, which add up; MAD-X stacks its own.
Source rows are scored with the source's language adapter, target rows with the target's. The model
in the folder is the latter, merged; the adapters stay in folders of their own. The guard keeps the
source's adapter, or a zero-shot model (trained, or --zero_shot_model), where the swap goes wrong.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Train two language adapters and a task adapter, swap, let the guard choose, evaluate."""
    from dataclasses import replace  # noqa: I001

    from xlingual import (
        DataArguments, LanguageAdapterArguments, ModelArguments, TransferArguments, TransferTrainer,
        load_transfer_data, merge_language_adapter, mix_domains, parse_arguments,
        prepare_output_dir, push_run, safer_of, swap_language_adapter, train_language_adapter,
        with_labels_of, write_report,
    )  # fmt: skip

    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, LanguageAdapterArguments, TransferArguments,
        output_dir="runs/language_adapters", adapter="lora",
    )  # fmt: skip
    method_args.check_kind(args.adapter)
    prepare_output_dir(args)
    data = load_transfer_data(
        use=["source_train", "source_validation", "target_unlabeled", "target_test"],
        required=["source_train", "target_unlabeled"], rejected_to=args.output_dir,
        seed=args.seed, **vars(data_args),
    )  # fmt: skip
    data = with_labels_of(method_args.zero_shot_model, data)
    source, unlabeled = data.mixture("source_train"), mix_domains({}, data.target_unlabeled)
    encoder, revision = model_args.model_name_or_path, model_args.model_revision

    def encoder_of(side, role):
        stage_args = args.for_stage(f"{side}_language")
        prepare_output_dir(stage_args)
        adapter = train_language_adapter(
            encoder, data.texts(role), output_dir=stage_args.output_dir, revision=revision,
            rank=method_args.language_adapter_rank,
            learning_rate=method_args.language_adapter_learning_rate,
            num_train_epochs=method_args.language_adapter_epochs, max_length=args.max_length,
            bf16=args.bf16, seed=args.seed, resume=bool(args.resume_from_checkpoint),
        )  # fmt: skip
        return merge_language_adapter(
            encoder, adapter, args.for_stage(f"{side}_encoder").output_dir,
            drop_last_layer=method_args.drop_last_layer, revision=revision,
        )  # fmt: skip

    selection_sets = data.selection_sets(args.source_language, args.target_language)

    def fit(stage, start, *, revision=None, ready=None):
        stage_args = args.for_stage(stage)
        stage_args.adapter = "none" if ready else args.adapter
        checkpoint = prepare_output_dir(stage_args)
        trainer = TransferTrainer(
            model=ready or start, args=stage_args, train_dataset=source,
            eval_dataset=selection_sets, task=data.task, label_space=data.label_space,
            model_revision=None if ready else revision,
        )  # fmt: skip
        if not ready:
            trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    encoders = [encoder_of("source", "source_train"), encoder_of("target", "target_unlabeled")]
    task = fit("task", encoders[0])
    task.save_model(task.args.output_dir)
    task.accelerator.wait_for_everyone()

    speaking = {"task": data.task, "label_space": task.label_space}
    plain_args = args.for_stage("")
    plain_args.adapter, plain_args.selection = "none", "last"

    def over(language_encoder):
        model = swap_language_adapter(task.args.output_dir, language_encoder, **speaking)
        return TransferTrainer(
            model=model, args=plain_args, eval_dataset=selection_sets, **speaking
        )  # fmt: skip

    swapped = kept = over(encoders[1])
    of_source = task
    if method_args.guard:
        zero_shot = fit("zero_shot", encoder, revision=revision, ready=method_args.zero_shot_model)
        kept = safer_of(over(encoders[0]), swapped, unlabeled=unlabeled)
        kept = safer_of(zero_shot, kept, unlabeled=unlabeled)
        of_source = zero_shot if kept is zero_shot else task
    kept.save_model(args.output_dir)

    source_sets = data.evaluation_sets("source_validation", args.source_language)
    targets = data.evaluation_sets("target_test", args.target_language)
    report = of_source.evaluate_transfer(source=source_sets, targets={})
    costs = {**report.costs, "language_adapter_swapped": float(kept is swapped)}
    target_report = kept.evaluate_transfer(source={}, targets=targets)
    report = replace(report, targets=target_report.targets, costs=costs)
    if kept.is_world_process_zero():
        write_report(
            args.output_dir, report, model_args, data_args, method_args, task.args, args,
            rows=source_sets | targets, data=data,
        )  # fmt: skip
        print(report.table())
        print(f"saved: {args.output_dir}")
    if args.push_to_hub:
        push_run(args)


if __name__ == "__main__":
    run_recipe(main)
