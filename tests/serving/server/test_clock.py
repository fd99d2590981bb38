import time

import pytest

from serving.server.users.clock import Clock


@pytest.fixture
def shifted(monkeypatch):
    """Sets the system's clock by some seconds."""
    real = time.time

    def shifted(seconds):
        monkeypatch.setattr(time, "time", lambda: real() + seconds)

    return shifted


@pytest.mark.parametrize("seconds", [-3 * 86_400, 0, 3 * 86_400])
def test_latest_never_goes_back_and_earliest_never_jumps_ahead(shifted, seconds):
    now, clock = time.time(), Clock()

    shifted(seconds)

    assert clock.latest() - now == pytest.approx(max(seconds, 0), abs=1)
    assert clock.earliest() - now == pytest.approx(min(seconds, 0), abs=1)


def test_both_go_on(shifted):
    clock = Clock()
    shifted(-100)
    latest = clock.latest()
    shifted(100)
    earliest = clock.earliest()

    time.sleep(0.02)

    assert clock.earliest() >= earliest + 0.02
    shifted(-100)
    assert clock.latest() >= latest + 0.02
