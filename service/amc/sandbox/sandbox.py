"""The sandbox's state: workflows and executions, from their create to their end, through restarts."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from service.amc.sandbox import results
from service.amc.sandbox.clock import SandboxClock
from service.amc.sandbox.creation import Order, Refused, declared_of
from service.amc.sandbox.engine import Engine, Outcome
from service.amc.sandbox.executions import Execution, SavedWorkflow
from service.amc.sandbox.faults import FaultPlan
from service.amc.sandbox.journal import Journal
from service.amc.sandbox.options import SandboxOptions
from service.amc.sandbox.signing import Signer
from service.amc.sandbox.stats import Stats
from service.amc.sandbox.throttle import TokenBucket
from service.amc.sandbox.tokens import Tokens


class Sandbox:
    """Everything behind the HTTP API. `start` before use, `stop` at the end, both on one event loop."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options = options or SandboxOptions()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if options.state_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="amc-sandbox-")
        root = options.state_dir or Path(self._temporary.name if self._temporary else "")
        self.results = root / "results"
        self.results.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(root / "journal.jsonl" if options.state_dir else None)
        self.signer = Signer(options.state_dir)
        self.tokens = Tokens(options.token_seconds)
        self.faults = FaultPlan(options.faults, options.seed)
        self.clock = SandboxClock(options.clock_url, options.today)
        self.engine = Engine(options, self.results, self.clock.today)
        self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="amc-sandbox")
        self._started = False
        self._following: asyncio.Task[None] | None = None
        self._forget()

    def _forget(self) -> None:
        rate = self.options.requests_per_second
        self.bucket = TokenBucket(rate, self.options.burst or rate)
        self.stats = Stats()
        self.workflows: dict[tuple[str, str], SavedWorkflow] = {}
        self.executions: dict[str, Execution] = {}
        self._attempts: Counter[tuple[str, ...]] = Counter()
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Loads tables and state; executions that had not ended run again, under their ids.

        Raises BadTable.
        """
        if self._started:
            return
        self._started = True
        self._following = asyncio.create_task(self.clock.run())
        await asyncio.to_thread(self.engine.open)
        for record in self._journal.open():
            if record["kind"] == "workflow":
                workflow = msgspec.convert(record["workflow"], SavedWorkflow)
                self.workflows[workflow.instance_id, workflow.workflow_id] = workflow
            elif record["kind"] == "workflow_deleted":
                self.workflows.pop((str(record["instance_id"]), str(record["workflow_id"])), None)
            else:
                execution = msgspec.convert(record["execution"], Execution)
                self.executions[execution.execution_id] = execution
        for execution in self.executions.values():
            self._attempts[execution.identity()] += 1
            if execution.active:
                execution.status = "PENDING"
                self._begin(execution)

    async def stop(self) -> None:
        """Stops what runs and closes files; with a `state_dir` another sandbox may go on from here."""
        if self._following is not None:
            self._following.cancel()
        await self._stop_executions()
        await asyncio.to_thread(self._threads.shutdown)
        self._journal.close()
        self.engine.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    async def reset(self) -> None:
        """As at the first start: no workflow, no execution, no count, the faults of the options."""
        await self._stop_executions()
        self._journal.clear()
        self.faults.set(self.options.faults)
        self._forget()

    def save_workflow(self, workflow: SavedWorkflow) -> None:
        """Creates or replaces a workflow."""
        self.workflows[workflow.instance_id, workflow.workflow_id] = workflow
        self._journal.append({"kind": "workflow", "workflow": workflow})

    def delete_workflow(self, workflow: SavedWorkflow) -> None:
        """Removes a workflow; its executions stay."""
        del self.workflows[workflow.instance_id, workflow.workflow_id]
        self._journal.append(
            {
                "kind": "workflow_deleted",
                "instance_id": workflow.instance_id,
                "workflow_id": workflow.workflow_id,
            }
        )

    async def create_execution(self, workflow: SavedWorkflow, order: Order) -> Execution:
        """Starts an execution. Raises Refused only where compile errors are set to show at create."""
        now = datetime.now(UTC).replace(microsecond=0)
        execution = Execution(
            execution_id=str(uuid.uuid4()),
            sequence=0,
            instance_id=workflow.instance_id,
            workflow_id=workflow.workflow_id,
            sql=workflow.sql,
            declared=declared_of(workflow.body),
            values=order.values,
            window=order.window,
            attempt=0,
            timeout_seconds=order.timeout_seconds,
            dry_run=order.dry_run,
            created=now,
            updated=now,
        )
        if self.faults.faults.compile_errors_at_create:
            loop = asyncio.get_running_loop()
            wrong = await loop.run_in_executor(self._threads, self.engine.compile_error, execution)
            if wrong:
                raise Refused(400, wrong)
        # No await from here on: numbers and attempts are given in one step.
        execution.sequence = len(self.executions) + 1
        self._attempts[execution.identity()] += 1
        execution.attempt = self._attempts[execution.identity()]
        self._plan_fault(execution)
        self.executions[execution.execution_id] = execution
        self._record(execution)
        self._begin(execution)
        return execution

    def cancel(self, execution: Execution) -> bool:
        """Whether it was still active and is CANCELLED now."""
        if not execution.active:
            return False
        task = self._tasks.pop(execution.execution_id, None)
        if task is not None:
            task.cancel()
        self.engine.interrupt(execution.execution_id)
        self._end(execution, "CANCELLED")
        return True

    def _plan_fault(self, execution: Execution) -> None:
        faults = self.faults.faults
        if self.faults.rejects(execution.sql):
            execution.fault = "reject"
            execution.fault_status, execution.fault_reason = "REJECTED", faults.reject_reason
        elif self.faults.fails(execution.workflow_id, execution.window.start_original, execution.attempt):
            execution.fault = "fail"
            execution.fault_status, execution.fault_reason = faults.fail_status, faults.fail_reason

    def _begin(self, execution: Execution) -> None:
        self.stats.began(execution)
        task = asyncio.create_task(self._live(execution))
        self._tasks[execution.execution_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(execution.execution_id, None))

    async def _live(self, execution: Execution) -> None:
        await asyncio.sleep(self.options.pending_seconds)
        slots = self._slots.setdefault(execution.instance_id, asyncio.Semaphore(self.options.max_concurrent))
        async with slots:
            execution.status = "RUNNING"
            execution.updated = datetime.now(UTC).replace(microsecond=0)
            began = time.monotonic()
            await asyncio.sleep(self.options.running_seconds)
            if execution.fault:
                self._end(execution, execution.fault_status, execution.fault_reason)
                return
            outcome = await self._compute(execution)
            execution.seconds = time.monotonic() - began
            execution.columns, execution.files = outcome.columns, outcome.files
            self._end(execution, outcome.status, outcome.reason)

    async def _compute(self, execution: Execution) -> Outcome:
        loop = asyncio.get_running_loop()
        computing = loop.run_in_executor(self._threads, self.engine.run, execution)
        done, _ = await asyncio.wait({computing}, timeout=execution.timeout_seconds)
        if not done:
            self.engine.interrupt(execution.execution_id)
        try:
            outcome = await computing
            wrong = self.faults.faults.wrong_parts
            if outcome.files and wrong != "none":
                await loop.run_in_executor(self._threads, results.spoil, self.results / outcome.files[-1], wrong)
            return outcome
        except OSError as error:
            return Outcome(status="FAILED", reason=f"The result could not be written: {error.strerror}")

    def _end(self, execution: Execution, status: str, reason: str = "") -> None:
        if not execution.active:
            return
        execution.status, execution.reason = status, reason
        execution.updated = datetime.now(UTC).replace(microsecond=0)
        self.stats.ended(execution)
        self._record(execution)

    def _record(self, execution: Execution) -> None:
        self._journal.append({"kind": "execution", "execution": execution})

    async def _stop_executions(self) -> None:
        tasks = dict(self._tasks)
        for execution_id, task in tasks.items():
            task.cancel()
            self.engine.interrupt(execution_id)
        await asyncio.gather(*tasks.values(), return_exceptions=True)
