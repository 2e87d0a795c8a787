import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rl.core import frames
from robot_rl.core.types import Pose

angles = st.floats(-3.0, 3.0)
vectors = st.tuples(*[st.floats(-2.0, 2.0)] * 3).map(np.array)


@st.composite
def quaternions(draw: st.DrawFn) -> np.ndarray:
    q = np.array(draw(st.tuples(*[st.floats(-1.0, 1.0)] * 4)))
    if np.linalg.norm(q) < 0.1:
        q = np.array([0.0, 0.0, 0.0, 1.0])
    return frames.normalise(q)


def same_rotation(a: np.ndarray, b: np.ndarray) -> bool:
    return abs(abs(float(a @ b)) - 1.0) < 1e-9


@given(quaternions())
def test_matrix_is_a_rotation_and_inverts(q):
    m = frames.matrix_from_quaternion(q)
    np.testing.assert_allclose(m @ m.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(m) == pytest.approx(1.0)
    assert same_rotation(frames.quaternion_from_matrix(m), q)


@given(quaternions(), quaternions(), vectors)
def test_product_is_composition(a, b, v):
    np.testing.assert_allclose(
        frames.rotate(frames.multiply(a, b), v), frames.rotate(a, frames.rotate(b, v)), atol=1e-9
    )


@given(quaternions())
def test_rotation_vector_inverts(q):
    v = frames.rotation_vector(q)
    assert np.linalg.norm(v) <= math.pi + 1e-9
    assert same_rotation(frames.quaternion_from_rotation_vector(v), q)


def test_rotation_vector_of_a_tiny_turn_keeps_its_precision():
    v = np.array([1e-10, -2e-10, 3e-10])
    np.testing.assert_allclose(
        frames.rotation_vector(frames.quaternion_from_rotation_vector(v)), v, rtol=1e-6
    )


@given(quaternions())
def test_sixd_inverts(q):
    assert same_rotation(frames.quaternion_from_sixd(frames.sixd_from_quaternion(q)), q)


@given(quaternions())
def test_order_conversion_inverts(q):
    np.testing.assert_array_equal(frames.xyzw_from_wxyz(frames.wxyz_from_xyzw(q)), q)


@given(quaternions())
def test_swing_twist_recomposes_and_the_swing_has_no_twist(q):
    swing, yaw = frames.swing_twist(q)
    assert same_rotation(frames.multiply(swing, frames.yaw_quaternion(yaw)), q)
    if math.hypot(q[2], q[3]) > 1e-6:
        assert abs(swing[2]) < 1e-7


@given(angles)
def test_tool_yaw_reads_what_was_turned(yaw):
    q = frames.multiply(frames.yaw_quaternion(yaw), frames.DOWN_QUATERNION)
    assert frames.tool_yaw(q) == pytest.approx(yaw, abs=1e-9)
    np.testing.assert_allclose(frames.rotate(q, np.array([0.0, 0.0, 1.0])), [0, 0, -1], atol=1e-12)


@given(quaternions(), quaternions())
def test_slerp_has_its_ends_and_takes_the_short_way(a, b):
    assert same_rotation(frames.slerp(a, b, 0.0), a)
    assert same_rotation(frames.slerp(a, b, 1.0), b)
    whole = np.linalg.norm(frames.rotation_vector(frames.multiply(b, frames.conjugate(a))))
    half = frames.slerp(a, b, 0.5)
    part = np.linalg.norm(frames.rotation_vector(frames.multiply(half, frames.conjugate(a))))
    assert part == pytest.approx(whole / 2, abs=1e-6)


@given(vectors, quaternions())
def test_a_pose_times_its_inverse_is_the_identity(p, q):
    pose = Pose(p, q)
    identity = frames.compose(pose, frames.inverse(pose))
    np.testing.assert_allclose(identity.position, 0.0, atol=1e-9)
    assert same_rotation(identity.quaternion, frames.IDENTITY_QUATERNION)


def test_no_rotation_is_an_error():
    with pytest.raises(ValueError, match="not a rotation"):
        frames.normalise(np.zeros(4))
    with pytest.raises(ValueError, match="not a rotation"):
        frames.normalise(np.array([np.nan, 0, 0, 1]))
