"""The arm's physics in PyBullet: a second opinion on what was learned in MuJoCo.

Same model, masses, friction and step; another solver, rigid contacts, and the rotors' inertia as part of the
links, since PyBullet has no rotors. Gravity is compensated as the real arm does it, by a torque from the
model at every control tick. The board's seams may catch a peg that is slid over them under pressure.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.core.errors import MissingDependencyError
from robot_rl.core.types import Pose
from sim.arm.model import ARM_JOINTS, EFFORT, FINGER_JOINTS, TABLE_HALF_SIZE, TCP_LINK, panda_urdf
from sim.arm.peg import board_boxes, peg_box
from sim.arm.settings import PhysicsConfig, SceneConfig

_FINGER_SPEED = 0.6
"""Speed of a finger in free motion [m/s], as the MuJoCo model's actuator gives it."""
_ARM_MASS = 4.0
"""Mass of the arm that a contact of the peg feels, roughly [kg]."""
_ZEROS = [0.0] * 9


def load_pybullet() -> Any:
    """The module `pybullet`, which has no type information, or how to get it.

    Its import prints a line to the C library's standard output. That must stay free for programs that print
    JSON, so the line is sent to standard error.
    """
    if "pybullet" in sys.modules:
        return sys.modules["pybullet"]
    libc = ctypes.CDLL(None)
    sys.stdout.flush()
    libc.fflush(None)
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        return importlib.import_module("pybullet")
    except ImportError as error:
        raise MissingDependencyError(
            "pybullet", "the arm's second simulator", 'pip install "robot-rl[sim]"'
        ) from error
    finally:
        libc.fflush(None)
        os.dup2(stdout, 1)
        os.close(stdout)


class PybulletState:
    """The arm at the instant of `PybulletPlant.read`."""

    def __init__(self) -> None:
        self.q = np.zeros(7)
        self.dq = np.zeros(7)
        self.position = np.zeros(3)
        self.quaternion = np.array([0.0, 0.0, 0.0, 1.0])
        self.jacobian = np.zeros((6, 7))
        self.coriolis = np.zeros(7)
        self.wrench = np.zeros(6)
        self.gripper_width = 0.0


