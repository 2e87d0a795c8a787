import math

import msgspec
import numpy as np
import pytest

from robot_rl.console.proxy import admit
from robot_rl.core.errors import CodecError
from robot_rl.core.types import Pose

HANDLE = {"name": "/handle", "owner": ""}


class Hand:
    """Notes what becomes of the handle."""

    def __init__(self, may: bool = True) -> None:
        self.may = may
        self.poses: list[Pose | None] = []

    def drag(self, pose: Pose | None) -> bool:
        self.poses.append(pose)
        return self.may


def dragged(position=(0.5, 0.0, 0.2), wxyz=(0.0, 2.0, 0.0, 0.0)):
    message = {"type": "TransformControlsUpdateMessage", "position": position, "wxyz": wxyz}
    return msgspec.msgpack.encode(message | HANDLE)


def test_a_drag_is_the_handles_pose():
    hand = Hand()
    assert admit(dragged(), hand.drag)
    np.testing.assert_allclose(hand.poses[0].position, [0.5, 0.0, 0.2])
    np.testing.assert_allclose(hand.poses[0].quaternion, [1.0, 0.0, 0.0, 0.0])
    assert admit(msgspec.msgpack.encode({"type": "TransformControlsDragEndMessage"} | HANDLE), hand.drag)
    assert hand.poses[1] is None


def test_a_drag_of_who_may_not_goes_nowhere():
    assert not admit(dragged(), Hand(may=False).drag)


@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        ("ViewerCameraMessage", True),
        ("TransformControlsDragStartMessage", False),
        ("ShareUrlRequest", False),
        ("FileTransferStartUpload", False),
        (None, False),
    ],
)
def test_only_the_camera_passes_by_itself(kind, passes):
    hand = Hand()
    assert admit(msgspec.msgpack.encode({"type": kind}), hand.drag) is passes
    assert hand.poses == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1\xff\x00",
        dragged(position=(math.nan, 0.0, 0.0)),
        dragged(position=(0.0, math.inf, 0.0)),
        dragged(position=(0.0, 0.0)),
        dragged(position="far"),
        dragged(wxyz=(0.0, 0.0, 0.0, 0.0)),
        dragged(wxyz=(True, 0.0, 0.0, 0.0)),
        dragged(wxyz=None),
    ],
)
def test_garbage_is_refused_with_a_reason_and_moves_nothing(data):
    hand = Hand()
    with pytest.raises(CodecError, match="scene"):
        admit(data, hand.drag)
    assert hand.poses == []
