"""The fuzzer on the wire: its sessions, how it finds the cause of a failure, a short attack."""

import pytest

from shortlist_client.wire.profile import profile_response
from shortlist_client.wire.reply import reply_response
from tests.serving.server.fuzz import polite, rude, wire
from tests.serving.server.fuzz.attack import attack, sessions, shrunk
from tests.serving.server.fuzz.attacked import new_server
from tests.serving.server.fuzz.corpus import CONTRACT, PUBLIC, Corpus
from tests.serving.server.fuzz.victim import FakeEngine

EMPTY = Corpus({path: [b""] for path in {**CONTRACT, **PUBLIC}})


def test_a_seed_and_a_number_always_make_the_same_sessions():
    assert sessions(3, 7, EMPTY) == sessions(3, 7, EMPTY)
    assert sessions(3, 7, EMPTY) != sessions(4, 7, EMPTY)


def test_the_first_batch_has_a_session_of_every_kind():
    kinds = [*polite.KINDS, *rude.KINDS, rude.mutated_sessions]

    assert len(sessions(1, 0, EMPTY)) == len(kinds)


def test_every_method_of_the_contract_needs_a_token_that_the_fuzzer_knows():
    assert {polite.token_of(path) for path in CONTRACT} == set(polite.TOKENS)


def test_the_cause_of_a_failure_is_found_among_many():
    assert shrunk(range(60), lambda parts: {13, 41} <= set(parts)) == [13, 41]
    assert shrunk(range(60), lambda parts: 59 in parts) == [59]


def test_statuses_are_read_from_frames_that_come_in_pieces():
    trailers = wire.literal(b"grpc-status", b"16")
    frames = wire.frame(wire.SETTINGS) + wire.frame(wire.HEADERS, 5, 3, trailers)
    frames += wire.frame(wire.RESET, 0, 5, b"\0\0\0\2")
    connection = wire.Connection()

    for at in range(len(frames)):
        connection.read(frames[at : at + 1])

    assert connection.statuses == {3: 16}
    assert connection.ended == {3, 5}


def test_the_attacked_engine_has_what_every_call_returns():
    ((_, answer),) = FakeEngine().answers([None])

    for response in (profile_response, reply_response):
        assert response(answer, versions={}, request_id="r").ByteSize()


@pytest.mark.slow
def test_a_peer_cannot_write_lines_of_the_log():
    last, code = b"\0\0\0\1", b"\x80\0\0\0"
    leaving = wire.frame(wire.GOAWAY, payload=last + code + b"x\n00:00:00 root: FORGED")
    with new_server() as server:
        played = wire.Session("forger", (wire.OPENING, leaving), linger=0.5)
        wire.play(played, server.port)
        assert server.probe() == ""
        log = server.log()

    assert "serving on" in log
    assert "FORGED" not in log


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_no_hostile_bytes_break_the_server(tls):
    report = attack(4_000, seed=2, tls=tls)

    assert report.requests.total() >= 4_000
    assert report.statuses[polite.OK] > 100
    assert len(report.sessions) >= 15
