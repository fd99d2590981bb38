from datetime import UTC, datetime

import pytest
import yaml

from serving.server.access.client import Client
from serving.server.access.credentials import digest_of
from serving.server.access.entries import entry_of, new_token, read_entries
from serving.server.access.roles import Role


def entry(token="secret", **fields):
    return {"client": "shop", "sha256": digest_of(token).hex(), "roles": ["read"], **fields}


def test_a_written_entry_is_read_back_and_does_not_contain_the_token():
    token = new_token()
    client = Client(
        name="shop",
        roles=frozenset({Role.READ, Role.EXPLAIN}),
        digest=digest_of(token),
        certificate="spiffe://shop/backend",
        expires=datetime(2099, 1, 31, 12, tzinfo=UTC),
        per_second=5,
        users=("eu-", "uk-"),
        user_events_per_day=7,
    )

    written = entry_of(client)

    assert read_entries(written) == (client,)
    assert token not in written


def test_tokens_differ():
    assert new_token() != new_token()


@pytest.mark.parametrize(
    ("written", "users"), [("eu-", ("eu-",)), (["eu-", "uk-"], ("eu-", "uk-")), ([], ())]
)
def test_users_are_a_prefix_or_prefixes_or_none(written, users):
    (client,) = read_entries(yaml.safe_dump([entry(users=written)]))

    assert client.users == users


@pytest.mark.parametrize(
    ("users", "user_id", "allowed"),
    [
        (None, "anybody", True),
        ((), "anybody", False),
        (("eu-",), "eu-7", True),
        (("eu-",), "EU-7", False),
        (("eu-",), "7eu-", False),
        (("uk-", "eu-"), "eu-7", True),
    ],
)
def test_a_client_names_the_users_of_its_prefixes(users, user_id, allowed):
    client = Client(name="shop", roles=frozenset(), users=users)

    assert client.may_name(user_id) is allowed


@pytest.mark.parametrize(
    ("certificate", "read"),
    [
        ("spiffe://shop/Backend", "spiffe://shop/Backend"),
        ("CN=Shop backend", "CN=Shop backend"),
        ("Shop.Example", "shop.example"),
    ],
)
def test_only_dns_names_ignore_case(certificate, read):
    (client,) = read_entries(yaml.safe_dump([entry(certificate=certificate)]))

    assert client.certificate == read


def test_two_tokens_may_be_bound_to_one_certificate():
    entries = [entry(certificate="CN=a"), entry("other", client="app", certificate="CN=a")]

    assert len(read_entries(yaml.safe_dump(entries))) == 2


ALONE = {"client": "shop", "certificate": "CN=a", "roles": ["read"]}


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        ("{", "must be YAML"),
        ("\xff\x00", "must be YAML"),
        ("", "list of clients"),
        ("- client: a\n  client: b", "lines 1 and 2: client must come once"),
        ({"client": "shop"}, "list of clients"),
        ([{"sha256": "00"}], "must have a name"),
        ([entry(sha256="00")], "64 hexadecimal"),
        ([entry(sha256="z" * 64)], "64 hexadecimal"),
        ([entry(sha256=7)], "64 hexadecimal"),
        ([{"client": "shop", "roles": ["read"]}], "sha256 or certificate"),
        ([entry(roles=["king"])], "read, explain, catalogue"),
        ([entry(roles=7)], "read, explain, catalogue"),
        ([{"client": "shop", "sha256": "0" * 64}], "read, explain, catalogue"),
        ([entry(rate=3)], "got rate"),
        ([entry(per_second=0)], "at least 1"),
        ([entry(per_second=True)], "at least 1"),
        ([entry(user_events_per_day=-1)], "at least 1"),
        ([entry(expires="soon")], "date or a time"),
        ([entry(users="")], "a prefix or a list"),
        ([entry(users=[7])], "a prefix or a list"),
        ([entry(users=None)], "users of client 'shop' must have a value"),
        ([entry(certificate=None)], "certificate of client 'shop' must have a value"),
        ([entry(expires=None)], "expires of client 'shop' must have a value"),
        ([entry(certificate="two words")], "a URI, a DNS name or CN=name"),
        ([entry(certificate="O=shop")], "a URI, a DNS name or CN=name"),
        ([entry(), entry("other")], "once"),
        ([entry(), entry(client="app")], "once"),
        ([ALONE, {**ALONE, "client": "app"}], "once"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(entries, rule):
    with pytest.raises(ValueError, match=rule):
        read_entries(entries if isinstance(entries, str) else yaml.safe_dump(entries))
