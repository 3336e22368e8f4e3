"""Every flag of transformers works in a run, or is refused by name before data is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from xlingual import TransferArguments, TransferTrainer, mix_domains, parse_arguments
from xlingual.config.flag_parser import flags_of
from xlingual.config.inherited import (
    FLAG_GROUPS,
    NEVER,
    REFUSED,
    refused_flags,
    takes_parameter_groups,
)
from xlingual.config.presets import preset_for
from xlingual.config.transfer_options import TransferOptions
from xlingual.errors import ConfigError

EVALUATED = "--eval_strategy=epoch"
WORKER = "--dataloader_num_workers=1"
# The flags of each line are given together. Left out for their time: --torch_compile, that takes
# a minute, and --skip_memory_metrics false, half of one.
WORKING = [
    "--lr_scheduler_type=cosine",
    "--lr_scheduler_type=inverse_sqrt",
    '--lr_scheduler_type=polynomial --lr_scheduler_kwargs={"power":2}',
    '--lr_scheduler_type=cosine_with_min_lr --lr_scheduler_kwargs={"min_lr":1e-6}',
    '--lr_scheduler_type=warmup_stable_decay --lr_scheduler_kwargs={"num_decay_steps":1}',
    "--lr_scheduler_type=reduce_lr_on_plateau --selection=source_dev",
    "--lr_scheduler_type=greedy --selection=source_dev",
    "--optim=adamw_torch --adam_beta1=0.8 --adam_beta2=0.9 --adam_epsilon=1e-6",
    "--optim=adafactor",
    "--optim=sgd --optim_args=momentum=0.9",
    "--optim=adagrad",
    "--optim=rmsprop",
    "--max_grad_norm=0 --label_smoothing_factor=0.1 --neftune_noise_alpha=5",
    "--gradient_accumulation_steps=2 --average_tokens_across_devices=false",
    '--activation_checkpointing=true --activation_checkpointing_kwargs={"use_reentrant":true}',
    "--gradient_checkpointing=true",
    "--auto_find_batch_size=true --torch_empty_cache_steps=1 --use_cache=true",
    "--logging_strategy=epoch --logging_first_step=true --logging_nan_inf_filter=false",
    "--include_num_input_tokens_seen=true --log_level=error --log_level_replica=error",
    "--report_to=all --run_name=x --project=x --trackio_space_id=x --log_on_each_node=false",
    "--eval_strategy=steps --eval_steps=1 --eval_on_start=true --eval_accumulation_steps=1",
    f"{EVALUATED} --eval_delay=1 --eval_use_gather_object=true",
    "--save_strategy=steps --save_steps=0.5 --save_only_model=true --save_on_each_node=true",
    "--enable_jit_checkpoint=true --save_total_limit=1 --ignore_data_skip=true",
    "--restore_callback_states_from_checkpoint=true --data_seed=1",
    "--hub_token=x --hub_private_repo=true --hub_strategy=end --hub_revision=x",
    '--accelerator_config={"split_batches":true}',
    '--accelerator_config={"dispatch_batches":true}',
    '--accelerator_config={"even_batches":false,"use_seedable_sampler":false}',
    f"--dataloader_drop_last=true {EVALUATED}",
    f"{WORKER} --dataloader_persistent_workers=true --dataloader_prefetch_factor=2",
    f"{WORKER} --dataloader_multiprocessing_context=fork --dataloader_in_order=false",
    "--dataloader_pin_memory=true --remove_unused_columns=false",
    "--train_sampling_strategy=sequential",
    "--train_sampling_strategy=group_by_length --length_column_name=length",
    "--train_sampling_strategy=batch_rebalance",
    "--ddp_find_unused_parameters=true --ddp_bucket_cap_mb=5 --ddp_broadcast_buffers=true",
    "--ddp_static_graph=true --ddp_timeout=100 --local_rank=0",
    "--do_train=true --do_eval=true --do_predict=true --tf32=false",
]
REFUSALS = {
    "--prediction_loss_only=true": "--prediction_loss_only true cannot be used: the scores need",
    "--eval_do_concat_batches=false": "--eval_do_concat_batches false cannot be used",
    "--batch_eval_metrics=true": "computed over all rows together",
    "--include_for_metrics=inputs": "--include_for_metrics inputs cannot be used",
    "--bf16_full_eval=true": "it would round the weights that are saved",
    "--fp16_full_eval=true": "it would round the weights that are saved",
    "--save_strategy=best": "--save_strategy best cannot be used: --selection decides",
    "--load_best_model_at_end=true": "--selection decides which weights are kept",
    "--metric_for_best_model=eval_zh_accuracy": "--selection decides which weights are kept",
    "--greater_is_better=true": "--selection decides which weights are kept",
    "--lr_scheduler_type=reduce_lr_on_plateau": "add --selection source_dev",
    "--lr_scheduler_type=greedy": "add --selection source_dev",
    "--lr_scheduler_type=warmup_stable_decay": "num_decay_steps",
    "--lr_scheduler_type=cosine_with_min_lr": "min_lr",
    "--lr_scheduler_kwargs={\"周期\":2}": "--lr_scheduler_type linear with --lr_scheduler_kwargs",
    "--lr_scheduler_kwargs=nope.json": "cannot be built",
    "--debug=underflow_overflow": "--debug underflow_overflow cannot be used",
    "--target_share=0.5 --train_sampling_strategy=sequential": "--target_share needs --train",
    "--optim_target_modules=all-linear": "only the GaLore and APOLLO optimizers read it",
    "--optim_args=beta1=0.8": "--optim_args beta1=0.8 cannot be used: this optimizer takes none",
    "--optim=sgd --optim_args=x": "--optim sgd cannot be built",
    "--optim=galore_adamw": "it needs --optim_target_modules",
    "--optim=lomo --layer_decay=0.9": "leave out --head_learning_rate",
    "--adam_beta1=1.5": "--optim adamw_torch_fused cannot be built: Invalid beta",
    "--adam_epsilon=-1": "Invalid epsilon",
    "--weight_decay=-1": "--weight_decay -1 cannot be used: it must be at least 0",
    "--max_grad_norm=-1": "--max_grad_norm -1 cannot be used",
    "--label_smoothing_factor=1.5": "at least 0 and below 1",
    "--gradient_accumulation_steps=0": "--gradient_accumulation_steps 0 cannot be used",
    "--per_device_eval_batch_size=0": "it must be at least 1",
    "--fsdp=full_shard": "add --accelerate_config ddp, or fsdp2",
    "--ddp_backend=gloo": "add --accelerate_config ddp, or fsdp2",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("flags", WORKING)
def test_two_steps(flags: str, encoders, english, chinese, tmp_path: Path, monkeypatch) -> None:
    """Trained, evaluated on every row of a last batch that is not full, and saved."""
    monkeypatch.chdir(tmp_path)
    rows = chinese.select(range(11))
    args, trainer = trained(flags, encoders, english, tmp_path, evaluation=rows)
    assert trainer.state.global_step == 2
    report = trainer.evaluate_transfer(source={}, targets={"zh": rows})
    assert report.targets[0].num_rows == 11
    assert torch.isfinite(torch.tensor(trainer.predict_labels(rows).probs)).all()
    trainer.save_model(args.output_dir)
    assert (tmp_path / "out" / "model.safetensors").is_file()


def trained(flags, encoders, english, tmp_path, *, evaluation):
    usual = (
        "--max_steps=2", "--per_device_train_batch_size=4", "--per_device_eval_batch_size=4",
        "--precision=fp32", "--disable_tqdm=true", "--use_cpu=true",
    )  # fmt: skip
    argv = [*usual, *flags.split()]
    (args,) = parse_arguments(argv, TransferArguments, output_dir=str(tmp_path / "out"))
    trainer = TransferTrainer(
        str(encoders["bert"]),
        args,
        train_dataset=mix_domains({"source": english.select(range(22))}),
        eval_dataset={"en": evaluation, "zh": evaluation},
    )
    trainer.train()
    return args, trainer


@pytest.mark.slow
def test_rows_of_training_are_dropped_and_no_others(encoders, english, chinese, tmp_path) -> None:
    rows = chinese.select(range(11))
    _, trainer = trained(
        "--dataloader_drop_last=true", encoders, english, tmp_path, evaluation=rows
    )
    assert [len(b["input_ids"]) for b in trainer.get_train_dataloader()] == [4] * 5
    assert [len(b["input_ids"]) for b in trainer.get_eval_dataloader("zh")] == [4, 4, 3]
    assert trainer.args.dataloader_drop_last


@pytest.mark.parametrize("flags", REFUSALS)
def test_refused_by_name(flags: str, tmp_path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_arguments(flags.split(), TransferArguments, output_dir=str(tmp_path))
    assert REFUSALS[flags] in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a processor computes no float16")
@pytest.mark.parametrize("settings", [{"fp16": True}, {"precision": "fp16"}])
def test_float16_needs_a_gpu(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="--precision fp16 needs a GPU"):
        TransferArguments(output_dir="runs/x", **settings)


def test_what_the_selection_sets_is_not_refused() -> None:
    args = TransferArguments(output_dir="runs/x", selection="source_dev")
    args.metric_for_best_model = "eval_en_accuracy"
    again = dataclasses.replace(args, seed=1)
    assert (again.load_best_model_at_end, again.selection) == (True, "source_dev")


def test_several_processes_take_their_flags(monkeypatch) -> None:
    args = TransferArguments(output_dir="runs/x")
    args.fsdp, args.ddp_backend = "full_shard", "gloo"
    assert len(list(refused_flags(args))) == 2
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert list(refused_flags(args)) == []


def test_an_optimizer_with_groups_of_its_own_gets_no_rate_for_the_head() -> None:
    assert not takes_parameter_groups("galore_adamw")
    args = TransferArguments(output_dir="runs/x")
    args.optim = "lomo"
    args.apply_preset(preset_for(1_000_000), num_rows=100)
    assert args.head_learning_rate is None


def test_every_flag_of_transformers_has_a_heading() -> None:
    own = {field.name for field in dataclasses.fields(TransferOptions)}
    inherited = {flag.name for flag in flags_of(TransferArguments)} - own
    names = [name for group in FLAG_GROUPS.values() for name in group]
    assert len(names) == len(set(names))
    assert set(names) - inherited - own == set()
    assert inherited - set(names) == set(), "give it a heading, and try it in this file"
    assert set(FLAG_GROUPS[NEVER]) <= {refused.flag for refused in REFUSED}


def test_every_flag_of_transformers_is_tried_here() -> None:
    text = " ".join([*WORKING, *REFUSALS])
    # Set for good in this process, or tested elsewhere, or without a package that they need.
    elsewhere = {
        "full_determinism",
        "deepspeed", "use_liger_kernel", "liger_kernel_config", "torch_compile",
        "torch_compile_backend", "torch_compile_mode", "bf16", "fp16", "fsdp_config", "use_cpu",
        "parallelism_config", "skip_memory_metrics", "hub_always_push", "trackio_bucket_id",
        "trackio_static_space_id", "gradient_checkpointing_kwargs", "disable_tqdm",
    }  # fmt: skip
    names = {name for group in FLAG_GROUPS.values() for name in group} - elsewhere
    assert [name for name in sorted(names) if f"--{name}=" not in text] == []
