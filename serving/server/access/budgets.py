"""Budgets of rows: how much a client may ask a second, and write about one user a day."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from serving.server.access.client import CLIENT, Client
from serving.server.access.errors import TooManyRequestsError

DAY = 86_400.0
MOST_USERS = 100_000
"""Pairs of client and user that are remembered; beyond it, the longest unused is forgotten."""
Clock = Callable[[], float]
LEAST_SECONDS = 0.01
"""Shortest time after which to retry, seconds."""


@dataclass(frozen=True)
class Debt:
    """What was taken from a budget and not yet paid back, as of a time."""

    rows: float
    at: float
    """Seconds of the clock"""


class Budgets:
    """Budgets that are paid back at a constant rate. Rows are granted while anything is left.

    What a message takes beyond the budget is paid back before the next one passes. So a message of
    more rows than the whole budget passes, and the rate holds in the long run.
    """

    def __init__(self, *, most: int | None = None, clock: Clock = time.monotonic) -> None:
        """Take the number of debts to remember, None for all; and a clock never set back."""
        self._debts: OrderedDict[Hashable, Debt] = OrderedDict()
        self._most, self._clock = most, clock

    def take(
        self, key: Hashable, rows: int, size: int, seconds: float, *, prepaid: int = 0
    ) -> float:
        """Take rows from a budget, if it has any left.

        Args:
            key: Whose budget.
            rows: How many to take.
            size: Rows of the whole budget, paid back within `seconds`.
            seconds: See `size`.
            prepaid: How many of the rows were taken before.

        Returns:
            0 if the rows were taken, otherwise the time until a row is left, seconds.
        """
        rate, now = size / seconds, self._clock()
        debt = self._debts.get(key, Debt(0.0, now))
        owed = max(debt.rows - rate * (now - debt.at), 0.0)
        missing = owed - prepaid + 1 - size
        if missing > 0:
            return missing / rate
        self._debts[key] = Debt(owed - prepaid + rows, now)
        self._debts.move_to_end(key)
        if self._most is not None and len(self._debts) > self._most:
            self._debts.popitem(last=False)
        return 0.0

    def give_back(self, key: Hashable) -> None:
        """Return one row to a budget."""
        if key in self._debts:
            debt = self._debts[key]
            self._debts[key] = Debt(max(debt.rows - 1, 0.0), debt.at)


class ClientBudgets:
    """Rows a second of each client: a plain call is one row."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._budgets = Budgets(clock=clock)

    def charge(self, client: Client, rows: int, *, prepaid: int = 0) -> None:
        """Take rows from the client's budget.

        Args:
            client: The client.
            rows: Rows of the message, or 1 for the call itself.
            prepaid: Rows that were taken when the call began.

        Raises:
            TooManyRequestsError: nothing is left.
        """
        if client.per_second is None:
            return
        wait = self._budgets.take(client.name, rows, client.per_second, 1.0, prepaid=prepaid)
        if wait > 0:
            raise TooManyRequestsError(
                f"rows must be at most {client.per_second} a second, got more",
                retry_seconds=max(wait, LEAST_SECONDS),
            )


class UserBudgets:
    """Events that the client of a call may record about one user, a day."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._budgets = Budgets(most=MOST_USERS, clock=clock)

    def broken_rule(self, user_id: str) -> str | None:
        """Take an event of a user; returns the rule that it breaks, None if it is granted."""
        client = CLIENT.get()
        if client is None or client.user_events_per_day is None:
            return None
        most = client.user_events_per_day
        if self._budgets.take((client.name, user_id), 1, most, DAY) > 0:
            return f"events of a user must be at most {most} a day from one client, got more"
        return None

    def give_back(self, user_id: str) -> None:
        """Return an event that was not stored, or had been stored before."""
        client = CLIENT.get()
        if client is not None and client.user_events_per_day is not None:
            self._budgets.give_back((client.name, user_id))
