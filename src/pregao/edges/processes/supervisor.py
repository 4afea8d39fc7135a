"""
The supervisor: owns PostgreSQL, the listening sockets and the role processes, and does nothing else.

Start order: state lock, sockets, PostgreSQL, migrations, roles. Stop order: the reverse. It imports the standard
library only; the roles are processes of their own, so their faults and their memory are not its.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pregao import rehearsal
from pregao.edges.processes.child import BACKOFF_SECONDS, Child, Process, die_with_parent, start_process
from pregao.edges.processes.lines import JsonLines
from pregao.edges.processes.nursery import Nursery, is_possible
from pregao.edges.processes.postgres import STOP_SIGNALS, EmbeddedPostgres
from pregao.edges.processes.sockets import LISTEN_FD, listen, listen_near
from pregao.edges.processes.state import StartError, is_wanted, lock_state, write_processes

MIGRATION_TEXT_MAX = 4000  # characters that are kept of what the migrations said: the end of a traceback
DEMAND_SECONDS = 0.25  # somebody may wait for the answer of a role that has to start
NURSERY = "nursery"
NICER = 10  # what computes for people lets whatever trades go first
MODULE = "pregao.edges.processes.supervisor"


@dataclass(frozen=True)
class Role:
    """
    A process to keep: its name, its command, and the socket it serves (`web`, `paper` or none).

    One that is ``born`` as a role of the nursery is forked there, where there is one. One that is ``on_demand`` runs only while `edges/processes/state.py` says that it is wanted; one that is ``nicer`` lets
    the others go first.
    """

    name: str
    command: list[str]
    socket: str | None = None
    born: str | None = None
    on_demand: bool = False
    nicer: int = 0


def own_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pregao", *arguments]


def born_role(name: str, role: str | None = None, *, socket: str | None = None) -> Role:
    """Give a role that always runs, under a name of its own where it is one of several."""
    role = role or name
    return Role(name, own_command("serve", role), socket=socket, born=role)


def desk_roles() -> list[Role]:
    """Give the roles of the desk in the order they start."""
    return [
        born_role("paper", socket="paper"),
        born_role("trader"),
        born_role("jobs"),
        born_role("monitor"),
        Role("analyzer", own_command("serve", "analyzer"), on_demand=True),
        Role("models", own_command("serve", "models"), on_demand=True),
        Role("lab", own_command("serve", "lab"), on_demand=True, nicer=NICER),
        born_role("web", socket="web"),
    ]


@dataclass(frozen=True)
class Plan:
    """What to start; made from the settings by `pregao up`."""

    state_dir: str
    server_host: str
    server_port: int
    database_url: str = ""  # empty: the embedded one
    database_password: str = field(default="", repr=False)
    paper_port: int = 0
    paper_port_preferred: int = 8001
    paper_url: str = ""  # set: somebody else's, ours is not started
    roles: list[Role] = field(default_factory=desk_roles)
    migration: list[str] = field(default_factory=lambda: own_command("db", "migrate"))
    backoff_seconds: list[float] = field(default_factory=lambda: list(BACKOFF_SECONDS))
    stop_seconds: float = 10.0  # a role's grace between SIGTERM and the kill
    durable: bool = True

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        page = json.loads(text)
        return cls(**{**page, "roles": [Role(**role) for role in page["roles"]]})


def become_supervisor(plan: Plan) -> None:
    """Replace this process by the supervisor; the plan travels through a pipe, because it holds a password."""
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    with os.fdopen(writing, "w") as file:
        file.write(plan.to_json())
    os.execv(sys.executable, [sys.executable, "-m", MODULE, str(reading)])


async def up(plan: Plan) -> None:
    """
    Start the desk and keep it running until SIGTERM or SIGINT.

    :raises StartError: naming what to change, when a stage of the start fails.
    """
    state_dir = Path(plan.state_dir)
    with lock_state(state_dir):
        await _Desk(plan, state_dir).run()


class _Desk:
    def __init__(self, plan: Plan, state_dir: Path) -> None:
        self._plan = plan
        self._state_dir = state_dir
        self._stage = "sockets"
        self._children: list[Child] = []
        self._on_demand: dict[str, Child] = {}
        self._sockets: dict[str, socket.socket] = {}
        self._nursery = Nursery(roles=self._born_roles())
        self._environment = {**os.environ, "PREGAO_STATE_DIR": plan.state_dir}
        self._log = self._open_log("supervisor")
        self._postgres_log = self._open_log("postgres")

    def _born_roles(self) -> set[str]:
        """Give the roles that are forked."""
        return {role.born for role in self._plan.roles if role.born and not self._is_elsewhere(role)}

    def _is_elsewhere(self, role: Role) -> bool:
        return role.socket == "paper" and bool(self._plan.paper_url)

    async def run(self) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            starting = asyncio.create_task(self._start())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
            await self._follow_demand(stopping)
        except StartError as error:
            self._log.say("supervisor.start.failed", level="error", stage=self._stage, reason=str(error))
            self._changed()
            raise
        finally:
            await self._stop()

    async def _start(self) -> None:
        plan = self._plan
        self._open_sockets()
        await self._open_nursery()
        self._enter("database")
        if plan.database_url:
            self._environment["DATABASE_URL"] = plan.database_url
        else:
            await self._start_postgres()
        self._enter("migrations")
        await self._migrate()
        self._enter("roles")
        for role in plan.roles:
            if not (role.on_demand or self._is_elsewhere(role)):
                await self._start_role(role)
        self._enter("running")

    async def _follow_demand(self, stopping: asyncio.Task[Any]) -> None:
        """Start and stop the roles that are not always there as they are wanted, until the desk is to stop."""
        while not stopping.done():
            for role in self._plan.roles:
                if role.on_demand and is_wanted(self._state_dir, role.name) != (role.name in self._on_demand):
                    await self._turn(role)
            await asyncio.wait([stopping], timeout=DEMAND_SECONDS)

    async def _turn(self, role: Role) -> None:
        child = self._on_demand.pop(role.name, None)
        if child is not None:
            await child.stop()
            self._children.remove(child)
            self._changed()
            return
        try:
            await self._start_role(role)
        except OSError as error:
            self._log.say("supervisor.role.start_failed", role=role.name, reason=str(error))
            self._children.pop()
        else:
            self._on_demand[role.name] = self._children[-1]

    async def _stop(self) -> None:
        failed = self._stage != "running"
        self._stage = f"{self._stage} failed" if failed else "stopping"
        self._changed()
        while self._children:
            child = self._children[-1]
            await child.stop()
            self._children.pop()
            if child.role == NURSERY:
                self._nursery.close()
            if opened := self._sockets.pop(child.role, None):
                opened.close()
        for opened in self._sockets.values():
            opened.close()
        if not failed:
            self._stage = "stopped"
        self._log.say("supervisor.stopped")
        self._changed()
        self._log.close()
        self._postgres_log.close()

    def _open_sockets(self) -> None:
        plan = self._plan
        self._sockets["web"] = listen(plan.server_host, plan.server_port, setting="SERVER_PORT")
        if plan.paper_url:
            self._environment["PREGAO_PAPER_URL"] = plan.paper_url
            return
        if plan.paper_port:
            paper = listen("127.0.0.1", plan.paper_port, setting="PREGAO_PAPER_PORT")
        else:
            remembered = self._state_dir / "paper.port"
            paper = listen_near(
                "127.0.0.1", plan.paper_port_preferred, remembered_in=remembered, setting="PREGAO_PAPER_PORT"
            )
        self._sockets["paper"] = paper
        self._environment["PREGAO_PAPER_URL"] = f"http://127.0.0.1:{paper.getsockname()[1]}"

    async def _start_postgres(self) -> None:
        plan = self._plan
        postgres = EmbeddedPostgres(
            self._state_dir, plan.database_password, say=self._log.say, durable=plan.durable
        )
        postgres.prepare()
        child = self._child("postgres", postgres.start, log=self._postgres_log, stop_signals=STOP_SIGNALS)
        await child.start()
        self._environment["DATABASE_URL"] = postgres.url

    async def _migrate(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._plan.migration,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.terminate()
        text = said.decode(errors="replace").strip()
        self._log.say(
            "supervisor.migrations.ended", exit_code=process.returncode, said=text[-MIGRATION_TEXT_MAX:]
        )
        if process.returncode:
            raise StartError(
                f"MIGRATION_FAILED: exit_code={process.returncode}. The log supervisor.log says why."
            )

    async def _open_nursery(self) -> None:
        """Have what the roles need loaded while PostgreSQL starts."""
        if self._born_roles() and is_possible():
            start = partial(self._nursery.open, environment=dict(os.environ))
            await self._child(NURSERY, start, log=self._log, stop_signals=((signal.SIGTERM, 1.0),)).start()

    async def _start_role(self, role: Role) -> None:
        async def start(output: int) -> Process:
            environment = dict(self._environment)
            descriptors: tuple[int, ...] = ()
            if role.socket:
                descriptors = (self._sockets[role.socket].fileno(),)
                environment[LISTEN_FD] = str(descriptors[0])
            if role.born is not None:
                listening = descriptors[0] if descriptors else None
                newborn = await self._nursery.bear(
                    role.born, output=output, environment=environment, listening=listening
                )
                if newborn is not None:
                    return newborn
            return await start_process(
                role.command,
                output=output,
                environment=environment,
                death_signal=signal.SIGTERM,
                nicer=role.nicer,
                pass_fds=descriptors,
            )

        stop_signals = ((signal.SIGTERM, self._plan.stop_seconds),)
        await self._child(role.name, start, log=self._log, stop_signals=stop_signals).start()

    def _child(self, role: str, start: Callable[[int], Any], *, log: JsonLines, stop_signals: Any) -> Child:
        child = Child(
            role,
            start,
            say=self._log.say,
            line_said=lambda line: log.say("process.said", process=role, line=line),
            changed=self._changed,
            backoff_seconds=self._plan.backoff_seconds,
            stop_signals=stop_signals,
        )
        self._children.append(child)
        return child

    def _enter(self, stage: str) -> None:
        self._stage = stage
        self._log.say("supervisor.start.stage", stage=stage)
        self._changed()

    def _changed(self) -> None:
        write_processes(
            self._state_dir,
            stage=self._stage,
            host=self._plan.server_host,
            port=self._plan.server_port,
            processes=[child.described() for child in self._children],
        )

    def _open_log(self, role: str) -> JsonLines:
        return JsonLines(self._state_dir / "logs" / f"{role}.log", role=role)


def main() -> int:
    with os.fdopen(int(sys.argv[1])) as file:
        plan = Plan.from_json(file.read())
    os.umask(0o077)  # what the desk writes is for its user alone
    try:
        rehearsal.begin(Path(plan.state_dir))
        asyncio.run(up(plan))
    except (StartError, rehearsal.RehearsalRefusedError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # the log may not be open yet
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
