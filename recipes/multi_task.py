r"""Several tasks or domains: one encoder, a loss weighted over all of them.

    accelerate launch recipes/multi_task.py --separate_heads true --sampling_temperature 2 \
        --source_train sentiment=reviews.en.csv,topic=news.en.csv*0.5 \
        --target_test sentiment=reviews.zh.csv,topic=news.zh.csv --output_dir out

Without --separate_heads the named sets are domains of one task and share its head. With it they are
tasks with labels of their own; each gets a folder, out/sentiment and out/topic, that is the encoder
with that task's head and its results. Weights in the loss are those behind `*`, or learnt
(--loss_weights uncertainty); --sampling_temperature above 1 repeats the rows of small sets.

--guard true, for domains of one head, also trains without learnt weights and repeated rows, and
keeps that model where the other has lost source accuracy. Off by default: it costs a second
training. Without it, nothing in a run shows whether plain fine-tuning would have done better.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Load, mix, train, cut the heads apart or let a guard choose, evaluate each, save."""
    from xlingual import (
        DataArguments,
        ModelArguments,
        MultiTaskArguments,
        TaskHeads,
        TransferArguments,
        TransferTrainer,
        UncertaintyWeights,
        load_transfer_data,
        mix_domains,
        number_groups,
        parse_arguments,
        prepare_output_dir,
        push_run,
        safer_of,
        save_task_folders,
        temper_sizes,
        write_report,
    )

    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, MultiTaskArguments, TransferArguments,
        output_dir="runs/multi_task",
    )  # fmt: skip
    prepare_output_dir(args)
    use = ["source_train", "source_validation", "target_train", "target_test"]
    data = load_transfer_data(
        use=use, rejected_to=args.output_dir, seed=args.seed, **vars(data_args)
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
    selection_sets = data.selection_sets(args.source_language, args.target_language)

    def fit(stage_args, rows, loss=None):
        checkpoint = prepare_output_dir(stage_args)
        trainer = TransferTrainer(
            model=model_args.model_name_or_path,
            args=stage_args,
            train_dataset=heads.join(rows) if heads else rows,
            eval_dataset=None if heads else selection_sets,
            task=heads.task(data.task) if heads else data.task,
            label_space=heads.label_space if heads else data.label_space,
            model_revision=model_args.model_revision,
            transfer_loss=loss,
        )
        trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    trainer = fit(args.for_stage("weighted") if method_args.guard else args, mixture, loss)

    def evaluate(folder, model, sources, targets):
        report = model.evaluate_transfer(source=sources, targets=targets)
        if model.is_world_process_zero():
            write_report(
                folder, report, model_args, data_args, method_args, trainer.args, args,
                rows=sources | targets, data=data,
            )  # fmt: skip
            print(report.table())
            print(f"saved: {folder}")

    if heads is None:
        sources = data.evaluation_sets("source_validation", args.source_language)
        if method_args.guard:
            plain = fit(args.for_stage("plain"), data.mixture())
            held_out = mix_domains(sources) if sources else None
            trainer = safer_of(plain, trainer, unlabeled=None, source_validation=held_out)
        trainer.save_model(args.output_dir)
        targets = data.evaluation_sets("target_test", args.target_language)
        evaluate(args.output_dir, trainer, sources, targets)
        if args.push_to_hub:
            push_run(args)
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
