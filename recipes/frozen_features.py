r"""No time: encode once, fit a linear head in seconds.

    python recipes/frozen_features.py --co_training true \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_test hotel.zh.jsonl --output_dir out

Classifiers: logistic_regression, lda, pca (and logistic regression on it) and nearest_centroid, by
scikit-learn. With --target_unlabeled (labels in it are never read), --co_training refits the head
to the labels that the words of that text give it, --self_training to its own surest labels there,
and --centring takes the difference between the languages off the features; the saved folder then
serves the target. --second_model adds another encoder's features
(--fusion concatenate or gate); no model class holds two encoders, so then predictions and report
are saved and no model. With no arguments it runs on the embedded encoder and corpus.
"""

from xlingual import run_recipe


def main(argv: list[str]) -> None:
    """Load, encode, fit, centre, evaluate, save."""
    from xlingual import (
        DataArguments,
        FrozenEncoder,
        FrozenFeaturesArguments,
        ModelArguments,
        TransferArguments,
        load_transfer_data,
        mix_domains,
        parse_arguments,
        prepare_output_dir,
        write_report,
    )

    model_args, data_args, method_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, FrozenFeaturesArguments, TransferArguments,
        output_dir="runs/frozen_features",
    )  # fmt: skip
    prepare_output_dir(args)
    use = ["source_train", "source_validation", "target_test"]
    required = ["source_train"]
    if method_args.centring or method_args.self_training or method_args.co_training:
        use.append("target_unlabeled")
        required.append("target_unlabeled")
    data = load_transfer_data(
        use=use,
        required=required,
        rejected_to=args.output_dir,
        seed=args.seed,
        **vars(data_args),
    )
    if args.process_index > 0:
        return  # one process encodes, fits and writes

    second = [method_args.second_model] if method_args.second_model else []
    model = FrozenEncoder(
        [model_args.model_name_or_path, *second],
        task=data.task,
        label_space=data.label_space,
        revision=model_args.model_revision,
        max_length=args.max_length,
        batch_size=args.per_device_eval_batch_size,
        cache_dir=method_args.feature_cache,
        seed=args.seed,
    )
    args.max_length = model.max_length  # written down for whoever uses the folder
    model.fit(
        data.mixture("source_train"),
        fusion=method_args.fusion,
        classifier=method_args.classifier,
        strength=method_args.strength,
        num_components=method_args.num_components,
    )
    if method_args.centring:
        model.centre(mix_domains({}, data.target_unlabeled))
    if method_args.self_training:
        model.self_train(mix_domains({}, data.target_unlabeled))
    if method_args.co_training:
        model.co_train(mix_domains({}, data.target_unlabeled))
    is_saved = model.save_model(args.output_dir)

    sources = data.evaluation_sets("source_validation", args.source_language)
    targets = data.evaluation_sets("target_test", args.target_language)
    report = model.evaluate_transfer(source=sources, targets=targets)
    write_report(
        args.output_dir, report, model_args, data_args, method_args, args, rows=sources | targets
    )
    print(report.table())
    print(f"saved: {args.output_dir}" + ("" if is_saved else " (predictions and report, no model)"))


if __name__ == "__main__":
    run_recipe(main)
