"""A batch of requests that the engine has begun to answer, and the jobs that wait to go on."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from serving.api.protocol import Placed, Recommender
from serving.batching.fair_queue import FairQueue
from serving.batching.request_queue import QueuedRequest
from shortlist_client.api.answer import Answer

logger = logging.getLogger(__name__)
ASIDE = 4
"""Most long jobs that have begun and are not done; more would only finish later."""


@dataclass(kw_only=True, eq=False)
class Job:
    """Answers a batch in pieces. It keeps the engine with which it began."""

    batch: Sequence[QueuedRequest]
    engine: Recommender
    seconds: float = 0.0
    """Time of the pieces so far"""
    started: float = field(default_factory=time.monotonic)
    """Start of the work, seconds of `time.monotonic`"""

    def __post_init__(self) -> None:
        self._left = list(self.batch)
        self._answers: Iterator[Placed | None] | None = None

    @property
    def client(self) -> str:
        """Client whose turns the job takes."""
        return self.batch[0].request.client

    @property
    def patient(self) -> bool:
        """Whether all other jobs go first."""
        return self.batch[0].patient

    def advance(self) -> bool:
        """Work until the engine pauses, and deliver the answers that are ready.

        If the batch fails, each of its requests is answered alone.

        Returns:
            Whether there is more to do. Nothing is left to do if no caller waits any longer.
        """
        late = "the deadline passed before the answer was ready"
        if not [one for one in self._left if one.is_wanted(late)]:
            return False
        began = time.monotonic()
        try:
            if self._answers is None:
                self._answers = iter(self.engine.answers([one.request for one in self.batch]))
            for placed in self._answers:
                if placed is None:
                    return True
                self._deliver(*placed)
        except Exception as error:
            self._fail(error)
        finally:
            self.seconds += time.monotonic() - began
        return False

    def _deliver(self, place: int, answer: Answer | Exception) -> None:
        request = self.batch[place]
        self._left.remove(request)
        if isinstance(answer, Exception):
            request.deliver(answer)
        else:
            timed = {"queue": 1e3 * (self.started - request.since), **answer.milliseconds}
            request.deliver((replace(answer, milliseconds=timed), self.engine.versions))

    def _fail(self, error: Exception) -> None:
        if len(self._left) == 1:
            self._left[0].deliver(error)
            return
        logger.exception("a batch of %d requests failed; trying each alone", len(self._left))
        for request in self._left:
            alone = Job(batch=[request], engine=self.engine)
            while alone.advance():
                pass


class JobsAside:
    """Jobs that have begun and wait for their next piece; clients take turns. Not thread-safe."""

    def __init__(self) -> None:
        self._long: FairQueue[Job] = FairQueue()
        self._patient: FairQueue[Job] = FairQueue()

    def __len__(self) -> int:
        return len(self._long) + len(self._patient)

    @property
    def may_begin_long(self) -> bool:
        """Whether another long job may begin."""
        return len(self._long) < ASIDE

    def add(self, job: Job) -> None:
        """Set a job aside."""
        (self._patient if job.patient else self._long).add(job.client, job)

    def take_long(self) -> Job | None:
        """The job whose turn it is, apart from patient ones; None if there is none."""
        return self._long.take(1) if self._long else None

    def take_patient(self) -> Job | None:
        """The patient job, if there is one."""
        return self._patient.take(1) if self._patient else None
