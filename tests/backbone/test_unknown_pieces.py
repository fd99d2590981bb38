import logging

import pytest

from backbone.load import load_tokenizer
from backbone.tokens import tokenize
from backbone.unknown_pieces import MULTILINGUAL, warn_of_unknown_pieces
from tests.tiny_backbones import save_tiny


@pytest.fixture
def tokenizer(tiny_bert):
    return load_tokenizer(str(tiny_bert))


def warned(caplog, texts, tokenizer):
    """Share of unknown pieces, and the lines that were logged."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="backbone"):
        pieces = tokenize(texts, tokenizer, max_tokens=30)
        share = warn_of_unknown_pieces(pieces, texts, tokenizer, "tiny")
    return share, [record.getMessage() for record in caplog.records]


def test_a_catalogue_in_another_script_is_warned_about_with_what_to_do(tokenizer, caplog):
    foreign = ["красная кружка лампа", "red кружка", "赤", "mug лампа кружка"]

    share, (line,) = warned(caplog, ["red mug"] * 20 + foreign, tokenizer)

    assert share == pytest.approx(7 / 49)
    assert line.startswith(
        "14.3% of the word pieces of the items' texts are unknown to tiny, as in"
    )
    assert "'красная кружка лампа', 'mug лампа кружка', 'red кружка'; " in line
    assert line.endswith(f"configs/ranker.yaml: {MULTILINGUAL}")


def test_one_percent_of_unknown_pieces_is_no_warning(tokenizer, caplog):
    assert warned(caplog, ["red mug"] * 99 + ["red кружка"] * 2, tokenizer) == (2 / 202, [])
    share, lines = warned(caplog, ["red mug"] * 99 + ["red кружка"] * 3, tokenizer)
    assert share > 0.01
    assert len(lines) == 1


def test_a_tokenizer_of_bytes_and_an_empty_catalogue_know_everything(tmp_path, tokenizer, caplog):
    of_bytes = load_tokenizer(str(save_tiny(tmp_path / "gpt2", "gpt2")))

    assert warned(caplog, ["красная кружка"], of_bytes) == (0, [])
    assert warned(caplog, [], tokenizer) == (0, [])
