import pytest

from lineage.options import OptionParser
from lineage.repeated_keys import repeated_keys

TWICE = """drop:
  no time: Zeit IS NULL
fields: [title]
drop:
  free: Preis = 0
fields: [brand]
"""


@pytest.fixture
def refused(tmp_path, capsys):
    def parse(config):
        parser = OptionParser()
        parser.add_config("data.yaml")
        parser.add_argument("--drop", type=dict[str, str])
        parser.add_argument("--fields", type=list[str])
        parser.add_argument("--now.at", type=int)
        with pytest.raises(SystemExit):
            parser.parse_args(["--config", config])
        return capsys.readouterr().err.splitlines()

    return parse


def test_a_key_that_comes_twice_is_refused_with_both_lines(refused, tmp_path):
    path = tmp_path / "data.yaml"
    path.write_text(TWICE)

    assert refused(str(path)) == [
        f"error: {path}, lines 1 and 4: drop must come once, got it twice; "
        "put them under one `drop:`",
        f"error: {path}, lines 3 and 6: fields must come once, got it twice; "
        "put them under one `fields:`",
    ]


def test_options_given_as_text_are_refused_too(refused):
    (line,) = refused("{fields: [a], fields: [b]}")

    assert "line 1: fields must come once" in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now:\n  at: 1\n  at: 2", ["lines 2 and 3: at must come once, got it twice; keep one"]),
        ("drop:\n  a: x\n  b: y\n  a: z", ["lines 2 and 4: a must come once"]),
        ("- {a: 1}\n- {b: 1,\n   'b': 2}", ["lines 2 and 3: b must come once"]),
        ("drop: {a: x}\ncompute: {a: x}", []),
        ("a: &all [1, *all]\nb: *all", []),
        ("# nothing", []),
    ],
)
def test_keys_are_compared_within_each_mapping_at_every_level(text, expected):
    found = repeated_keys(text)

    assert len(found) == len(expected)
    assert all(line.startswith(begin) for line, begin in zip(found, expected, strict=True))
