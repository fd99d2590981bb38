import pytest

from benchmarks.quality.answers import compare, record


def test_equal_recordings_are_identical_and_a_changed_answer_is_named(release, tmp_path):
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    for output in (before, after):
        record(release, output, users=2)

    assert compare(before, after) == 12

    changed = before.read_text().replace('"score": "0x1.', '"score": "0x1.1', 1)
    after.write_text(changed)
    with pytest.raises(ValueError, match=r"recommend for user .* first at place 1"):
        compare(before, after)

    after.write_text("".join(before.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match="ends after 11"):
        compare(before, after)
