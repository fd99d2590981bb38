import pytest

from shortlist_client.api.exposure import Exposure


@pytest.fixture
def shown():
    """Creates an exposure with default fields."""

    def shown(request_id="r", **fields):
        given = {
            "time": 100,
            "user_id": "u",
            "method": "recommend",
            "item_ids": ("i", "j"),
            "scores": (2.5, 1.0),
            **fields,
        }
        return Exposure(request_id=request_id, **given)

    return shown