class PybulletPlant:
    """One arm, its table and its objects. See `robot_rl.core.protocols.Plant`."""

    def __init__(self, physics: PhysicsConfig, scene: SceneConfig) -> None:
        self._bullet = load_pybullet()
        self.timestep = physics.timestep
        self._physics, self._scene = physics, scene
        self._client: int = self._bullet.connect(self._bullet.DIRECT)
        self._folder = tempfile.TemporaryDirectory(prefix="robot_rl_")
        self._urdf = Path(self._folder.name) / "panda.urdf"
        peg = peg_box(scene) if scene.kind == "peg" else None
        self._urdf.write_text(panda_urdf(rotors_in_links=True, in_hand=peg))
        self._free: dict[str, Pose] = {}
        self._state = PybulletState()
        self._gravity = np.zeros(7)
        self._torque = [0.0] * 7
        self._robot = self._table = self._cube = self._board = -1
        self._arm: list[int] = []
        self._fingers: list[int] = []
        self._tcp = -1

    def reset(self, q: np.ndarray, gripper_width: float, objects: Mapping[str, Pose]) -> None:
        """Start again at rest in the joint pose `q` (7,) [rad], as if nothing had happened before.

        The world is built anew: a running one keeps contact caches that a reset of its states does not clear,
        and the same seed would give other bits.
        """
        bullet, client = self._bullet, self._client
        bullet.resetSimulation(physicsClientId=client)
        bullet.setGravity(0.0, 0.0, -9.81, physicsClientId=client)
        bullet.setPhysicsEngineParameter(
            fixedTimeStep=self.timestep,
            numSolverIterations=50,
            numSubSteps=0,
            deterministicOverlappingPairs=1,
            physicsClientId=client,
        )
        self._build()
        for joint, angle in zip(self._arm, q.tolist(), strict=True):
            bullet.resetJointState(self._robot, joint, angle, 0.0, physicsClientId=client)
        for joint in self._fingers:
            bullet.resetJointState(self._robot, joint, gripper_width / 2, 0.0, physicsClientId=client)
        self._state.wrench = np.zeros(6)
        self.place(objects)
        self.read()
        self.apply(np.zeros(7), gripper_width)

    def _build(self) -> None:
        bullet, client = self._bullet, self._client
        self._robot = bullet.loadURDF(
            str(self._urdf),
            useFixedBase=True,
            flags=bullet.URDF_USE_INERTIA_FROM_FILE,
            physicsClientId=client,
        )
        joints: dict[str, int] = {}
        links: dict[str, int] = {}
        for i in range(bullet.getNumJoints(self._robot, physicsClientId=client)):
            info = bullet.getJointInfo(self._robot, i, physicsClientId=client)
            joints[info[1].decode()] = i
            links[info[12].decode()] = i
        self._arm = [joints[name] for name in ARM_JOINTS]
        self._fingers = [joints[name] for name in FINGER_JOINTS]
        self._tcp = links[TCP_LINK]
        for link in range(-1, len(joints)):
            damping = 1.0 if link in self._arm else 5.0 if link in self._fingers else 0.0
            self._set_dynamics(self._robot, link, linearDamping=0.0, angularDamping=0.0, jointDamping=damping)
        bullet.setJointMotorControlArray(
            self._robot, self._arm, bullet.VELOCITY_CONTROL, forces=[0.0] * 7, physicsClientId=client
        )
        gear = bullet.createConstraint(
            self._robot,
            self._fingers[0],
            self._robot,
            self._fingers[1],
            jointType=bullet.JOINT_GEAR,
            jointAxis=[1, 0, 0],
            parentFramePosition=[0, 0, 0],
            childFramePosition=[0, 0, 0],
            physicsClientId=client,
        )
        bullet.changeConstraint(gear, gearRatio=-1, erp=0.2, maxForce=100.0, physicsClientId=client)
        self._table = self._add_box(TABLE_HALF_SIZE, 0.0, (0.5, 0.0, -TABLE_HALF_SIZE[2]))
        if self._scene.kind == "cube":
            half = self._scene.cube_side / 2
            self._cube = self._add_box((half, half, half), self._scene.cube_mass, (0.5, 0.0, half))
        if self._scene.kind == "peg":
            self._board = self._add_board()

    def _add_board(self) -> int:
        bullet, client = self._bullet, self._client
        boxes = board_boxes(self._scene)
        shape = bullet.createCollisionShapeArray(
            shapeTypes=[bullet.GEOM_BOX] * len(boxes),
            halfExtents=[box.half_sides for box in boxes],
            collisionFramePositions=[box.centre for box in boxes],
            physicsClientId=client,
        )
        place = (0.5, 0.0, self._scene.board_size[2])
        board = bullet.createMultiBody(0.0, shape, basePosition=place, physicsClientId=client)
        # A critically damped spring, as MuJoCo's contacts are: the stop of a rigid one is a single step's
        # impulse, which the estimate of the wrench misses or counts twice. The engine multiplies the
        # frictions of the two that touch.
        time = self._physics.contact_time
        bullet.changeDynamics(
            board,
            -1,
            lateralFriction=self._scene.peg_friction / self._physics.friction,
            contactStiffness=_ARM_MASS / time**2,
            contactDamping=2.0 * _ARM_MASS / time,
            physicsClientId=client,
        )
        return board

    def _add_box(
        self, half_sides: tuple[float, ...], mass: float, position: tuple[float, float, float]
    ) -> int:
        bullet, client = self._bullet, self._client
        shape = bullet.createCollisionShape(bullet.GEOM_BOX, halfExtents=half_sides, physicsClientId=client)
        body = bullet.createMultiBody(mass, shape, basePosition=position, physicsClientId=client)
        self._set_dynamics(body, -1, linearDamping=0.0, angularDamping=0.0)
        return body

    def _set_dynamics(self, body: int, link: int, **values: float) -> None:
        self._bullet.changeDynamics(
            body,
            link,
            lateralFriction=self._physics.friction,
            spinningFriction=0.005,
            physicsClientId=self._client,
            **values,
        )

    def place(self, objects: Mapping[str, Pose]) -> None:
        """Put objects at rest at these poses; the arm is left alone."""
        self._free = {name: pose for name, pose in objects.items() if name not in ("cube", "hole")}
        cube, hole = objects.get("cube"), objects.get("hole")
        if hole is not None:
            self._bullet.resetBasePositionAndOrientation(
                self._board, hole.position.tolist(), hole.quaternion.tolist(), physicsClientId=self._client
            )
        if cube is not None:
            self._bullet.resetBasePositionAndOrientation(
                self._cube, cube.position.tolist(), cube.quaternion.tolist(), physicsClientId=self._client
            )
            self._bullet.resetBaseVelocity(self._cube, [0, 0, 0], [0, 0, 0], physicsClientId=self._client)

    def read(self) -> PybulletState:
        """The state now."""
        bullet, client, state = self._bullet, self._client, self._state
        joints = bullet.getJointStates(self._robot, self._arm + self._fingers, physicsClientId=client)
        q, dq = [joint[0] for joint in joints], [joint[1] for joint in joints]
        link = bullet.getLinkState(
            self._robot, self._tcp, computeForwardKinematics=True, physicsClientId=client
        )
        linear, angular = bullet.calculateJacobian(
            self._robot, self._tcp, [0.0] * 3, q, _ZEROS, _ZEROS, physicsClientId=client
        )
        gravity = bullet.calculateInverseDynamics(self._robot, q, _ZEROS, _ZEROS, physicsClientId=client)
        bias = bullet.calculateInverseDynamics(self._robot, q, dq, _ZEROS, physicsClientId=client)
        state.q[:], state.dq[:] = q[:7], dq[:7]
        state.position[:], state.quaternion[:] = link[4], link[5]
        state.jacobian[:3] = np.array(linear)[:, :7]
        state.jacobian[3:] = np.array(angular)[:, :7]
        self._gravity[:] = gravity[:7]
        np.subtract(bias[:7], self._gravity, out=state.coriolis)
        state.gripper_width = q[7] + q[8]
        return state

    def apply(self, torque: np.ndarray, gripper_width: float) -> None:
        """Set arm torques (7,) [Nm] and the wanted gripper opening [m] for the steps that follow."""
        self._torque = np.clip(torque, [-e for e in EFFORT], EFFORT).tolist()
        self._bullet.setJointMotorControlArray(
            self._robot,
            self._fingers,
            self._bullet.POSITION_CONTROL,
            targetPositions=[gripper_width / 2] * 2,
            forces=[self._physics.finger_force] * 2,
            positionGains=[0.2] * 2,
            physicsClientId=self._client,
        )

    def advance(self, steps: int) -> None:
        """Integrate `steps` physics steps, at least one."""
        bullet, client = self._bullet, self._client
        total = (self._gravity + self._torque).tolist()
        for _ in range(steps):
            bullet.setJointMotorControlArray(
                self._robot, self._arm, bullet.TORQUE_CONTROL, forces=total, physicsClientId=client
            )
            bullet.stepSimulation(physicsClientId=client)
        self._estimate(steps)

    def _estimate(self, steps: int) -> None:
        """External wrench on the TCP from the contacts, low-pass filtered as the real arm's estimate is."""
        wrench = np.zeros(6)
        for contact in self._bullet.getContactPoints(bodyA=self._robot, physicsClientId=self._client):
            force = (
                contact[9] * np.array(contact[7])
                + contact[10] * np.array(contact[11])
                + contact[12] * np.array(contact[13])
            )
            wrench[:3] += force
            wrench[3:] += np.cross(contact[5] - self._state.position, force)
        duration = steps * self.timestep
        share = duration / (duration + self._physics.wrench_filter_time)
        self._state.wrench += share * (wrench - self._state.wrench)

    def objects(self) -> Mapping[str, Pose]:
        """True poses of the objects now, copies."""
        bodies = {"cube": ("cube", self._cube), "peg": ("hole", self._board)}
        if self._scene.kind not in bodies:
            return dict(self._free)
        name, body = bodies[self._scene.kind]
        position, quaternion = self._bullet.getBasePositionAndOrientation(body, physicsClientId=self._client)
        return {name: Pose(np.array(position), np.array(quaternion)), **self._free}

    def close(self) -> None:
        """Disconnect from the engine."""
        if self._client >= 0:
            self._bullet.disconnect(physicsClientId=self._client)
            self._folder.cleanup()
            self._client = -1
