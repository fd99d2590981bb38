import pytest

from lineage.releases import live_id, release_ids
from serving.__main__ import main


@pytest.fixture
def shop(tmp_path, build_stages, monkeypatch):
    """Finished stages and the folder of their releases."""
    monkeypatch.setenv("COLUMNS", "80")
    return build_stages(tmp_path / "artifacts" / "shop", "one"), tmp_path / "releases" / "shop"


def publish(root, releases, *options):
    main(["publish", "--artifacts", str(root), "--releases", str(releases), *options])
    return live_id(releases)


def listed(releases, capsys):
    main(["releases", "--releases", str(releases)])
    return capsys.readouterr().out


def test_a_release_is_published_listed_and_rolled_back(shop, build_stages, capsys):
    root, releases = shop
    first = publish(root, releases)
    second = publish(build_stages(root, "two"), releases)

    new, old = (line for line in listed(releases, capsys).splitlines() if "0.5000" in line)
    assert new.split()[1:4:2] == ["live", second]
    assert old.split()[1:4:2] == ["previous", first]

    main(["rollback", "--releases", str(releases)])
    assert live_id(releases) == first
    main(["rollback", "--releases", str(releases), "--release", second])
    assert live_id(releases) == second


def test_the_shipped_configuration_retains_five_releases(shop, build_stages, pytestconfig):
    root, releases = shop
    path = pytestconfig.rootpath / "configs" / "publish.yaml"

    for content in "abcdef":
        publish(build_stages(root, content), releases, "--config", str(path))

    assert len(release_ids(releases)) == 5


def test_a_damaged_release_is_listed_as_damaged(shop, capsys):
    root, releases = shop
    release_id = publish(root, releases)
    (releases / release_id / "release.json").unlink()

    (line,) = (line for line in listed(releases, capsys).splitlines() if release_id in line)
    assert "damaged" in line


def test_releases_are_listed_although_the_link_to_the_live_one_is_broken(shop, capsys, caplog):
    root, releases = shop
    release_id = publish(root, releases)
    (releases / "CURRENT").unlink()
    (releases / "CURRENT").write_text("?")

    assert release_id in listed(releases, capsys)
    assert "CURRENT must be a link to a release beside it" in caplog.text


def test_an_empty_list_of_releases_says_that_nothing_was_published(tmp_path, capsys):
    assert "nothing was published" in " ".join(listed(tmp_path / "shop", capsys).split())


def test_a_missing_artifact_ends_with_status_2_and_names_the_command(shop, capsys):
    root, releases = shop

    for arguments, message in [
        (["rollback", "--releases", str(releases)], "`make publish DATASET=shop`"),
        (["publish", "--artifacts", str(root / "x"), "--releases", str(releases)], "`make data"),
    ]:
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["publish", "rollback", "releases", "token"])
def test_help_explains_every_option(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])

    printed = capsys.readouterr().out
    example = "`shop-backend`" if command == "token" else "`releases/ml-100k`"
    assert example in " ".join(printed.split())
