r"""Text of both languages: train language adapters and a task adapter, then swap the language.

    accelerate launch recipes/language_adapters.py \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_test hotel.zh.jsonl --output_dir out

Two language adapters are trained by masked prediction, on the text of the source and on that of the
target (labels in it are never read). A task adapter is trained on top of the source's, which is
then swapped for the target's. All are LoRA pairs, which add; MAD-X stacks its adapters. Source rows
are scored with the source's language adapter, target rows with the target's. The saved model is the
latter, merged; the adapters are kept in their own folders. The guard keeps the source's adapter, or
a zero-shot model (trained, or --zero_shot_model), if the swap goes wrong.
"""

from __future__ import annotations

import xlingual as xl

DEFAULTS = {"adapter": "lora"}


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.LanguageAdapterArguments,
    args: xl.TransferArguments,
) -> xl.TransferReport:
    """Train two language adapters and a task adapter, swap, apply the guard, evaluate, save."""
    from dataclasses import replace

    method_args.check_kind(args.adapter)
    xl.prepare_output_dir(args)
    data = xl.load_transfer_data(
        data_args,
        use=["source_train", "source_validation", "target_unlabeled", "target_test"],
        required=["source_train", "target_unlabeled"],
        source_language=args.source_language,
        target_language=args.target_language,
        rejected_to=args.output_dir,
        seed=args.seed,
    )
    data = xl.with_labels_of(method_args.zero_shot_model, data)
    source, unlabeled = data.mixture("source_train"), data.pool("target_unlabeled")

    stages = xl.Stages(model_args, args, data)
    source_encoder, target_encoder = (
        xl.train_language_encoder(
            stages.encoder,
            data.texts(role),
            adapter_dir=stages.folder(f"{side}_language"),
            encoder_dir=f"{args.output_dir}/{side}_encoder",
            drop_last_layer=method_args.drop_last_layer,
            rank=method_args.language_adapter_rank,
            learning_rate=method_args.language_adapter_learning_rate,
            num_train_epochs=method_args.language_adapter_epochs,
            **stages.pretraining,
        )
        for side, role in (("source", "source_train"), ("target", "target_unlabeled"))
    )
    task = stages.fit("task", source, encoder=source_encoder)
    task.save_model(task.args.output_dir)
    task.accelerator.wait_for_everyone()

    def over(language_encoder: str) -> xl.TransferTrainer:
        adapter, labels = task.args.output_dir, task.label_space
        return stages.take(
            xl.swap_language_adapter(adapter, language_encoder, task=data.task, label_space=labels)
        )

    swapped = kept = over(target_encoder)
    of_source = task
    if method_args.guard:
        zero_shot = stages.fit("zero_shot", source, ready=method_args.zero_shot_model)
        kept = xl.safer_of(over(source_encoder), swapped, unlabeled=unlabeled)
        kept = xl.safer_of(zero_shot, kept, unlabeled=unlabeled)
        of_source = zero_shot if kept is zero_shot else task
    report = of_source.evaluate_transfer(
        source=data.evaluation_sets("source_validation"), targets={}
    )
    costs = {**report.costs, "language_adapter_swapped": float(kept is swapped)}
    return xl.finish_run(
        kept,
        data,
        args.filled_from(task.args),
        model_args,
        method_args,
        report=replace(report, costs=costs),
        say=print,
    )


if __name__ == "__main__":
    xl.run_recipe(main)
