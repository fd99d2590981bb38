import pytest

from lineage.releases import live_id, release_ids
from lineage.signing import TrustedKeys, claimed_signers
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


def test_a_release_is_signed_before_it_is_live_and_listed_with_its_signers(
    shop, build_stages, capsys, tmp_path, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "120")
    root, releases = shop
    for name in ("old", "new"):
        main(["keygen", "--output", str(tmp_path / name)])
    ids = {n: next(iter(TrustedKeys.read([tmp_path / f"{n}.pub"]).keys)) for n in ("old", "new")}
    first = publish(root, releases, "--key", str(tmp_path / "old.key"))
    assert ids["old"] in listed(releases, capsys)
    assert publish(root, releases, "--key", str(tmp_path / "new.key")) == first
    assert claimed_signers(releases / first) == sorted(ids.values())

    unsigned = publish(build_stages(root, "two"), releases)
    verify = ["--verify_key", str(tmp_path / "new.pub")]
    main(["rollback", "--releases", str(releases), *verify])
    with pytest.raises(SystemExit, match="2"):
        main(["rollback", "--releases", str(releases), "--release", unsigned, *verify])
    assert f"{unsigned} must be signed by one of the keys {ids['new']}" in capsys.readouterr().err
    assert live_id(releases) == first

    key = str(tmp_path / "new.key")
    main(["sign", "--releases", str(releases), "--release", unsigned, "--key", key])
    main(["rollback", "--releases", str(releases), "--release", unsigned, *verify])
    assert live_id(releases) == unsigned


def test_a_damaged_release_is_not_signed(shop, capsys, tmp_path):
    root, releases = shop
    release = releases / publish(root, releases)
    main(["keygen", "--output", str(tmp_path / "shop")])
    (release / "data" / "rows.npy").unlink()

    with pytest.raises(SystemExit, match="2"):
        main(["sign", "--releases", str(releases), "--key", str(tmp_path / "shop.key")])
    assert "data/rows.npy is missing" in capsys.readouterr().err
    assert claimed_signers(release) == []


def test_serving_stages_with_a_demanded_signature_is_refused(shop, capsys, tmp_path):
    root, _ = shop
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--artifacts", str(root), "--verify_key", str(tmp_path / "shop.pub")])
    assert "verify_key must come with --releases" in capsys.readouterr().err
