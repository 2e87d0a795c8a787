"""The arm's physics in MuJoCo.

Physics runs as step2, step1, step2, step1, ...: after every `advance` the kinematics of the new state are
there, so that the control law sees no delay and nothing is computed twice.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_rl.core.errors import MissingDependencyError
from robot_rl.core.frames import wxyz_from_xyzw, xyzw_from_wxyz
from robot_rl.core.types import Pose
from sim.arm.model import (
    ARM_JOINTS,
    EFFORT,
    FINGER_JOINTS,
    ROTOR_INERTIA,
    TABLE_HALF_SIZE,
    TCP_LINK,
    panda_urdf,
)
from sim.arm.peg import board_boxes, peg_box
from sim.arm.settings import PhysicsConfig, SceneConfig

# Collision classes: the robot meets the world, the world meets itself, the robot does not meet itself.
_ROBOT, _WORLD = 1, 2
# Keeps the estimate of the wrench finite where the arm is stretched out.
_TINY = 1e-6 * np.eye(6)
_COMPILER = """<mujoco><compiler balanceinertia="true" fusestatic="false" strippath="false"
discardvisual="false"/></mujoco></robot>"""


def load_mujoco() -> Any:
    """The module `mujoco`, which has no type information, or how to get it."""
    try:
        return importlib.import_module("mujoco")
    except ImportError as error:
        raise MissingDependencyError("mujoco", "the simulated arm", 'pip install "robot-rl[sim]"') from error


def build_spec(physics: PhysicsConfig, scene: SceneConfig) -> Any:
    """An `MjSpec` of arm, table and objects, which others may add to."""
    mujoco = load_mujoco()
    spec = mujoco.MjSpec.from_string(panda_urdf().replace("</robot>", _COMPILER))
    option = spec.option
    option.timestep = physics.timestep
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0
    option.iterations = 20
    # One arm and one cube are one island or two: looking for them costs more than it saves.
    option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_ISLAND)

    for body in spec.bodies:
        body.gravcomp = 1.0
    for geom in spec.geoms:
        _make_contact(geom, physics, _ROBOT, 0)
        geom.group = 3
    for name, effort in zip(ARM_JOINTS, EFFORT, strict=True):
        joint = spec.joint(name)
        joint.armature = ROTOR_INERTIA
        joint.damping = (1.0, 0.0, 0.0)
        spec.add_actuator(
            name=name,
            target=name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            forcelimited=True,
            forcerange=(-effort, effort),
        )
    for name in FINGER_JOINTS:
        joint = spec.joint(name)
        joint.armature = 0.1
        joint.damping = (5.0, 0.0, 0.0)
        actuator = spec.add_actuator(
            name=name,
            target=name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            forcelimited=True,
            forcerange=(-physics.finger_force, physics.finger_force),
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        )
        actuator.gainprm[0] = 2000.0
        actuator.biasprm[1:3] = -2000.0, -60.0
    coupling = spec.add_equality(
        name="fingers", type=mujoco.mjtEq.mjEQ_JOINT, name1=FINGER_JOINTS[0], name2=FINGER_JOINTS[1]
    )
    coupling.objtype = mujoco.mjtObj.mjOBJ_JOINT
    coupling.data[:2] = 0.0, 1.0

    table = spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=TABLE_HALF_SIZE,
        pos=(0.5, 0.0, -TABLE_HALF_SIZE[2]),
        rgba=(0.55, 0.5, 0.45, 1.0),
    )
    _make_contact(table, physics, _WORLD, _ROBOT)
    if scene.kind == "cube":
        body = spec.worldbody.add_body(name="cube", pos=(0.5, 0.0, scene.cube_side / 2))
        body.add_freejoint(name="cube")
        half = scene.cube_side / 2
        cube = body.add_geom(
            name="cube",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=(half, half, half),
            mass=scene.cube_mass,
            rgba=(0.85, 0.2, 0.15, 1.0),
        )
        _make_contact(cube, physics, _WORLD, _ROBOT | _WORLD)
    if scene.kind == "peg":
        _add_peg(spec, physics, scene)
    return spec


def _add_peg(spec: Any, physics: PhysicsConfig, scene: SceneConfig) -> None:
    box = load_mujoco().mjtGeom.mjGEOM_BOX
    shape = peg_box(scene)
    peg = spec.body(TCP_LINK).add_geom(
        name="peg", type=box, size=shape.half_sides, pos=shape.centre, mass=0.0, rgba=(0.95, 0.75, 0.15, 1.0)
    )
    _make_contact(peg, physics, _ROBOT, 0)
    # A mocap body: it stands still like the world, and yet a reset can put it elsewhere.
    board = spec.worldbody.add_body(name="hole", pos=(0.5, 0.0, scene.board_size[2]), mocap=True)
    for i, shape in enumerate(board_boxes(scene)):
        part = board.add_geom(
            name=f"board{i}", type=box, size=shape.half_sides, pos=shape.centre, rgba=(0.2, 0.35, 0.65, 1.0)
        )
        _make_contact(part, physics, _WORLD, _ROBOT)
        # The board's friction counts, not the larger one of the two.
        part.friction[0] = scene.peg_friction
        part.priority = 1


def _make_contact(geom: Any, physics: PhysicsConfig, contype: int, conaffinity: int) -> None:
    geom.contype, geom.conaffinity = contype, conaffinity
    geom.condim = 4
    geom.friction[0] = physics.friction
    geom.solref = (physics.contact_time, 1.0)


class MujocoState:
    """The arm in a running simulation: views that follow it, refreshed by `MujocoPlant.read`."""

    def __init__(self, data: Any, tcp: int, finger: int, jacobian: np.ndarray) -> None:
        self._finger_q = data.qpos[finger : finger + 2]
        self._bias = data.qfrc_bias[:7]
        self._gravcomp = data.qfrc_gravcomp[:7]
        self._wxyz = data.xquat[tcp]
        self._wrench = np.zeros(6)
        self._wrench_is_fresh = True
        self.external = np.zeros(7)
        """(7,) filtered torques of the contacts on the joints [Nm]."""
        self.q = data.qpos[:7]
        self.dq = data.qvel[:7]
        self.position = data.xpos[tcp]
        self.quaternion = np.array([0.0, 0.0, 0.0, 1.0])
        self._full_jacobian = jacobian[:, :7]
        self.jacobian = np.zeros((6, 7))
        self.coriolis = np.zeros(7)

    def refresh(self) -> None:
        """Follow what the engine does not offer as a view."""
        w, x, y, z = self._wxyz.tolist()
        self.quaternion[:] = x, y, z, w
        # Contiguous, which the products of the control law repay.
        self.jacobian[:] = self._full_jacobian
        np.subtract(self._bias, self._gravcomp, out=self.coriolis)
        self._wrench_is_fresh = False

    @property
    def wrench(self) -> np.ndarray:
        """(6,) what explains the contacts' torques best, as the real arm estimates it: min |J^T F - tau|."""
        if not self._wrench_is_fresh:
            self._wrench_is_fresh = True
            if any(self.external.tolist()):
                gram = self.jacobian.dot(self.jacobian.T) + _TINY
                self._wrench[:] = np.linalg.solve(gram, self.jacobian.dot(self.external))
            else:
                self._wrench[:] = 0.0
        return self._wrench

    @property
    def gripper_width(self) -> float:
        """Opening between the fingers [m]."""
        return float(self._finger_q.sum())


