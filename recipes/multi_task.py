r"""Several tasks or domains: train one encoder on all of them.

    accelerate launch recipes/multi_task.py --separate_heads true --sampling_temperature 2 \
        --source_train sentiment=reviews.en.csv,topic=news.en.csv*0.5 \
        --target_test sentiment=reviews.zh.csv,topic=news.zh.csv --output_dir out

Without --separate_heads, the named sets are domains of one task and share its head. With it, they
are tasks with their own labels; each gets a folder (out/sentiment, out/topic) with the encoder, its
head and its results. Loss weights are given after `*`, or learnt (--loss_weights uncertainty);
--sampling_temperature above 1 repeats the rows of small sets.

--guard true, for domains on one head, also trains without learnt weights and repeated rows, and
keeps that model if the other has lost source accuracy. It is off by default, because it costs a
second training. Without it, a run cannot tell whether plain fine-tuning would have been better.
"""

from __future__ import annotations

import xlingual as xl


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.MultiTaskArguments,
    args: xl.TransferArguments,
) -> xl.TransferReport | None:
    """Load, mix, train, separate the heads or apply the guard, evaluate each, save."""
    xl.prepare_output_dir(args)
    data = xl.load_transfer_data(
        data_args,
        use=["source_train", "source_validation", "target_train", "target_test"],
        source_language=args.source_language,
        target_language=args.target_language,
        rejected_to=args.output_dir,
        seed=args.seed,
    )
    heads = xl.TaskHeads.from_data(data, args) if method_args.separate_heads else None
    temperature = method_args.sampling_temperature
    mixture = xl.temper_sizes(data.mixture(), sampling_temperature=temperature, seed=args.seed)
    mixture, loss = xl.number_groups(mixture), None
    if method_args.loss_weights == "uncertainty":
        loss = xl.UncertaintyWeights(len(set(mixture["group"])))

    if heads is None:
        stages = xl.Stages(model_args, args, data)
        kept = stages.fit("weighted" if method_args.guard else None, mixture, loss=loss)
        if method_args.guard:
            plain, held_out = stages.fit("plain", data.mixture()), data.pool("source_validation")
            kept = xl.safer_of(plain, kept, unlabeled=None, source_validation=held_out)
        return xl.finish_run(kept, data, args, model_args, method_args, say=print)

    stages = xl.Stages(model_args, args, heads.as_one_task(data))
    trainer = stages.fit(None, heads.join(mixture), loss=loss)
    shared = f"{args.output_dir}/shared"
    trainer.save_model(shared)
    with args.main_process_first(desc="separating the heads"):
        if trainer.is_world_process_zero():
            xl.save_task_folders(shared, heads, args.output_dir)
    for name, labels in heads.label_spaces.items():
        stage = args.for_stage(name)
        model = xl.TransferTrainer(stage.output_dir, stage, task=data.task, label_space=labels)
        model.state.log_history = trainer.state.log_history  # the cost of the shared training
        own = heads.data_of(name, data)
        source, targets = (own.evaluation_sets(r) for r in ("source_validation", "target_test"))
        report = model.evaluate_transfer(source=source, targets=targets)
        if model.is_world_process_zero():
            xl.write_report(
                stage.output_dir,
                report,
                model_args=model_args,
                method_args=method_args,
                args=args.filled_from(trainer.args),
                rows=source | targets,
                data=data,
            )
            print(report.table())
            print(f"saved: {stage.output_dir}")
    return None


if __name__ == "__main__":
    xl.run_recipe(main)
