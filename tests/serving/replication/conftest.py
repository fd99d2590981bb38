"""Every kind of change log."""

import pytest

from serving.replication.journal_log import JournalLog
from serving.replication.postgresql_log import PostgresqlLog


@pytest.fixture(params=["journal", "postgresql"])
def opened(request, tmp_path):
    """Opens the same log again, as another process would."""
    logs = []
    if request.param == "postgresql":
        address = request.getfixturevalue("postgres").empty()

    def opened():
        logs.append(
            JournalLog(tmp_path / "CHANGES")
            if request.param == "journal"
            else PostgresqlLog(address)
        )
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


@pytest.fixture
def log(opened):
    return opened()
