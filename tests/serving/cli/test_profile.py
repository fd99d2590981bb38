"""`python -m serving profile`."""

import pytest

from serving.__main__ import main
from shortlist_client.api.request import Shopper, Wishes


@pytest.fixture
def profile(server, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")

    def profile(*options):
        main(["profile", "--target", server.address, *options])
        return capsys.readouterr().out

    return profile


def test_a_profile_is_printed_with_interests_and_likely_values(profile, fake):
    printed = profile("0196")

    for expected in ("profile of user 0196", fake.profile.sentence, "film", "Star Wars [1977]"):
        assert expected in printed
    assert "61%" in printed
    assert "smoothed shares, not learnt: genre" in printed
    assert fake.calls == [("profile", Shopper(user_id="0196"), Wishes())]


def test_a_history_takes_the_place_of_a_user(profile, fake):
    assert "profile of the shopper" in profile("--history", "7,1e3", "--embedding")

    assert fake.requests[0].shopper == Shopper(history=["7", "1e3"])
    assert fake.requests[0].with_embedding


@pytest.mark.parametrize("options", [(), ("u", "--history", "7")])
def test_a_user_and_a_history_exclude_each_other(profile, fake, capsys, options):
    with pytest.raises(SystemExit):
        profile(*options)

    assert "one of USER and --history must be given" in capsys.readouterr().err
    assert not fake.calls
