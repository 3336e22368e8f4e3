r"""No idea what to use: run several methods with several seeds on your data, and read one table.

    python recipes/compare.py --methods zero_shot,self_training,recommended,supervised \
        --seeds 0 1 2 --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_train hotel.zh.jsonl --target_test hotel.zh.test.jsonl --output_dir out

Methods: zero_shot, zero_shot_average; with --target_unlabeled frozen_features, self_training,
continued_pretraining, dann, cdan, mmd, coral, recommended; with --target_train few_shot, joint and
supervised, the ceiling: the target's labels alone. Left out: those that the data allows, without
dann, cdan, mmd and joint. The recipes' flags are handed on to them. --num_workers runs go side by
side; left out, one on each GPU. Every run has a folder, its settings (.yaml) and its log (.log) in
--output_dir; started again, the comparison goes on where it stopped.
"""

from pathlib import Path

from xlingual import run_recipe

TEXT, LABELS = ("target_unlabeled",), ("target_train",)
# Name: recipe, its flags, and the data it needs beside source and test; costlier ones come later.
METHODS = {
    "zero_shot": ("zero_shot", {}, ()),
    "zero_shot_average": ("zero_shot", {"selection": "average"}, ()),
    "frozen_features": ("frozen_features", {}, TEXT),
    **{
        name: ("unlabeled_target", {"method": name}, TEXT)
        for name in ("dann", "cdan", "mmd", "coral", "self_training", "continued_pretraining",
                     "recommended")
    },
    "few_shot": ("few_shot", {}, LABELS),
    "joint": ("joint", {}, LABELS),
    "supervised": ("zero_shot", {}, LABELS),
}  # fmt: skip
NOT_BY_DEFAULT = ("dann", "cdan", "mmd", "joint")
BY_EVIDENCE = ("few_shot", "recommended", "self_training", "zero_shot_average", "zero_shot")
EVERYWHERE = ("source_train", "source_validation", "target_validation", "target_test")
ROLES = (*EVERYWHERE, *TEXT, *LABELS)


def main(argv: list[str]) -> None:
    """Choose the methods, run what has no result yet, compare, save the table."""
    from xlingual import (
        CompareArguments,
        ComparedRun,
        DataArguments,
        FewShotArguments,
        ModelArguments,
        TransferArguments,
        UnlabeledTargetArguments,
        changed_settings,
        compare_runs,
        embedded_roles,
        load_transfer_data,
        parse_arguments,
        run_all,
        sample_unlabeled,
        write_comparison,
    )

    model_args, data_args, shot_args, text_args, compare_args, args = parse_arguments(
        argv, ModelArguments, DataArguments, FewShotArguments, UnlabeledTargetArguments,
        CompareArguments, TransferArguments, output_dir="runs/compare",
    )  # fmt: skip
    settings = changed_settings(model_args, data_args, args)
    data = {role: settings.pop(role) for role in ROLES if role in settings} or embedded_roles()
    methods = compare_args.choose_methods(
        {name: needs for name, (_, _, needs) in METHODS.items()}, data, left_out=NOT_BY_DEFAULT
    )
    own = {
        "few_shot": changed_settings(shot_args),
        "unlabeled_target": changed_settings(text_args),
    }

    def run(method, seed):
        recipe, flags, needs = METHODS[method]
        sets = {role: data[role] for role in (*EVERYWHERE, *needs) if role in data}
        flags = {**settings, **own.get(recipe, {}), **flags}
        if method == "supervised":  # the target takes the place of the source, in all respects
            tested = {role: path for role, path in sets.items() if role == "target_test"}
            sets = {"source_train": data["target_train"], **tested}
            flags["source_language"] = f"supervised_{args.target_language}"
        return ComparedRun(method, seed, Path(__file__).with_name(f"{recipe}.py"), flags | sets)

    finished = run_all(
        [run(method, seed) for seed in compare_args.seeds for method in methods],
        output_dir=args.output_dir,
        num_workers=compare_args.num_workers,
        overwrite=args.overwrite_output,
    )
    unlabeled = []
    if "target_test" not in data and "target_unlabeled" in data:
        roles = ["source_train", "target_unlabeled"]
        unlabeled = sample_unlabeled(load_transfer_data(use=roles, **vars(data_args)))
    comparison = compare_runs(
        finished,
        task=data_args.task,
        source_language=args.source_language,
        target_language=args.target_language,
        by_evidence=BY_EVIDENCE,
        unlabeled=unlabeled,
    )
    write_comparison(args.output_dir, comparison)
    print(comparison.table())
    print(f"saved: {args.output_dir}")


if __name__ == "__main__":
    run_recipe(main)
