"""A model is checked when it is loaded: one line says what is wrong, before any data is read."""

from __future__ import annotations

import copy
import logging
import shutil
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BartConfig,
    BertConfig,
    CLIPConfig,
    DistilBertConfig,
    MarianConfig,
    MT5Config,
    OPTConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    T5Config,
)

from xlingual import (
    FrozenEncoder,
    LabelSpace,
    Predictor,
    TransferArguments,
    TransferTrainer,
    continue_pretraining,
    extract_features,
    get_task,
    load_model,
)
from xlingual.errors import ConfigError, ModelLoadError
from xlingual.models.checks import check_model, position_limit

SPACE = LabelSpace(("negative", "positive"))
SEQUENCE = get_task("sequence")


def with_head(path: object) -> torch.nn.Module:
    return AutoModelForSequenceClassification.from_pretrained(path, num_labels=2)


def of_config(config: object) -> torch.nn.Module:
    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config)


@pytest.fixture
def plain(tokenizer) -> PreTrainedTokenizerFast:
    """A copy of the tokenizer, to be changed."""
    backend = copy.deepcopy(tokenizer.backend_tokenizer)
    backend.no_padding()  # or a batch that another test padded would leave its padding token
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


@pytest.fixture
def too_many_tokens(encoder, tmp_path, plain) -> str:
    """A folder whose tokenizer has 500 tokens more than its model has rows."""
    folder: Path = tmp_path / "too-many"
    shutil.copytree(encoder, folder)
    plain.add_tokens([f"罕见词{i}" for i in range(500)])
    plain.save_pretrained(folder)
    return str(folder)


def entry_points(path: str, rows, tmp_path, **settings):
    """Every way to load a model for work, by name."""
    args = TransferArguments(output_dir=str(tmp_path / "out"), report_to="none", **settings)
    common = {"task": SEQUENCE, "label_space": SPACE}
    return {
        "trainer": lambda: TransferTrainer(path, args, train_dataset=rows),
        "frozen": lambda: FrozenEncoder([path], **common, **settings),
        "pretraining": lambda: continue_pretraining(
            path, rows["text"], output_dir=tmp_path / "out", **settings
        ),
    }


WAYS = ("trainer", "frozen", "pretraining")


@pytest.mark.parametrize("way", WAYS)
def test_more_tokens_than_rows_are_refused(
    too_many_tokens, tokenizer, english, tmp_path, way
) -> None:
    size = len(tokenizer)
    with pytest.raises(ModelLoadError) as refused:
        entry_points(too_many_tokens, english, tmp_path)[way]()
    message = str(refused.value)
    assert f"has {size + 500} tokens" in message
    assert f"has {size} rows" in message
    assert f"resize_token_embeddings({size + 500})" in message
    assert "\n" not in message


def test_more_tokens_than_rows_are_refused_by_predictor_and_features(
    too_many_tokens, english, plain
) -> None:
    model = with_head(too_many_tokens)
    model.save_pretrained(too_many_tokens)
    with pytest.raises(ModelLoadError, match="embedding table"):
        Predictor.from_pretrained(too_many_tokens, device="cpu")
    plain.add_tokens(["罕见词"])
    with pytest.raises(ModelLoadError, match="embedding table"):
        extract_features(model, english, tokenizer=plain)


def test_a_table_that_was_enlarged_is_fine(encoder, plain) -> None:
    model = with_head(encoder)
    plain.add_tokens(["罕见词"])
    model.resize_token_embeddings(len(plain))
    assert check_model(model, plain) == 66


def test_a_hole_in_the_ids_is_counted(encoder, plain) -> None:
    """Five tokens, of which the last has a number beyond the table."""
    model = with_head(encoder)
    plain.get_vocab = lambda: {"[PAD]": 0, "a": 1, "b": 2, "c": 3, "远": len(plain)}
    with pytest.raises(ModelLoadError, match=f"{len(plain) + 1} tokens"):
        check_model(model, plain)


@pytest.mark.parametrize(
    ("special", "expected"),
    [({"eos_token": "[SEP]"}, "[SEP]"), ({"unk_token": "[UNK]"}, "[UNK]")],
)
def test_a_missing_padding_token_is_one_that_is_there(
    encoder, plain, special, expected, caplog
) -> None:
    model = with_head(encoder)
    model.config.pad_token_id = None
    bare = PreTrainedTokenizerFast(tokenizer_object=plain.backend_tokenizer, **special)
    with caplog.at_level(logging.INFO, logger="xlingual"):
        check_model(model, bare)
    assert bare.pad_token == expected
    assert model.config.pad_token_id == bare.pad_token_id == plain.convert_tokens_to_ids(expected)
    assert f"no padding token; '{expected}' is used" in caplog.text


def test_the_padding_token_that_the_config_names_comes_first(encoder, plain) -> None:
    bare = PreTrainedTokenizerFast(
        tokenizer_object=plain.backend_tokenizer,
        unk_token="[UNK]",
        additional_special_tokens=["[PAD]"],
    )
    check_model(with_head(encoder), bare)
    assert bare.pad_token == "[PAD]"


