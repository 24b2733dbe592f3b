"""What workers say about their tasks, and what becomes of it.

Only a report with the newest token of a call counts.  It is answered APPLIED once what
follows from it is stored: the RETURN or YIELD, or the record of a failed attempt and
the timer of the next.  The same report again is APPLIED again, also after a restart,
because RETURN and YIELD name the delivery that they came from.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starflow_backends import failpoints
from starflow_backends.store import CorruptError, StoreError
from starflow_service.engine.errors import LogCorruptError
from starflow_service.engine.events import (
    Failure,
    FailureKind,
    Result,
    Retryability,
    Return,
    Yield,
)
from starflow_service.runtime.attempts import AttemptRecord, retry_delay_ns
from starflow_service.runtime.calls import Calls
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.errors import (
    FieldInvalidError,
    RunMovingError,
    RuntimeRefusal,
    StoreDownError,
)
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.partitions import Partitions
from starflow_service.runtime.pending import PendingCall, Session
from starflow_service.runtime.runs import Runs
from starflow_service.runtime.tokens import Token, Tokens
from starflow_service.runtime.types import (
    NS,
    Completion,
    CompletionStatus,
    ReleaseResult,
    TaskAction,
    TaskReport,
    YieldResult,
)

APPLIED, IGNORED = CompletionStatus.APPLIED, CompletionStatus.IGNORED


class Reports:
    """Takes the reports of workers."""

    def __init__(
        self,
        runs: Runs,
        calls: Calls,
        tokens: Tokens,
        clock: Clock,
        partitions: Partitions,
    ) -> None:
        self._runs = runs
        self._calls = calls
        self._tokens = tokens
        self._clock = clock
        self._partitions = partitions
        # Failures that the service itself found, on their way into the store.
        self._own: set[asyncio.Future[CompletionStatus]] = set()

    async def complete(
        self, session: Session, reports: Sequence[TaskReport]
    ) -> list[Completion]:
        """
        Take *reports*, each by itself, and say what became of each.

        Raises:
            StoreDownError: One of them could not be stored; send all of them again.
            RunMovingError: The same, because its run is not this server's.
        """
        if failpoints.armed:
            failpoints.reach("complete_received")
        # All are begun before the first is awaited: they are stored as one group.
        begun = [self._begin(session, report) for report in reports]
        return [
            await self._completion(report, status)
            for report, status in zip(reports, begun, strict=True)
        ]

    def time_out(self, call: PendingCall) -> None:
        """An attempt took too long: as if its worker had reported a failure."""
        lease = call.lease
        timeout_s = lease.task.attempt_timeout_ns / NS if lease else 0
        words = f"the attempt took longer than {timeout_s:g} s"
        failure = Failure("STARFLOW_ATTEMPT_TIMEOUT", words, FailureKind.TIMEOUT)
        if lease is not None:
            lease.session.tell(lease.task.token, TaskAction.ABANDON, words)
        self._report_own(call, failure)

    def give_up(self, call: PendingCall) -> None:
        """The workers of a call were lost too often."""
        failure = Failure(
            "STARFLOW_WORKER_LOST",
            f"{call.attempt} workers were lost while they held this call",
            FailureKind.WORKER_LOST,
            Retryability.PERMANENT,
        )
        self._report_own(call, failure)

    async def close(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._own, return_exceptions=True)

    def _report_own(self, call: PendingCall, failure: Failure) -> None:
        # Whoever had the task is superseded, although nobody else has it yet.
        call.delivery = ""
        session = Session(call.namespace, "")
        future = self._settle(call, self._fail_input(call, session, failure))
        self._own.add(future)
        future.add_done_callback(self._own.discard)

    def _begin(
        self, session: Session, report: TaskReport
    ) -> CompletionStatus | Exception | Awaitable[CompletionStatus]:
        parts = self._tokens.parse(report.token)
        if parts is None or not parts.run.startswith(f"{session.namespace}/"):
            return FieldInvalidError("task_token", "no token of this service")
        call = self._calls.claim(report.token, parts, session)
        if self._calls.permits.is_used:
            # Whatever becomes of the report: its worker is done.
            self._calls.permits.done(parts)
        if call is None:
            if not self._partitions.serves(parts.run):
                return _moving(parts.run)
            return self._was_recorded(parts)
        if call.record is not None and call.record.delivery == parts.delivery:
            # The failure of this delivery is recorded; the call backs off.
            return APPLIED
        if call.is_settling:
            return self._after_settling(call, session, report)
        outcome = report.outcome
        if isinstance(outcome, ReleaseResult):
            self._calls.release(call)
            return APPLIED
        if isinstance(outcome, YieldResult):
            return self._settle(call, _yield_input(call, session, outcome))
        if isinstance(outcome, Failure):
            return self._settle(call, self._fail_input(call, session, outcome))
        return self._settle(call, _return_input(call, session, outcome))

    def _settle(
        self, call: PendingCall, step: "Step"
    ) -> asyncio.Future[CompletionStatus]:
        self._calls.begin_settling(call)
        apply, needs_script = step
        try:
            future = self._runs.submit(call.run, apply, needs_script=needs_script)
        except RuntimeRefusal:
            self._calls.end_settling(call, is_stored=False)
            raise

        def settled(done: asyncio.Future[CompletionStatus]) -> None:
            # A worker that hung up cancels the future, but not what it stands for.
            is_stored = not done.cancelled() and done.exception() is None
            self._calls.end_settling(call, is_stored=is_stored)
            if is_stored and done.result() is IGNORED:
                # The log knows more than we did: the call has ended.
                self._calls.close(*call.key)

        future.add_done_callback(settled)
        return future

    async def _after_settling(
        self, call: PendingCall, session: Session, report: TaskReport
    ) -> CompletionStatus:
        """Answer a report that came again while the first was being stored."""

        def look(run: LiveRun) -> None:
            """Rounds are in order: when this is answered, the first report is, too."""

        await self._runs.submit(call.run, look, needs_script=False)
        again = self._begin(session, report)
        return (await self._completion(report, again)).status

    async def _was_recorded(self, parts: Token) -> CompletionStatus:
        """Say whether the log has its result from the delivery of the token."""
        try:
            # The call's own events come after its CALL.
            events = await self._runs.read(parts.run, from_version=parts.call_version)
        except (LogCorruptError, CorruptError):
            return IGNORED
        except StoreError as error:
            raise StoreDownError(str(error)) from error
        for event in events:
            if (
                isinstance(event, Return | Yield)
                and event.call_version == parts.call_version
                and event.delivery == parts.delivery
            ):
                return APPLIED
        return IGNORED

    async def _completion(
        self,
        report: TaskReport,
        status: CompletionStatus | Exception | Awaitable[CompletionStatus],
    ) -> Completion:
        if isinstance(status, CompletionStatus):
            return Completion(report.token, status)
        if isinstance(status, Exception):
            return Completion(report.token, CompletionStatus.REJECTED, status)
        judged = await status
        if judged is IGNORED and isinstance(status, asyncio.Future):
            # The call had ended in the log already: by an append of this very report,
            # perhaps, whose answer the store never gave.
            parts = self._tokens.parse(report.token)
            if parts is not None:
                judged = await self._was_recorded(parts)
        return Completion(report.token, judged)

    def _fail_input(
        self, call: PendingCall, session: Session, failure: Failure
    ) -> "Step":
        failed = call.failed + 1
        delay_ns = retry_delay_ns(call.policy, failure, failed)
        if delay_ns is None:
            return _return_input(call, session, failure)
        record = AttemptRecord(
            failed=failed,
            next_attempt=call.attempt + 1,
            due_ns=self._clock.now_ns() + delay_ns,
            delivery=call.delivery,
            failure=failure,
            progress=call.progress,
            policy=call.policy,
        )

        def apply(run: LiveRun) -> CompletionStatus:
            version = call.call.version
            if not _is_open(run, call):
                return IGNORED
            run.records[version] = record
            run.changed_records.add(version)
            run.retries[version] = record.due_ns
            call.record = record
            call.attempt = record.next_attempt
            return APPLIED

        return apply, False


def _moving(run: str) -> Awaitable[CompletionStatus]:
    refused: asyncio.Future[CompletionStatus]
    refused = asyncio.get_running_loop().create_future()
    refused.set_exception(RunMovingError(run))
    # Another report of the same request may be refused first.
    refused.exception()
    return refused


# How an input is applied, and whether it can move the script.
Step = tuple[Callable[[LiveRun], CompletionStatus], bool]


def _is_open(run: LiveRun, call: PendingCall) -> bool:
    open_call = run.history.calls.get(call.call.version)
    return open_call is not None and open_call.yielded is None


def _return_input(call: PendingCall, session: Session, result: Result) -> Step:
    def apply(run: LiveRun) -> CompletionStatus:
        if not _is_open(run, call):
            return IGNORED
        run.open_ledger.returned(
            call.call.version,
            result,
            attempts=call.attempt,
            worker_id=session.worker_id,
            delivery=call.delivery,
        )
        _forget_attempts(run, call)
        return APPLIED

    return apply, True


def _yield_input(call: PendingCall, session: Session, outcome: YieldResult) -> Step:
    def apply(run: LiveRun) -> CompletionStatus:
        if not _is_open(run, call):
            return IGNORED
        run.open_ledger.yielded(
            call.call.version,
            outcome.timeout_ns,
            worker_id=session.worker_id,
            delivery=call.delivery,
        )
        _forget_attempts(run, call)
        return APPLIED

    return apply, True


def _forget_attempts(run: LiveRun, call: PendingCall) -> None:
    version = call.call.version
    if run.records.pop(version, None) is not None:
        run.changed_records.add(version)
        run.retries.pop(version, None)
