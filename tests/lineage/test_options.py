from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest
import yaml

from lineage.options import OptionParser


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train."""

    batch_size: int = 8
    """Rows of a batch."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Options of a stage."""

    duplicates: Literal["refuse", "last"] = "refuse"
    """Which row counts."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our names."""
    fields: tuple[str, ...] = ("title",)
    """Columns of texts."""
    burst_seconds: float | None = 3
    """A gap."""
    training: Training = field(default_factory=Training)
    """How to train."""


@pytest.fixture
def parser():
    made = OptionParser(prog="python -m stage")
    made.add_config("data.yaml")
    made.add_class_arguments(Config)
    return made


@pytest.fixture
def refusal(parser, tmp_path, capsys):
    """The error of a file, without its path."""

    def parse(text, *options):
        path = tmp_path / "data.yaml"
        path.write_text(text)
        with pytest.raises(SystemExit) as stop:
            parser.parse_args(["--config", str(path), *options])
        assert stop.value.code == 2
        return capsys.readouterr().err.replace(str(path), "FILE")

    return parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("duplicate: last", "options must be known, got duplicate; write `duplicates: last`"),
        (
            "training: {batch_sise: 4}",
            "options must be known, got training.batch_sise; write `batch_size: 4`",
        ),
        (
            "batch_size: 4",
            "options must be known, got batch_size; write `training: {batch_size: 4}`",
        ),
        (
            "trainig: {batch_size: 4}",
            "options must be known, got trainig; write `training: {batch_size: 4}`",
        ),
        (
            "training: {duplicates: last}",
            "options must be known, got training.duplicates; write `duplicates: last`, "
            "not below training",
        ),
        (
            "colour: red",
            "options must be known, got colour; there are duplicates, columns, fields, "
            "burst_seconds, training",
        ),
        (
            "duplicates: lst",
            "duplicates must be one of refuse, last, got lst; write `duplicates: last`",
        ),
        ("burst_seconds: x", "burst_seconds must be a number or null, got x; see --help"),
        ("training: {batch_size: x}", "training.batch_size must be a whole number, got x"),
        ("columns: [a]", "columns must be a mapping such as `{name: value}`, got ['a']"),
        ("columns: {a: 3}", "the values of columns must be text, got 3; write it in quotes"),
        ("fields: title", "fields must be a list such as `[a, b]`, got title; see --help"),
        ("- 3", "must be options such as `name: value`, got list"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_what_to_write(refusal, text, expected):
    said = refusal(text)

    assert said.startswith(f"error: FILE: {expected}")
    assert said.count("\n") == 1


def test_every_unknown_option_has_a_line(refusal):
    said = refusal("duplicate: last\ncolums: {a: b}")

    assert said.splitlines() == [
        "error: FILE: options must be known, got duplicate; write `duplicates: last`",
        "error: FILE: options must be known, got colums; write `columns: {a: b}`",
    ]


def test_a_file_that_is_no_yaml_is_refused_by_line(refusal):
    assert refusal("fields: a\ncolumns: {a").startswith("error: FILE, line 2: must be YAML, got: ")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--duplicates", "lst"], "duplicates must be one of refuse, last, got lst; write --dupl"),
        (["--training.batch_sise", "3"], "known, got --training.batch_sise; write --training.bat"),
        (["--colour", "red"], "options must be known, got --colour; see --help"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_without_the_file(refusal, options, expected):
    said = refusal("duplicates: last", *options)

    assert expected in said
    assert "FILE" not in said
    assert said.count("\n") == 1


def test_a_mistyped_command_is_answered_with_the_one_that_is_meant(parser, capsys):
    several = OptionParser(prog="python -m several")
    commands = several.add_subcommands(dest="command")
    for name in ("serve", "ask"):
        commands.add_subcommand(name, OptionParser())

    with pytest.raises(SystemExit):
        several.parse_args(["asc"])
    with pytest.raises(SystemExit):
        several.parse_args(["quux"])

    assert capsys.readouterr().err.splitlines() == [
        "error: command must be one of serve, ask, got asc; write ask",
        "error: command must be one of serve, ask, got quux; see --help",
    ]


def test_a_mistyped_command_beside_the_options_is_answered_with_the_line(parser, capsys):
    parser.commands = ("check",)
    with pytest.raises(SystemExit):
        parser.parse_args(["chek", "shop", "--fields", "[a]"])
    with pytest.raises(SystemExit):
        parser.parse_args(["shop"])

    assert capsys.readouterr().err.splitlines() == [
        "error: command must be check, got chek; write `python -m stage check shop`",
        "error: arguments must be options such as `--name value`, got shop; see --help",
    ]


def test_config_may_be_the_folder_of_the_file(parser, tmp_path):
    (tmp_path / "data.yaml").write_text("duplicates: last")

    of_folder = parser.parse_args(["--config", str(tmp_path)])

    assert of_folder.duplicates == "last"


def test_a_folder_without_the_file_and_a_missing_file_are_refused(parser, tmp_path, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["--config", str(tmp_path)])
    with pytest.raises(SystemExit):
        parser.parse_args(["--config", str(tmp_path / "none.yaml")])

    of_folder, of_file = capsys.readouterr().err.splitlines()
    assert f"config must be a file such as {tmp_path}/data.yaml" in of_folder
    assert f"got {tmp_path}/none.yaml, which does not exist" in of_file


def test_a_file_of_comments_changes_nothing(parser, tmp_path):
    (tmp_path / "data.yaml").write_text("# duplicates: last\n")

    assert parser.parse_args(["--config", str(tmp_path)]).duplicates == "refuse"


def test_options_of_a_command_among_several_are_checked_too(parser, tmp_path, capsys):
    path = tmp_path / "data.yaml"
    path.write_text(yaml.safe_dump({"training": {"batch_sise": 3}}))
    several = OptionParser(prog="python -m several")
    several.add_subcommands(dest="command").add_subcommand("stage", parser)

    with pytest.raises(SystemExit):
        several.parse_args(["stage", "--config", str(path)])

    assert capsys.readouterr().err == (
        f"error: {path}: options must be known, got training.batch_sise; write `batch_size: 3`\n"
    )
