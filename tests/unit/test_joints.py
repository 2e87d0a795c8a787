import numpy as np
import pytest

from robot_rl.core.frames import IDENTITY_QUATERNION, compose, matrix_from_quaternion
from robot_rl.core.types import ArmState, Pose
from sim.arm.joints import joints
from sim.arm.kinematics import forward
from sim.arm.model import ARM_JOINTS, FINGER_JOINTS, HOME, TCP_LINK
from sim.arm.mujoco_plant import build_spec
from sim.arm.puppet import Puppet
from sim.arm.settings import PhysicsConfig, SceneConfig

ORIGIN = Pose(np.zeros(3), IDENTITY_QUATERNION)


def poses_of_links(q: np.ndarray, width: float) -> dict[str, Pose]:
    positions = dict(zip(ARM_JOINTS, q.tolist(), strict=True)) | dict.fromkeys(FINGER_JOINTS, width / 2)
    poses = {"panda_link0": ORIGIN}
    for joint in joints():
        poses[joint.child] = compose(poses[joint.parent], joint.place(positions.get(joint.name, 0.0)))
    return poses


@pytest.mark.parametrize("seed", range(3))
def test_nested_joints_put_every_link_where_the_physics_engine_has_it(seed):
    rng = np.random.default_rng(seed)
    q, width = HOME + rng.uniform(-0.8, 0.8, 7), float(rng.uniform(0.0, 0.08))
    puppet = Puppet(build_spec(PhysicsConfig(), SceneConfig()).compile())
    puppet.pose(ArmState(0, q, 0 * q, ORIGIN, np.zeros(6), np.zeros(6), width, False, ORIGIN), {})

    for link, pose in poses_of_links(q, width).items():
        body = puppet.data.body(link)
        np.testing.assert_allclose(pose.position, body.xpos, atol=1e-9)
        np.testing.assert_allclose(
            matrix_from_quaternion(pose.quaternion), body.xmat.reshape(3, 3), atol=1e-9
        )


def test_the_tool_is_where_the_closed_form_puts_it():
    tcp, _ = forward(HOME)
    pose = poses_of_links(HOME, 0.0)[TCP_LINK]
    np.testing.assert_allclose(pose.position, tcp.position, atol=1e-9)
    assert abs(pose.quaternion @ tcp.quaternion) == pytest.approx(1.0)
