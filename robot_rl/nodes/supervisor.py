"""Starts the processes of a node table, watches them, and leaves nothing behind.

Every process gets a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone, which
then ends them in order. A process that crashes is started again where the table allows it; one that ends with
a message for the user ends the graph. On Linux a process also dies with its supervisor, however that ended.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from robot_rl.core.errors import RobotRlError
from robot_rl.data.run_directory import check_vacant, write_json
from robot_rl.nodes.domain import reserved_domain
from robot_rl.nodes.exit_status import SUPERVISOR_VARIABLE, USER_ERROR
from robot_rl.nodes.run import GRAPH, prepare
from robot_rl.nodes.table import LOCAL, GraphOptions, NodeEntry, command, node_table
from robot_rl.tasks.arm import ArmTaskConfig

POLL = 0.05
"""Time between two looks at the processes [s]."""

PATIENCE = 12.0
"""A process that has not ended this long after SIGTERM is killed [s]: a quadrotor lands before."""

MOST_CRASHES = 5
"""A process that crashed this often within `CRASH_WINDOW` is not started again."""

CRASH_WINDOW = 120.0
"""[s]."""

DEFAULT_ENVIRONMENT = {
    # One thread a process: the graph has more processes than a small machine has cores.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # The log files shall have every line at once.
    "PYTHONUNBUFFERED": "1",
}
"""Set for the processes unless the user has set them."""

TRANSPORT = (
    "ROS_DOMAIN_ID",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_STATIC_PEERS",
    "RMW_",
    "FASTDDS_",
    "CYCLONEDDS_",
)
"""Beginnings of the names of variables that two processes must share to hear each other."""

OnLine = Callable[[str, str], None]
"""Called with a process's name and a line of its output."""


class GraphError(RobotRlError):
    """A process of the graph ended before its work was done."""


@dataclass
class Process:
    """A running entry of the table."""

    entry: NodeEntry
    popen: subprocess.Popen[bytes]
    log: Path
    read: int
    """How much of the log has been shown [bytes]."""
    crashes: list[float]
    """Times of its crashes, steady [s]."""


