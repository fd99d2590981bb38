"""The command line that the stages beside the pipeline share."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from answers.__main__ import main as answers
from classifier.__main__ import main as classifier
from lineage.beside import asked


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the test."""

    share: float = 0.5
    """A share."""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share must be within 0 and 1, got {self.share}")


def read(*given):
    return asked("answers", Options, given, more="More.", dataset="a folder", commands=("ask",))


def test_the_options_the_dataset_and_the_command_that_repeats_it_are_read(tmp_path):
    (tmp_path / "answers.yaml").write_text("share: 0.25\n")
    given = ["--config", str(tmp_path), "--dataset", "my faq", "--artifacts", "a", "--name", "shop"]

    found = read(*given)

    assert found.config == Options(share=0.25)
    assert (found.dataset, found.name) == (Path("my faq"), "shop")
    assert (found.artifacts, found.reports) == (Path("a"), Path("reports"))
    assert (
        found.command
        == f"python -m answers --config {tmp_path} --dataset 'my faq' --artifacts a --name shop"
    )


def test_an_option_that_breaks_a_rule_is_refused():
    with pytest.raises(ValueError, match="share must be within 0 and 1, got 2"):
        read("--dataset", "faq", "--share", "2")


@pytest.mark.parametrize(
    ("main", "typed", "meant"), [(answers, "aks", "ask"), (classifier, "aply", "apply")]
)
def test_a_mistyped_command_is_answered_with_the_one_that_is_meant(main, typed, meant, capsys):
    with pytest.raises(SystemExit):
        main([typed, "--dataset", "x"])

    assert meant in capsys.readouterr().err
