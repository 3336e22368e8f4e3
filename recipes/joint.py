r"""Many Chinese labels: train one model on several weighted English and Chinese sets.

    accelerate launch recipes/joint.py \
        --source_train books.csv,films=dvd.csv*0.5 --target_train hotel=hotel.zh.jsonl*2 \
        --target_test hotel=hotel.zh.test.jsonl --output_dir out

The loss is a weighted sum over data sets (`path*weight`) and rows (a `weight` column). Batches mix
both languages as the data does, or with --target_share 0.5 half and half.
"""

from __future__ import annotations

import xlingual as xl


def main(
    model_args: xl.ModelArguments, data_args: xl.DataArguments, args: xl.TransferArguments
) -> xl.TransferReport:
    """Load, mix, train, evaluate in both languages, save."""
    checkpoint = xl.prepare_output_dir(args)
    data = xl.load_transfer_data(
        data_args,
        use=[
            "source_train",
            "source_validation",
            "target_train",
            "target_validation",
            "target_test",
        ],
        required=["source_train", "target_train"],
        source_language=args.source_language,
        target_language=args.target_language,
        rejected_to=args.output_dir,
        seed=args.seed,
    )
    trainer = xl.TransferTrainer(
        model=model_args.model_name_or_path,
        args=args,
        train_dataset=data.mixture(),
        eval_dataset=data.selection_sets(),
        task=data.task,
        label_space=data.label_space,
        model_revision=model_args.model_revision,
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    return xl.finish_run(trainer, data, trainer.args, model_args, say=print)


if __name__ == "__main__":
    xl.run_recipe(main)