class MujocoPlant:
    """One arm, its table and its objects. See `robot_rl.core.protocols.Plant`."""

    def __init__(self, physics: PhysicsConfig, scene: SceneConfig) -> None:
        mujoco = load_mujoco()
        self.model = build_spec(physics, scene).compile()
        self.data = mujoco.MjData(self.model)
        self.timestep = physics.timestep
        self._step, self._step1, self._step2 = mujoco.mj_step, mujoco.mj_step1, mujoco.mj_step2
        self._jacobian_of_body, self._reset_data = mujoco.mj_jacBody, mujoco.mj_resetData
        model, data = self.model, self.data
        self._tcp = model.body(TCP_LINK).id
        finger = int(model.joint(FINGER_JOINTS[0]).qposadr[0])
        self._fingers = slice(finger, finger + 2)
        self._cube = int(model.joint("cube").qposadr[0]) if scene.kind == "cube" else -1
        self._cube_velocity = int(model.joint("cube").dofadr[0]) if scene.kind == "cube" else -1
        self._board = int(model.body("hole").mocapid[0]) if scene.kind == "peg" else -1
        self._free: dict[str, Pose] = {}
        jacobian = np.zeros((6, model.nv))
        self._linear, self._angular = jacobian[:3], jacobian[3:]
        self._torque, self._width = data.ctrl[:7], data.ctrl[7:9]
        self._state = MujocoState(data, self._tcp, finger, jacobian)
        self._constraint = data.qfrc_constraint[:7]
        self._wrench_filter_time = physics.wrench_filter_time

    def reset(self, q: np.ndarray, gripper_width: float, objects: Mapping[str, Pose]) -> None:
        """Start again at rest in the joint pose `q` (7,) [rad], as if nothing had happened before."""
        self._reset_data(self.model, self.data)
        self.data.qpos[:7] = q
        self.data.qpos[self._fingers] = gripper_width / 2
        self._width[:] = gripper_width / 2
        self._state.external[:] = 0.0
        self.place(objects)

    def place(self, objects: Mapping[str, Pose]) -> None:
        """Put objects at rest at these poses; the arm is left alone."""
        self._free = {name: pose for name, pose in objects.items() if name not in ("cube", "hole")}
        cube, hole = objects.get("cube"), objects.get("hole")
        if cube is not None:
            a, v = self._cube, self._cube_velocity
            self.data.qpos[a : a + 3] = cube.position
            self.data.qpos[a + 3 : a + 7] = wxyz_from_xyzw(cube.quaternion)
            self.data.qvel[v : v + 6] = 0.0
        if hole is not None:
            self.data.mocap_pos[self._board] = hole.position
            self.data.mocap_quat[self._board] = wxyz_from_xyzw(hole.quaternion)
        self._step1(self.model, self.data)

    def read(self) -> MujocoState:
        """The state now: views that change with the physics."""
        self._jacobian_of_body(self.model, self.data, self._linear, self._angular, self._tcp)
        self._state.refresh()
        return self._state

    def apply(self, torque: np.ndarray, gripper_width: float) -> None:
        """Set arm torques (7,) [Nm] and the wanted gripper opening [m] for the steps that follow."""
        self._torque[:] = torque
        self._width[:] = gripper_width / 2

    def advance(self, steps: int) -> None:
        """Integrate `steps` physics steps, at least one."""
        model, data = self.model, self.data
        self._step2(model, data)
        if steps > 1:
            self._step(model, data, steps - 1)
        self._step1(model, data)
        self._estimate(steps)

    def _estimate(self, steps: int) -> None:
        """Low-pass filter of the contacts' torques, as the real arm's estimate has one."""
        external = self._state.external
        if not any(self._constraint.tolist()):
            if not any(external.tolist()):
                return
            if abs(external).max() < 1e-6:
                external[:] = 0.0
                return
        duration = steps * self.timestep
        change = self._constraint - external
        change *= duration / (duration + self._wrench_filter_time)
        external += change

    def objects(self) -> Mapping[str, Pose]:
        """True poses of the objects now, copies."""
        if self._cube >= 0:
            pose = self.data.qpos[self._cube : self._cube + 7]
            return {"cube": Pose(pose[:3].copy(), xyzw_from_wxyz(pose[3:])), **self._free}
        if self._board >= 0:
            position, wxyz = self.data.mocap_pos[self._board], self.data.mocap_quat[self._board]
            return {"hole": Pose(position.copy(), xyzw_from_wxyz(wxyz)), **self._free}
        return dict(self._free)

    def close(self) -> None:
        """Nothing to release: MuJoCo frees the model with the last reference."""
