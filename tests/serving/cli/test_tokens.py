from datetime import UTC, datetime

import pytest

from serving.__main__ import main
from serving.server.access.client import Client
from serving.server.access.credentials import digest_of
from serving.server.access.entries import read_entries
from serving.server.access.roles import Role


def made(capsys, *options):
    """The token that the command prints, and the client of the entry."""
    main(["token", "--client", "shop", *options])
    shown = capsys.readouterr()
    (client,) = read_entries(shown.out)
    return shown.err.strip(), client


def test_every_option_is_in_the_entry(capsys):
    token, client = made(
        capsys,
        *("--roles", "[READ,EXPLAIN]", "--users", "[eu-,uk-]", "--certificate", "spiffe://a/b"),
        *("--per_second", "100", "--user_events_per_day", "500", "--expires", "2099-01-31"),
    )

    assert client == Client(
        name="shop",
        roles=frozenset({Role.READ, Role.EXPLAIN}),
        digest=digest_of(token),
        certificate="spiffe://a/b",
        expires=datetime(2099, 1, 31, tzinfo=UTC),
        per_second=100,
        users=("eu-", "uk-"),
        user_events_per_day=500,
    )


def test_without_options_the_client_may_read_without_limits(capsys):
    token, client = made(capsys)

    assert client == Client(name="shop", roles=frozenset({Role.READ}), digest=digest_of(token))


def test_for_a_certificate_alone_no_token_is_made(capsys):
    token, client = made(capsys, "--certificate", "CN=shop", "--certificate_alone")

    assert token == ""
    assert (client.digest, client.certificate) == (None, "CN=shop")


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--certificate_alone"], "sha256 or certificate"),
        (["--certificate", "two words"], "certificate of client 'shop' must be"),
        (["--per_second", "0"], "at least 1"),
        (["--expires", "soon"], "expires must be a date or a time"),
        (["--users", "['']"], "a prefix or a list"),
    ],
)
def test_an_entry_that_the_server_would_refuse_is_not_made(capsys, options, rule):
    with pytest.raises(SystemExit):
        main(["token", "--client", "shop", *options])

    shown = capsys.readouterr()
    assert rule in shown.err
    assert not shown.out
