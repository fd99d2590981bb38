import pytest

from lineage.whole_files import replacing


def test_a_file_is_replaced_by_what_the_block_wrote(tmp_path):
    path = tmp_path / "new" / "figures.json"

    for content in ("first", "second"):
        with replacing(path) as partial:
            partial.write_text(content)

    assert path.read_text() == "second"
    assert list(path.parent.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "figures.json"
    path.write_text("old")

    def interrupted():
        with replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
