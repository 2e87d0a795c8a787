"""The robot's process: driver, impedance controller, safety supervisor and, for a simulator, the plant.

In lockstep the arm stands still until it has the command for its present tick, executes one control period,
publishes its state, and ends with the tick's manifest. While nothing comes it publishes the same tick again,
so that a peer that was restarted finds its inputs. On the real clock physics and law run in this loop, not on
an rclpy timer, and commands take effect as they come; without one, the safety limits hold the arm. They do so
too without a fresh permit of the safety process.

Run as `python -m robot_rl.nodes.arm_process --ros-args -p task:=franka_pick_cube`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rclpy.publisher import Publisher

from robot_rl import tasks
from robot_rl.control.safety import EMERGENCY_STOP
from robot_rl.control.watch import NOT_YET, WAITING, ListeningClock, PermitWatch
from robot_rl.core.clock import nanoseconds, seconds
from robot_rl.core.errors import MissingDependencyError, RobotFaultError
from robot_rl.core.types import ArmCommand, ArmState
from robot_rl.nodes import camera_topics
from robot_rl.nodes.arm_nodes import ImpedanceController, PlantNode, RobotDriver, SafetySupervisorNode
from robot_rl.nodes.convert import json_message, nanoseconds_of, state_messages
from robot_rl.nodes.executor import (
    Spinner,
    StopFlag,
    collect_garbage,
    collect_garbage_only_when_told,
    run,
)
from robot_rl.nodes.messages import EpisodeRequest, Permit, Tick
from robot_rl.nodes.params import Parameters

if TYPE_CHECKING:
    from sim.arm.render import Viewer
    from sim.arm.simulated_arm import SimulatedArm


@dataclass(frozen=True)
class ArmProcessSettings:
    """Settings of the robot's process beside the task's own."""

    task: str = "franka_pick_cube"
    """Name of the task."""
    clock: Literal["lockstep", "realtime"] = "lockstep"
    """Whether the arm waits for its commands, or the world goes on."""
    viewer: bool = False
    """Show the simulated arm in a window, where there is a display."""
    publish_rate: float = 50.0
    """States a second on the real clock [Hz]."""
    realtime_step: float = 0.004
    """Simulated time that passes in one go on the real clock, in whole ticks of the law [s]."""
    require_permit: bool = False
    """On the real clock, follow commands only with a fresh permit of the safety process
    (`robot_rl.nodes.safety_process`)."""
    guide_home: bool = False
    """Where the cause of a fault is still there when a person clears it, put the arm home first, as she would
    guide a real one by hand."""
    stall_warning: float = 30.0
    """In lockstep, silence after which a warning names what the arm waits for [s]."""


REPEAT_PERIOD = 0.5
"""In lockstep, a tick that nobody answers is published again after this time [s]."""

LOST_TIME = 0.1
"""On the real clock, a loop that is later than this was stopped or starved, and that time is lost: to race
through it would show the other nodes a world that moves too fast [s]."""


LONGEST_TURN = 0.02
"""On the real clock, what one turn of the loop counts for in the age of a permit at most [s]."""


class ArmProcess:
    """A simulated arm and its four nodes."""

    def __init__(
        self,
        arm: SimulatedArm,
        driver: RobotDriver,
        objects: tuple[str, ...],
        awaited: Iterable[str] = (),
        require_permit: bool = False,
        guide_home: bool = False,
    ) -> None:
        """Put the nodes around an arm.

        Args:
            arm: Simulated.
            driver: Its first node, which exists already.
            objects: Tracked objects.
            awaited: Topics of other processes that every tick waits for.
            require_permit: Let the arm follow commands only with a permit.
            guide_home: Put the arm home where its fault cannot be cleared.
        """
        self.arm = arm
        self._awaited = tuple(awaited)
        self.driver = driver
        self.controller = ImpedanceController()
        self._clock = ListeningClock(LONGEST_TURN)
        self._permits = PermitWatch() if require_permit else None
        hear = self._hear_permit if require_permit else None
        self._guide_home = guide_home
        self.safety = SafetySupervisorNode(arm.safety.e_stop, self._clear_fault, hear)
        self.plant = PlantNode(objects, self._recover)
        self.nodes = (self.driver, self.controller, self.safety, self.plant)
        self._publishers = self.driver.state | self.controller.state | self.safety.state
        self._request = EpisodeRequest("", 0, 0, "eval")
        self._answers = -1
        self._sent: list[tuple[Publisher, Any]] = []
        self.viewer: Viewer | None = None

    def open_viewer(self) -> None:
        """Show the arm in a window; without a display, say so and go on."""
        from sim.arm.render import Viewer

        try:
            self.viewer = Viewer(self.arm)
        except MissingDependencyError as error:
            self.driver.get_logger().info(str(error))

    def close(self) -> None:
        """Close the window and release the physics."""
        if self.viewer is not None:
            self.viewer.close()
        self.arm.close()

    def _clear_fault(self) -> None:
        try:
            self.arm.clear_fault()
        except RobotFaultError:
            if not self._guide_home:
                raise
            self.arm.recover()

    def _recover(self) -> None:
        if self.arm.safety.fault.startswith(EMERGENCY_STOP):
            raise RobotFaultError(self.arm.safety.fault)
        self.arm.recover()

    def _hear_permit(self, permit: Permit) -> None:
        assert self._permits is not None
        self._permits.hear(permit.allowed, permit.reason, self._clock.now)

    def check_permit(self) -> None:
        """Hold the arm, or let it go again, as the permit says; call it at every turn of the loop."""
        if self._permits is None:
            return
        safety = self.arm.safety
        reason, is_fault = self._permits.verdict(self._clock.turn())
        if bool(reason) != bool(safety.inhibited):
            log = self.driver.get_logger()
            if not reason:
                log.info("the arm has its permit to move")
            elif reason == WAITING or reason.endswith(NOT_YET):
                log.info(f"the arm holds: {reason}")
            else:
                log.warning(f"the arm holds: {reason}")
        safety.inhibit(reason)
        if is_fault:
            safety.e_stop(reason)

    def publish(self, state: ArmState) -> None:
        """Publish everything about the present instant, the manifest last."""
        safety = self.arm.safety
        reported = state_messages(state, safety.inhibited, safety.denials)
        rows = [(topic, self._publishers[topic], m) for topic, m in reported.items()]
        inputs = {topic: state.stamp for topic, _, _ in rows}
        for topic, publisher, message in self.plant.messages(
            state.stamp, self.arm.tracker.read(), self.arm.truth()
        ):
            rows.append((topic, publisher, message))
            if topic != "/clock":
                inputs[topic] = nanoseconds_of(message.header.stamp)
        inputs |= dict.fromkeys(self._awaited, state.stamp)
        request = self._request
        tick = Tick(
            state.stamp, self._answers, request.request, request.index, request.seed, request.mode, inputs
        )
        self._sent = [(publisher, message) for _, publisher, message in rows]
        self._sent.append((self.driver.tick, json_message(tick)))
        self.publish_again()
        if self.viewer is not None:
            self.viewer.show()

    def publish_again(self) -> None:
        """Publish the last tick once more, for a peer that has missed it."""
        for publisher, message in self._sent:
            publisher.publish(message)

    def services_called(self) -> bool:
        """Whether a service has changed the arm since this was last asked."""
        changed = self.safety.changed or self.plant.changed
        self.safety.changed = self.plant.changed = False
        return changed

    def take_request(self) -> bool:
        """Reset when a new request has come; True when there was one.

        It waits for a permit, but not under a fault: then its tick tells whoever asked.
        """
        request, safety = self.driver.request, self.arm.safety
        if request is None or request.request == self._request.request:
            return False
        if safety.inhibited and not safety.fault:
            return False
        self._request, self._answers = request, -1
        try:
            self.arm.reset(request.episode)
        except RobotFaultError as error:
            self.driver.get_logger().error(str(error))
        return True

    def take_command(self) -> ArmCommand | None:
        """The newest command, once."""
        return self.controller.command(self.driver.gripper)

    def lockstep_work(self) -> bool:
        """Do what is due at the present tick: a reset, a command or a service. True when something was."""
        changed = self.services_called()
        if self.take_request():
            changed = True
        elif (command := self.take_command()) is not None and command.stamp == self.arm.clock.now():
            self._answers = command.stamp
            try:
                self.arm.step(command)
            except RobotFaultError as error:
                self.driver.get_logger().error(str(error), throttle_duration_sec=5.0)
            changed = True
        if changed:
            self.publish(self.arm.state())
        return changed


def run_lockstep(process: ArmProcess, spinner: Spinner, settings: ArmProcessSettings) -> None:
    """Advance tick by tick, for ever."""
    process.publish(process.arm.state())
    last_work = last_sent = time.monotonic()
    warned = False
    while True:
        spinner.spin_once()
        now = time.monotonic()
        if process.lockstep_work():
            last_work = last_sent = now
            warned = False
        elif now - last_sent > REPEAT_PERIOD:
            process.publish_again()
            last_sent = now
            if now - last_work > settings.stall_warning and not warned:
                warned = True
                process.driver.get_logger().warning(
                    "no arm/target_pose and gripper/command from the actor for "
                    f"{settings.stall_warning:g} s; the arm waits"
                )


def run_realtime(process: ArmProcess, spinner: Spinner, settings: ArmProcessSettings) -> None:
    """Let the world go on at the speed of the wall clock, for ever."""
    arm = process.arm
    publish_period = nanoseconds(1.0 / settings.publish_rate)
    collect_garbage_only_when_told()
    deadline = time.monotonic()
    publish_at = arm.clock.now()
    safety = arm.safety
    shown = (safety.fault, bool(safety.inhibited), safety.holding)
    while True:
        spinner.spin_once(0.0)  # a loop that is behind still hears a stop
        spinner.spin_until(deadline)
        late = time.monotonic() - deadline
        if late > LOST_TIME:
            process.driver.get_logger().warning(f"the arm's loop was late by {late:.2f} s")
            deadline += late
        changed = process.services_called()
        process.check_permit()
        if process.take_request():
            changed = True
            collect_garbage()
        command = process.take_command()
        if command is not None:
            arm.command(command)
        before = arm.clock.now()
        arm.advance(settings.realtime_step)
        now = arm.clock.now()
        deadline += seconds(now - before)
        said, shown = shown, (safety.fault, bool(safety.inhibited), safety.holding)
        if changed or said != shown or now >= publish_at:
            publish_at = now + publish_period
            process.publish(arm.state())


def body(stop: StopFlag) -> None:
    """Make the arm and its nodes, and run them until the process is asked to end."""
    driver = RobotDriver()
    parameters = Parameters(driver)
    settings = parameters.read(ArmProcessSettings())
    config = parameters.read(tasks.load(settings.task))
    parameters.check_all_known()
    # On the real clock cameras have a rhythm of their own.
    awaits = camera_topics.awaited(config) if settings.clock == "lockstep" else ()
    live = settings.clock == "realtime"
    process = ArmProcess(
        config.make_arm(),
        driver,
        config.objects,
        awaits,
        require_permit=live and settings.require_permit,
        guide_home=settings.guide_home,
    )
    spinner = Spinner(stop, *process.nodes)
    try:
        if settings.viewer:
            process.open_viewer()
        loop = run_realtime if live else run_lockstep
        loop(process, spinner, settings)
    finally:
        spinner.close()
        process.close()


def main() -> int:
    """Entry point."""
    return run("robot", body)


if __name__ == "__main__":
    sys.exit(main())
