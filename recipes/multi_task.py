r"""Several tasks or domains: one encoder, a loss weighted over all of them.

    accelerate launch recipes/multi_task.py --separate_heads true --sampling_temperature 2 \
        --source_train sentiment=reviews.en.csv,topic=news.en.csv*0.5 \
        --target_test sentiment=reviews.zh.csv,topic=news.zh.csv --output_dir out

Without --separate_heads the named sets are domains of one task and share its head. With it they are
tasks with labels of their own; each gets a folder, out/sentiment and out/topic, that is the encoder
with that task's head and its results. Weights in the loss are those behind `*`, or learnt
(--loss_weights uncertainty); --sampling_temperature above 1 repeats the rows of small sets.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Load, mix, train once, cut the heads apart, evaluate each, save."""
    from xlingual import (
        DataArguments,
        ModelArguments,
        MultiTaskArguments,
        TaskHeads,
        TransferArguments,
        TransferTrainer,
        UncertaintyWeights,
        load_transfer_data,
        number_groups,
        parse_arguments,
        prepare_output_dir,
        save_task_folders,
        temper_sizes,
        write_report,
    )

    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, MultiTaskArguments, TransferArguments,
        output_dir="runs/multi_task",
    )  # fmt: skip
    checkpoint = prepare_output_dir(args)
    data = load_transfer_data(
        use=["source_train", "source_validation", "target_train", "target_test"],
        rejected_to=args.output_dir,
        seed=args.seed,
        **vars(data_args),
    )
    heads = TaskHeads.from_data(data, args) if method_args.separate_heads else None
    mixture = number_groups(
        temper_sizes(
            data.mixture(), sampling_temperature=method_args.sampling_temperature, seed=args.seed
        )
    )
    loss = None
    if method_args.loss_weights == "uncertainty":
        loss = UncertaintyWeights(len(set(mixture["group"])))
    trainer = TransferTrainer(
        model=model_args.model_name_or_path,
        args=args,
        train_dataset=heads.join(mixture) if heads else mixture,
        eval_dataset=(
            None if heads else data.selection_sets(args.source_language, args.target_language)
        ),
        task=heads.task(data.task) if heads else data.task,
        label_space=heads.label_space if heads else data.label_space,
        model_revision=model_args.model_revision,
        transfer_loss=loss,
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    configs = (model_args, data_args, method_args, trainer.args)

    def evaluate(folder, model, sources, targets):
        report = model.evaluate_transfer(source=sources, targets=targets)
        if model.is_world_process_zero():
            write_report(folder, report, *configs, rows=sources | targets, data=data)
            print(report.table())
            print(f"saved: {folder}")

    if heads is None:
        trainer.save_model()
        sources = data.evaluation_sets("source_validation", args.source_language)
        targets = data.evaluation_sets("target_test", args.target_language)
        evaluate(args.output_dir, trainer, sources, targets)
        if args.push_to_hub:
            trainer.push_to_hub()
        return
    shared = f"{args.output_dir}/shared"
    trainer.save_model(shared)
    with args.main_process_first(desc="cutting the heads apart"):
        if trainer.is_world_process_zero():
            save_task_folders(shared, heads, args.output_dir)
    for name, label_space in heads.label_spaces.items():
        stage_args = args.for_stage(name)
        model = TransferTrainer(
            stage_args.output_dir, stage_args, task=data.task, label_space=label_space
        )
        model.state.log_history = trainer.state.log_history  # what the training of all has cost
        sources = {args.source_language: data.source_validation.get(name)}
        targets = {args.target_language: data.target_test.get(name)}
        sources, targets = ({k: v for k, v in s.items() if v} for s in (sources, targets))
        evaluate(stage_args.output_dir, model, sources, targets)


if __name__ == "__main__":
    run_recipe(main)
