import logging

import pytest
from grpc._cython import cygrpc
from opentelemetry import propagate

from serving.server.library_logs import (
    FAULTS_OF_CALLERS,
    GRPC,
    hide_faults_of_callers,
)

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


def test_malformed_trace_headers_of_callers_are_not_logged(grpc_logger, caplog):
    hide_faults_of_callers()

    propagate.extract({"baggage": "nokey,also-none", "tracestate": "Bad Key=1", **TRACE_PARENT})

    assert not caplog.records


def test_grpc_has_these_messages():
    with open(cygrpc.__file__, "rb") as file:
        library = file.read()

    for message in FAULTS_OF_CALLERS:
        assert message.encode() in library
