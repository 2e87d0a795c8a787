"""A simulated arm behind the interface of a real one: physics, control law, safety limits and tracker."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from robot_rl.control.impedance import ImpedanceLaw
from robot_rl.control.safety import SafetySupervisor
from robot_rl.control.trajectory import CartesianTrajectory
from robot_rl.core.clock import ManualClock, nanoseconds
from robot_rl.core.errors import ConfigError, RobotFaultError, nearest
from robot_rl.core.protocols import Plant
from robot_rl.core.types import ArmCommand, ArmState, Episode, Pose
from sim.arm import kinematics
from sim.arm.model import MAX_WIDTH
from sim.arm.mujoco_plant import MujocoPlant
from sim.arm.pybullet_plant import PybulletPlant
from sim.arm.scene import draw_scene, home
from sim.arm.settings import ArmSimConfig
from sim.arm.tracker import SimulatedTracker

Backend = Literal["mujoco", "pybullet"]


def make_plant(config: ArmSimConfig, backend: str) -> Plant:
    """The physics of one engine."""
    if backend == "mujoco":
        return MujocoPlant(config.physics, config.scene)
    if backend == "pybullet":
        return PybulletPlant(config.physics, config.scene)
    raise ConfigError(f"unknown backend {backend!r}: {nearest(backend, ('mujoco', 'pybullet'))}")


class SimulatedArm:
    """Implements `Robot` and `GroundTruth` of `robot_rl.core.protocols` on simulated time.

    `step` is `command`, `advance` by one control period, and `state`. Time goes on over resets; all else of
    an episode depends on its seed alone, bit by bit, as long as resets teleport.
    """

    def __init__(self, config: ArmSimConfig = ArmSimConfig(), backend: Backend = "mujoco") -> None:  # noqa: B008
        self.config = config
        self.plant = make_plant(config, backend)
        self.clock = ManualClock()
        self.safety = SafetySupervisor(config.limits)
        self.tracker = SimulatedTracker(config.tracker, self.plant.objects)
        self._tick = nanoseconds(config.physics.timestep * config.physics.law_steps)
        self._law = ImpedanceLaw(config.gains, config.physics.timestep * config.physics.law_steps)
        # Whole periods, and so long that the tracker's first measurements show the new scene.
        view = config.tracker.latency + 1.0 / config.tracker.rate
        self._reset_pause = config.control_period * math.ceil(view / config.control_period)
        self._home = home(config.scene)
        self._close_gripper = False
        # Open and closed; fingers that hold the peg stay where they are.
        held = config.scene.peg_side
        self._widths = (held, held) if config.scene.kind == "peg" else (MAX_WIDTH, 0.0)
        self._teleport(kinematics.inverse(self._home), {})

    def reset(self, episode: Episode) -> ArmState:
        """Bring arm and scene to the start that the episode's seed draws, gripper open.

        Raises:
            RobotFaultError: A fault holds the arm.
        """
        self._raise_fault()
        scene = draw_scene(self.config.scene, episode.seed)
        if self.config.reset_motion == "teleport":
            self._teleport(kinematics.inverse(scene.tcp), scene.objects)
        else:
            self._close_gripper = False
            self._move_to(scene.tcp)
            self.plant.place(scene.objects)
            self.advance(self._reset_pause)
        self.tracker.reset(episode.seed, self.clock.now())
        return self.state()

    def step(self, command: ArmCommand) -> ArmState:
        """Execute one control period and return the state at its end.

        Raises:
            RobotFaultError: A fault holds the arm, or came up in this period.
        """
        self._raise_fault()
        self.command(command)
        self.advance(self.config.control_period)
        self._raise_fault()
        return self.state()

    def command(self, command: ArmCommand) -> bool:
        """Hand a command to the safety limits; return whether it is in force."""
        accepted = self.safety.accept(command, self.clock.now())
        if accepted:
            self._close_gripper = command.close_gripper
        return accepted

    def advance(self, seconds: float) -> None:
        """Let simulated time pass: whole ticks of the control law, at least one."""
        plant, safety, law, tracker = self.plant, self.safety, self._law, self.tracker
        width = self._widths[self._close_gripper]
        steps, tick = self.config.physics.law_steps, self._tick
        now = self.clock.now()
        memory = self._memory
        for _ in range(max(round(nanoseconds(seconds) / tick), 1)):
            arm = plant.read()
            safety.monitor(arm, now, now)
            if safety.holds != self._seen_holds:
                self._seen_holds = safety.holds
                memory = law.start(arm, memory.torque)
            if safety.sensing:
                torque, memory = law(memory, arm, safety.target)
            else:
                torque = np.zeros(7)
            plant.apply(torque, width)
            plant.advance(steps)
            now += tick
            tracker.observe(now)
        self._memory = memory
        self.clock.advance_to(now)

    def state(self) -> ArmState:
        """All that the arm reports now."""
        arm = self.plant.read()
        return ArmState(
            stamp=self.clock.now(),
            q=arm.q.copy(),
            dq=arm.dq.copy(),
            tcp=Pose(arm.position.copy(), arm.quaternion.copy()),
            twist=arm.jacobian @ arm.dq,
            wrench=arm.wrench.copy(),
            gripper_width=arm.gripper_width,
            gripper_closed=self._close_gripper,
            target=self.safety.target,
            fault=self.safety.fault,
            peak_force=self.safety.peak_force,
            holding=self.safety.holding,
            limited=", ".join(self.safety.reasons),
        )

    def truth(self) -> Mapping[str, Pose]:
        """True poses of the objects now."""
        return self.plant.objects()

    def move_home(self) -> ArmState:
        """Move to the home pose through law and limits, gripper as it is."""
        self._raise_fault()
        self._move_to(self._home)
        return self.state()

    def clear_fault(self) -> None:
        """Give control back after a fault, holding the present pose.

        Raises:
            RobotFaultError: The cause is still there.
        """
        self.safety.clear_fault(self.plant.read(), self.clock.now(), self.clock.now())

    def recover(self) -> None:
        """What a person does after a fault: guide the arm home by hand, then clear the fault.

        Raises:
            RobotFaultError: The arm has no permit to move; the fault stays.
        """
        self.safety.check_permitted()
        self._teleport(kinematics.inverse(self._home), {})
        self.clear_fault()

    def close(self) -> None:
        """Release the physics."""
        self.plant.close()

    def _raise_fault(self) -> None:
        if self.safety.fault:
            raise RobotFaultError(self.safety.fault)

    def _teleport(self, q: np.ndarray, objects: Mapping[str, Pose]) -> None:
        self.clock.advance_to(self.clock.now() + nanoseconds(self._reset_pause))
        self.plant.reset(q, self._widths[0], objects)
        self._close_gripper = False
        arm = self.plant.read()
        self._memory = self._law.start(arm)
        self.safety.reset(arm, self.clock.now(), self.clock.now())
        self._seen_holds = self.safety.holds

    def _move_to(self, goal: Pose) -> None:
        """Go up to the height of home, over, and to the goal; then wait until the arm rests there."""
        arm = self.plant.read()
        start = Pose(arm.position.copy(), arm.quaternion.copy())
        top = max(float(start.position[2]), float(self._home.position[2]))
        above_start = Pose(np.array([*start.position[:2], top]), start.quaternion)
        above_goal = Pose(np.array([*goal.position[:2], top]), goal.quaternion)
        for a, b in ((start, above_start), (above_start, above_goal), (above_goal, goal)):
            self._follow(CartesianTrajectory.within(a, b, self.config.reset_speed, angular_speed=1.0))
        for _ in range(50):
            self._hold_command(goal)
            arm = self.plant.read()
            if np.linalg.norm(arm.position - goal.position) < 0.005 and np.abs(arm.dq).max() < 0.02:
                return
        self.safety.e_stop("a reset did not reach its goal: something is in the way")
        self._raise_fault()

    def _follow(self, trajectory: CartesianTrajectory) -> None:
        start = self.clock.now()
        end = start + nanoseconds(trajectory.duration)
        while self.clock.now() < end:
            self._hold_command(trajectory.at((self.clock.now() - start) * 1e-9))

    def _hold_command(self, target: Pose) -> None:
        self.command(ArmCommand(self.clock.now(), target, self._close_gripper))
        self.advance(0.02)
        self._raise_fault()
