r"""One or more big classifiers: train a small student on their predictions.

    accelerate launch recipes/distill.py --teachers xlm-r-large-tuned,mdeberta-tuned*0.5 \
        --source_train reviews.en.csv --target_unlabeled hotel.zh.txt \
        --target_test hotel.zh.jsonl --output_dir out

Teachers may have any architecture and vocabulary: labels are matched by name, probabilities are
averaged by weight. They label source_train, target_unlabeled (if they can read Chinese) and the
English side of --bitext, from which the student learns the Chinese side. --soft_label_weight weighs
the teachers' labels against the hard ones, --kd_temperature softens them.

--guard true also trains the student zero-shot, on the hard labels of source_train alone, and keeps
that model if the distilled one lost source accuracy or moved far from it on the target text. It is
off by default: it costs a second training, and good teachers may rightly move a student that is
weak in Chinese. Without it, a run cannot tell whether zero-shot would have been better.
"""

from __future__ import annotations

import xlingual as xl


def main(
    model_args: xl.ModelArguments,
    data_args: xl.DataArguments,
    method_args: xl.DistillArguments,
    args: xl.TransferArguments,
) -> xl.TransferReport:
    """Label rows by the teachers, train the student, apply the guard if on, evaluate, save."""
    xl.prepare_output_dir(args)
    data = xl.load_transfer_data(
        data_args,
        use=["source_train", "source_validation", "target_unlabeled", "target_test"],
        source_language=args.source_language,
        target_language=args.target_language,
        rejected_to=args.output_dir,
        seed=args.seed,
    )
    source, unlabeled = data.mixture("source_train"), data.pool("target_unlabeled")
    weights = method_args.teacher_weights
    teachers = xl.TeacherEnsemble(
        {name: xl.Predictor.from_pretrained(name) for name in weights},
        task=data.task,
        label_space=data.label_space,
        weights=list(weights.values()),
    )
    taught = {}
    if unlabeled is not None:
        taught["unlabeled"] = teachers.teach(unlabeled)
    if method_args.bitext:
        taught["bitext"] = xl.label_bitext(
            teachers,
            xl.read_bitexts(method_args.bitext),
            confidence_threshold=method_args.bitext_threshold,
            num_rows=method_args.bitext_rows,
            seed=args.seed,
        )

    stages = xl.Stages(model_args, args, data)
    rows = xl.mix_domains({"source": teachers.teach(source)}, taught)
    student = stages.fit("student" if method_args.guard else None, rows)
    if method_args.guard:
        student = xl.safer_of(
            stages.fit("zero_shot", source),
            student,
            unlabeled=unlabeled,
            source_validation=data.pool("source_validation"),
        )
    return xl.finish_run(student, data, args, model_args, method_args, say=print)


if __name__ == "__main__":
    xl.run_recipe(main)
