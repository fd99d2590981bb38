import logging

from serving.server.access.errors import AccessError
from serving.server.interceptors import refusal_log
from serving.server.interceptors.refusal_log import LINES, SECONDS, RefusalLog


def test_a_flood_of_refusals_is_logged_in_few_lines_and_then_counted(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    now, log = [0.0], RefusalLog()
    monkeypatch.setattr(refusal_log.time, "monotonic", lambda: now[0])

    for n in range(LINES + 5_000):
        log.add("Recommend", AccessError(f"token {n}"))
        now[0] += 0.5 * SECONDS / (LINES + 5_000)
    flooded = list(caplog.messages)
    caplog.clear()
    now[0] += SECONDS
    log.add("Recommend", AccessError("the next"))

    assert len(flooded) == LINES
    assert flooded[0] == "Recommend refused: token 0"
    assert caplog.messages == [
        "5000 more calls were refused then",
        "Recommend refused: the next",
    ]
