import numpy as np
import pytest

from benchmarks.latency import exposures
from benchmarks.latency.exposures import ExposuresBenchConfig, compared, of_parts, serving
from events.open_store import open_store
from shortlist_client.api.request import Shopper


def test_only_the_server_with_the_log_stores_what_both_show(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(exposures, "WARM_REQUESTS", 2)
    shoppers = [Shopper(user_id="u"), Shopper(user_id="v")]
    with (
        serving(fake, tmp_path / "off.sqlite", rate=0.0) as off,
        serving(fake, tmp_path / "on.sqlite", rate=1.0) as on,
    ):
        times = compared(off.recommend, on.recommend, shoppers, 5)

    assert [one.shape for one in times] == [(5,), (5,)]
    assert np.min(times) > 0
    stored = {}
    for name in ("off", "on"):
        store = open_store(str(tmp_path / f"{name}.sqlite"))
        stored[name] = [one.user_id for one in store.exposures.scan()]
        store.close()
    assert stored == {"off": [], "on": ["u", "v", "u", "v", "u", "v", "u"]}


def test_the_cost_of_the_parts_is_known(monkeypatch):
    monkeypatch.setattr(exposures, "QUEUED", 20)

    figures = of_parts(3)

    assert figures["event loop us"] > 0
    assert figures["writer us"] > 0


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="requests must be at least 1, got 0"):
        ExposuresBenchConfig(requests=0)
