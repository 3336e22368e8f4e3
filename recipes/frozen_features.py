r"""No time: encode once, fit a linear classifier in seconds.

    python recipes/frozen_features.py --co_training true \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_test hotel.zh.jsonl --output_dir out

Classifiers: logistic_regression, lda, pca (with logistic regression on top) and nearest_centroid,
by scikit-learn. With --target_unlabeled, whose labels are never read, one of three adapts the head
to the target: --self_training refits it to its own most confident labels, --co_training also lets
the words of the text correct those labels, and --centring removes the mean difference between the
languages from the features. The saved folder is then for the target.

--second_model adds the features of another encoder (--fusion concatenate or gate). No model class
holds two encoders, so then only predictions and the report are saved. With no arguments the recipe
runs on the embedded encoder and corpus.
"""

from __future__ import annotations

import xlingual as xl


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.FrozenFeaturesArguments,
    args: xl.TransferArguments,
) -> xl.TransferReport | None:
    """Load, encode, fit, adapt to target text, evaluate, save."""
    xl.prepare_output_dir(args)
    use, required = ["source_train", "source_validation", "target_test"], ["source_train"]
    if method_args.centring or method_args.self_training or method_args.co_training:
        use.append("target_unlabeled")
        required.append("target_unlabeled")
    data = xl.load_transfer_data(
        data_args,
        use=use,
        required=required,
        source_language=args.source_language,
        target_language=args.target_language,
        rejected_to=args.output_dir,
        seed=args.seed,
    )
    if args.process_index > 0:
        return None  # one process encodes, fits and writes

    second = [method_args.second_model] if method_args.second_model else []
    model = xl.FrozenEncoder(
        [model_args.model_name_or_path, *second],
        task=data.task,
        label_space=data.label_space,
        revision=model_args.model_revision,
        max_length=args.max_length,
        batch_size=args.per_device_eval_batch_size,
        cache_dir=method_args.feature_cache,
        seed=args.seed,
    )
    args.max_length = model.max_length  # recorded for users of the folder
    model.fit(
        data.mixture("source_train"),
        fusion=method_args.fusion,
        classifier=method_args.classifier,
        strength=method_args.strength,
        num_components=method_args.num_components,
    )
    if method_args.centring:
        model.centre(data.pool("target_unlabeled"))
    if method_args.self_training:
        model.self_train(data.pool("target_unlabeled"))
    if method_args.co_training:
        model.co_train(data.pool("target_unlabeled"))
    is_saved = model.save_model(args.output_dir)

    source, targets = (data.evaluation_sets(role) for role in ("source_validation", "target_test"))
    report = model.evaluate_transfer(source=source, targets=targets)
    xl.write_report(
        args.output_dir,
        report,
        model_args=model_args,
        method_args=method_args,
        args=args,
        rows=source | targets,
        data=data,
    )
    print(report.table())
    print(f"saved: {args.output_dir}" + ("" if is_saved else " (predictions and report, no model)"))
    return report


if __name__ == "__main__":
    xl.run_recipe(main)
