import pytest

from backbone.load import load_bert, load_tokenizer, source_of

COMMIT = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"


def test_a_local_folder_is_read_without_the_network(tiny_bert):
    assert source_of(str(tiny_bert)) == (str(tiny_bert), {"local_files_only": True})


@pytest.mark.parametrize("name", ["bert-base-uncased", "sentence-transformers/all-MiniLM-L6-v2"])
def test_a_hub_name_is_loaded_at_its_commit(name):
    assert source_of(f"{name}@{COMMIT}") == (name, {"revision": COMMIT})


@pytest.mark.parametrize("revision", ["", "@", "@main", "@v2", f"@{COMMIT[:7]}", f"@{COMMIT}0"])
def test_a_hub_name_without_a_commit_is_refused(revision):
    for load in (load_bert, load_tokenizer):
        with pytest.raises(ValueError, match=r"`name@` and 40 hexadecimal digits, got 'org/name"):
            load(f"org/name{revision}")


def test_a_relative_folder_is_also_found_in_the_checkout(tiny_bert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("backbone.load.CHECKOUT", tiny_bert.parent)

    assert source_of(f"./{tiny_bert.name}")[0] == str(tiny_bert)

    (tmp_path / tiny_bert.name).mkdir()
    assert source_of(f"./{tiny_bert.name}")[0] == f"./{tiny_bert.name}"


def test_a_folder_that_is_gone_is_refused_with_the_command_that_fetches_the_default():
    with pytest.raises(FileNotFoundError, match="`make weights`"):
        load_bert(".cache/gone")