def test_nothing_to_pad_with_is_refused(encoder, plain) -> None:
    model = with_head(encoder)
    model.config.pad_token_id = 7  # an ordinary word
    bare = PreTrainedTokenizerFast(tokenizer_object=plain.backend_tokenizer)
    with pytest.raises(ModelLoadError, match=r"set tokenizer.pad_token and save"):
        check_model(model, bare)


def test_an_encoder_keeps_its_padding_and_its_side(encoder, plain) -> None:
    model = with_head(encoder)
    plain.padding_side = "left"
    model.config.pad_token_id = 0
    check_model(model, plain)
    assert (model.config.pad_token_id, plain.pad_token, plain.padding_side) == (0, "[PAD]", "left")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (RobertaConfig(max_position_embeddings=514, pad_token_id=1), 512),
        (BertConfig(), 512),
        (DistilBertConfig(), 512),
        (OPTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2), 2048),
    ],
)
def test_positions_with_the_spare_ones_counted(config, expected: int) -> None:
    assert position_limit(of_config(config)) == expected


@pytest.mark.parametrize(
    ("layout", "limit", "capped"),
    [("bert", 66, 66), ("xlm-r", 65, 65), ("deberta-v3", None, 66), ("modernbert", None, 66)],
)
def test_the_default_is_capped_to_what_the_model_reads(
    encoders, plain, layout: str, limit: int | None, capped: int, caplog
) -> None:
    model = with_head(encoders[layout])
    assert position_limit(model) == limit
    with caplog.at_level(logging.INFO, logger="xlingual"):
        assert check_model(model, plain) == capped
    (line,) = [record.getMessage() for record in caplog.records if "max_length" in record.msg]
    assert f"{capped}, all that the model can read (not 128)" in line
    ids = torch.full((1, capped), 7)
    model(input_ids=ids, attention_mask=torch.ones_like(ids))  # and so many it reads
    plain.model_max_length = 20
    assert check_model(model, plain) == 20
    assert check_model(model, plain, default=10) == 10


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("layout", "limit"), [("bert", 66), ("xlm-r", 65)])
def test_a_length_beyond_the_positions_is_refused(
    encoders, english, tmp_path, layout: str, limit: int, way: str
) -> None:
    ways = entry_points(str(encoders[layout]), english, tmp_path, max_length=limit + 1)
    with pytest.raises(ConfigError, match=f"max_length is {limit + 1}, .* for {limit} tokens"):
        ways[way]()


@pytest.mark.parametrize("layout", ["deberta-v3", "modernbert"])
def test_a_length_beyond_what_it_was_made_for_is_warned_of(
    encoders, plain, layout: str, caplog
) -> None:
    """Relative and rotary positions have no table to run out of."""
    model = with_head(encoders[layout])
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        assert check_model(model, plain, max_length=80) == 80
    assert "max_length is 80; the model is made for 66 tokens" in caplog.text
    ids = torch.full((1, 80), 7)
    model(input_ids=ids, attention_mask=torch.ones_like(ids))


def test_a_length_that_holds_no_text_is_refused(encoder, plain) -> None:
    with pytest.raises(ConfigError, match=r"at least 5, two more than .* got 4"):
        check_model(with_head(encoder), plain, max_length=4)


@pytest.mark.parametrize("way", ["trainer", "frozen"])
@pytest.mark.parametrize("layout", ["bert", "xlm-r"])
def test_long_rows_are_read_to_the_limit(
    encoders, english, chinese, tmp_path, layout: str, way: str
) -> None:
    """Without a flag, rows longer than the model's positions are cut, in training too."""
    long = english.map(lambda row: {"text": row["text"] * 30}, load_from_cache_file=False)
    made = entry_points(str(encoders[layout]), long, tmp_path)[way]()
    if way == "trainer":
        made.args.max_steps = 1
        made.train()
        assert made.args.max_length == made.max_length
    else:
        made.fit(long)
    assert made.max_length == {"bert": 66, "xlm-r": 65}[layout]
    made.predict_labels(long)


@pytest.mark.parametrize(
    "config",
    [
        T5Config(d_model=16, num_layers=1, num_heads=2),
        MT5Config(d_model=16, num_layers=1, num_heads=2),
        BartConfig(d_model=16, encoder_layers=1, decoder_layers=1),
        MarianConfig(d_model=16, encoder_layers=1, decoder_layers=1, pad_token_id=0),
    ],
)
def test_encoder_decoders_are_refused(config, tmp_path) -> None:
    config.save_pretrained(tmp_path)
    with pytest.raises(
        ModelLoadError, match=r"is an encoder-decoder .*; take an encoder"
    ) as refused:
        load_model(str(tmp_path), task=SEQUENCE, label_space=SPACE)
    assert config.model_type in str(refused.value)
    config.architectures = ["BartForSequenceClassification"]
    config.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelLoadError, match="is an encoder-decoder"):
        Predictor.from_pretrained(tmp_path, device="cpu")


def test_an_architecture_without_the_head_is_refused(tmp_path) -> None:
    CLIPConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelLoadError, match=r"clip, .* no SequenceClassification head; take an"):
        load_model(str(tmp_path), task=SEQUENCE, label_space=SPACE)