class Supervisor:
    """Runs a node table to its end."""

    def __init__(
        self,
        table: Sequence[NodeEntry],
        logs: Path,
        config: Path | None = None,
        environment: Mapping[str, str] | None = None,
        on_line: OnLine | None = None,
    ) -> None:
        """Prepare a graph; `run` starts it.

        Args:
            table: The processes; those of other hosts are left out.
            logs: Folder for the output of each.
            config: ROS parameter file for all of them.
            environment: Variables on top of this process's.
            on_line: Sees the output as it comes.
        """
        self.table = [entry for entry in table if entry.host == LOCAL]
        self.logs = logs
        self.config = config
        given = os.environ | dict(environment or {})
        transport = transport_environment(all(entry.host == LOCAL for entry in table), given)
        self.environment = DEFAULT_ENVIRONMENT | transport | given
        self.environment[SUPERVISOR_VARIABLE] = str(os.getpid())
        self.on_line = on_line
        self.processes: dict[str, Process] = {}
        self._signals = 0

    def run(self) -> bool:
        """Start the graph, wait for its end, and stop what is left. For the main thread.

        Returns:
            True when the leading process has done its work, False when a signal asked to stop.

        Raises:
            GraphError: A process failed; the message holds what it said last.
        """
        previous = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.start()
            while not self._signals:
                time.sleep(POLL)
                if self.poll():
                    return True
            return False
        finally:
            self.stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def start(self) -> None:
        """Start the processes; call `stop` whatever happens."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for entry in self.table:
            if not self._signals:
                self.processes[entry.name] = self._start(entry, [])

    def poll(self) -> bool:
        """Show new output and look after processes that have ended; True when the leading one is done.

        Raises:
            GraphError: A process failed for good.
        """
        self._show()
        return self._check()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _start(self, entry: NodeEntry, crashes: list[float]) -> Process:
        log = self.logs / f"{entry.name}.log"
        words = [*priority(entry), *command(entry, self.config)]
        start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            popen = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        prefer_session(popen.pid, entry.nice)
        return Process(entry, popen, log, start, crashes)

    def _check(self) -> bool:
        """Look for processes that have ended; True when the leading one has done its work."""
        for name, process in list(self.processes.items()):
            status = process.popen.poll()
            if status is None:
                continue
            if status == 0 and process.entry.leads:
                return True
            if status in (0, USER_ERROR) or not process.entry.respawn:
                raise GraphError(self._epitaph(process, status))
            now = time.monotonic()
            crashes = [t for t in process.crashes if now - t < CRASH_WINDOW] + [now]
            if len(crashes) > MOST_CRASHES:
                raise GraphError(
                    f"{self._epitaph(process, status)}\nIt crashed {len(crashes)} times in a row."
                )
            self._tell(name, f"{_how(status)}; started again")
            self.processes[name] = self._start(process.entry, crashes)
        return False

    def _epitaph(self, process: Process, status: int) -> str:
        text = process.log.read_bytes().decode(errors="replace").strip()
        last = "\n".join(text.splitlines()[-5:])
        return f"{process.entry.name} {_how(status)}. Its log is {process.log}; it ends with\n{last}"

    def _show(self) -> None:
        """Hand new lines of output on."""
        if self.on_line is None:
            return
        for name, process in self.processes.items():
            with process.log.open("rb") as log:
                log.seek(process.read)
                data = log.read()
            end = data.rfind(b"\n") + 1
            process.read += end
            for line in data[:end].decode(errors="replace").splitlines():
                self.on_line(name, line)

    def _tell(self, name: str, text: str) -> None:
        if self.on_line is not None:
            self.on_line(name, text)

    def stop(self) -> None:
        """Ask all processes to end, those that listen to the others last.

        Those that do not end in time are killed, and all that are left at a second signal.
        """
        asked = self._signals
        for listens in (False, True):
            running = [
                p for p in self.processes.values() if p.entry.listens is listens and p.popen.poll() is None
            ]
            self._end(running, asked)
        self._show()

    def _end(self, running: Sequence[Process], asked: int) -> None:
        for process in running:
            process.popen.terminate()
        deadline = time.monotonic() + PATIENCE
        while any(p.popen.poll() is None for p in running):
            if time.monotonic() > deadline or self._signals > max(asked, 1):
                break
            time.sleep(0.02)
        for process in running:
            if process.popen.poll() is None:
                os.killpg(process.popen.pid, signal.SIGKILL)
                process.popen.wait()


def transport_environment(one_machine: bool, given: Mapping[str, str]) -> dict[str, str]:
    """Variables for a transport that leaves no files in /dev/shm, not even of a process that was killed.

    UDP, and over the loopback alone where the whole graph is on one machine. A user who has chosen a
    transport keeps it.
    """
    chosen = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS", "ROS_AUTOMATIC_DISCOVERY_RANGE")
    if any(name in given for name in chosen):
        return {}
    if one_machine:
        return {"FASTDDS_DEFAULT_PROFILES_FILE": str(Path(__file__).with_name("loopback.xml"))}
    return {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}


def priority(entry: NodeEntry) -> list[str]:
    """What to put before the command of an entry for its place on the CPU, as far as this user may choose it.

    What is nice also keeps off the first CPU: where the kernel cannot be preempted, mapping the memory of a
    learner alone holds a CPU for tens of milliseconds, whatever the priorities are.
    """
    # The limit holds 20 minus the lowest niceness; `ulimit -e` sets it.
    allowed = os.geteuid() == 0 or 20 - resource.getrlimit(resource.RLIMIT_NICE)[0] <= entry.nice
    if entry.nice == 0 or (entry.nice < 0 and not allowed):
        return []
    words = ["nice", "-n", str(entry.nice)]
    cpus = sorted(os.sched_getaffinity(0))
    if entry.nice > 0 and len(cpus) > 1 and shutil.which("taskset"):
        words += ["taskset", "-c", ",".join(map(str, cpus[1:]))]
    return words


def prefer_session(pid: int, nice: int) -> None:
    """Give the session of a process its place on the CPU too, where Linux schedules by sessions.

    With autogroups (sched(7)) the niceness of a process counts only inside its own session, and each process
    of the graph has one of its own. A user who may not do that, or another kernel, goes without.
    """
    if nice:
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal.Signals(-status).name}"


def run_graph(
    options: GraphOptions,
    config: ArmTaskConfig,
    resume: bool = False,
    on_line: OnLine | None = None,
    environment: Mapping[str, str] | None = None,
) -> bool:
    """Start the graph of a task in its run directory and wait for its end.

    Unless the user has set ROS_DOMAIN_ID, it is the first one that no other graph of this machine has.

    Args:
        options: The graph.
        config: The task's settings.
        resume: Go on with the run in `options.out`, with the settings that it was started with.
        on_line: Sees the output of the processes.
        environment: Variables for the processes.

    Returns:
        True when the session is done, False when a signal stopped it.
    """
    out = Path(options.out)
    if not resume:
        check_vacant(out)
    elif not (out / "provenance.json").exists():
        raise RobotRlError(f"{out} holds no run that could be resumed")
    parameters = prepare(options, config)
    with own_domain(environment or {}, on_line) as variables:
        supervisor = Supervisor(node_table(options, config), out / "logs", parameters, variables, on_line)
        with joinable(out / GRAPH, options, supervisor.environment):
            return supervisor.run()


def run_table(table: Sequence[NodeEntry], logs: Path, config: Path | None, on_line: OnLine) -> bool:
    """Start a node table that is no task's and wait for its end; see `Supervisor`.

    Returns:
        True when its leading process is done, False when a signal stopped it.
    """
    with own_domain({}, on_line) as variables:
        return Supervisor(table, logs, config, variables, on_line).run()


@contextlib.contextmanager
def own_domain(environment: Mapping[str, str], on_line: OnLine | None) -> Iterator[dict[str, str]]:
    """Variables for the processes of a graph, with a domain that no other graph of this machine has.

    Args:
        environment: Variables for them already.
        on_line: Is told of a domain other than the first.
    """
    if "ROS_DOMAIN_ID" in os.environ | dict(environment):
        yield dict(environment)
        return
    with reserved_domain() as domain:
        if domain and on_line is not None:
            on_line("supervisor", f"another graph runs here: this one has ROS_DOMAIN_ID={domain}")
        yield dict(environment) | {"ROS_DOMAIN_ID": str(domain)}


@contextlib.contextmanager
def joinable(path: Path, options: GraphOptions, environment: Mapping[str, str]) -> Iterator[None]:
    """Say in a file how to join a graph, as long as it runs.

    The file names the supervisor's process, so that one of a supervisor that was killed is known for old.

    Args:
        path: The file.
        options: The graph.
        environment: Variables of its processes; those that decide who hears whom are written down.
    """
    transport = {n: v for n, v in environment.items() if n.startswith(TRANSPORT)}
    facts = {"task": options.task, "clock": options.clock, "person": options.person}
    write_json(path, {"pid": os.getpid(), **facts, "environment": transport})
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
