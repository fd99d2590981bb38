"""Every kind of event store; a real PostgreSQL server if its programs are installed."""

import pytest

from events.open_store import open_store
from shortlist_client.api.event import Event


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    """Address of an empty store."""
    if request.param == "sqlite":
        return str(tmp_path / "events.sqlite")
    return request.getfixturevalue("postgres").empty()


@pytest.fixture
def opened(address):
    """Opens the store again, as another process would."""
    stores = []

    def opened():
        stores.append(open_store(address))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(opened):
    return opened()


@pytest.fixture
def event():
    """Creates an event with default fields."""

    def event(event_id, **fields):
        given = {"user_id": "u", "item_id": "i", "action": "purchase", "time": 100, **fields}
        return Event(event_id=event_id, **given)

    return event
