import logging
import traceback

import pytest
from grpc._cython import cygrpc
from opentelemetry import propagate

from serving.server.library_logs import (
    FAULTS_OF_CALLERS,
    GRPC,
    hide_faults_of_callers,
)
from shortlist_client.api.request import Shopper
from tests.serving.server.transport.http2 import connected, data, headers

TRACE_PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@pytest.fixture
def grpc_logger():
    logger = logging.getLogger(GRPC)
    before = list(logger.filters)
    yield logger
    logger.filters[:] = before


def test_faults_of_callers_are_not_logged_by_grpc(grpc_logger, caplog):
    hide_faults_of_callers()
    hide_faults_of_callers()

    grpc_logger.error("Invalid encoding on %s", b"Bearer secret\xff")
    grpc_logger.error("ExecuteBatchError raised in core by servicer method [%s]", "/a/b")
    try:
        b"/\xff".decode()
    except UnicodeDecodeError:
        grpc_logger.exception("Unexpected [%s] raised by servicer method [%s]", "x", "/y")
    grpc_logger.error("other fault")

    assert len(grpc_logger.filters) == 1
    assert [record.getMessage() for record in caplog.records] == ["other fault"]


def test_grpc_prints_no_traceback_about_callers_who_left(
    grpc_logger, server, client, capfd, monkeypatch
):
    monkeypatch.setattr(cygrpc, "traceback", traceback)
    hide_faults_of_callers()
    for _ in range(40):
        with connected(server.server.port) as connection:
            for number in range(20):
                connection.sendall(
                    headers(2 * number + 1, path=b"/\xff") + data(b"", 2 * number + 1)
                )

    assert client.recommend(Shopper(user_id="u")).items
    assert capfd.readouterr().err == ""


def test_malformed_trace_headers_of_callers_are_not_logged(grpc_logger, caplog):
    hide_faults_of_callers()

    propagate.extract({"baggage": "nokey,also-none", "tracestate": "Bad Key=1", **TRACE_PARENT})

    assert not caplog.records


def test_grpc_has_these_messages():
    with open(cygrpc.__file__, "rb") as file:
        library = file.read()

    for message in FAULTS_OF_CALLERS:
        assert message.encode() in library
