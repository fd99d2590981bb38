import logging

import pytest

from serving.server.transport.exposure import check_exposure

BEYOND = ("0.0.0.0", "::", "192.0.2.1")
BOTH = "tokens and tls.certificate and tls.key are given"


def check(host, *, tokens=False, encrypted=False, insecure=False):
    check_exposure(host, 50051, tokens=tokens, encrypted=encrypted, insecure=insecure)


@pytest.mark.parametrize("host", BEYOND)
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "tokens and tls.certificate and tls.key"),
        ({"tokens": True}, "unless tls.certificate and tls.key are given"),
        ({"encrypted": True}, "unless tokens are given"),
    ],
)
def test_beyond_the_loopback_tokens_and_tls_are_required(host, given, missing):
    with pytest.raises(ValueError, match=f"{missing}.*insecure is said, got {host}"):
        check(host, **given)


@pytest.mark.parametrize("host", BEYOND)
def test_with_both_the_server_listens_anywhere_in_silence(host, caplog):
    check(host, tokens=True, encrypted=True)

    assert not caplog.records


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost"])
def test_on_the_loopback_nothing_is_required(host, caplog):
    check(host)

    assert not caplog.records


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({}, ["everyone who reaches 0.0.0.0:50051 may call", "can read and change the calls"]),
        ({"tokens": True}, ["can read and change the calls"]),
        ({"encrypted": True}, ["everyone who reaches 0.0.0.0:50051 may call"]),
    ],
)
def test_insecure_is_obeyed_with_a_warning_of_each_exposure(given, warned, caplog):
    with caplog.at_level(logging.WARNING):
        check("0.0.0.0", insecure=True, **given)

    assert len(caplog.records) == len(warned)
    for text, told in zip(caplog.messages, warned, strict=True):
        assert told in text


def test_the_server_refuses_to_open_an_exposed_port(start, fake):
    with pytest.raises(ValueError, match=BOTH):
        start(lambda: fake, host="0.0.0.0")


def test_the_server_warns_of_an_exposed_port(start, fake, caplog):
    start(lambda: fake, host="0.0.0.0", insecure=True)

    assert "may call everything" in caplog.text
