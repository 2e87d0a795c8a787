"""The Panda's model, one URDF text for every physics engine, built from the file in the pybullet wheel.

Kinematics, limits and meshes are the file's (Apache-2.0). Its inertials are placeholders, so the arm's are
replaced by those identified in Gaz, Cognetti, Oliva, Robuffo Giordano and De Luca, "Dynamic Identification of
the Franka Emika Panda Robot With Retrieval of Feasible Parameters Using Penalty-Based Optimization", RA-L
4(4), 2019. What touches things is made of five boxes: palm, finger bodies and pads; the arm's links do
not collide, the safety limits keep them off the table.
"""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from robot_rl.core.errors import MissingDependencyError
from sim.arm.peg import Box

ARM_JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
LIGHT_LINKS = tuple(f"panda_link{i}" for i in range(4, 8))
"""Links whose own inertia is small against that of the rotor that turns them, about their z axis."""
FINGER_JOINTS = ("panda_finger_joint1", "panda_finger_joint2")
TCP_LINK = "panda_tcp"
TCP_OFFSET = 0.1034
"""From the hand's flange to the point between the pads, along the tool axis [m] (Franka's default)."""
MAX_WIDTH = 0.08
"""Opening of the gripper [m]."""
EFFORT = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
"""Largest joint torques [Nm]."""
ROTOR_INERTIA = 0.1
"""Inertia of each motor behind its gear [kg m^2]: the usual guess for this arm."""
HOME = np.array([0.0, -0.3, 0.0, -2.2, 0.0, 1.9, np.pi / 4])
"""Joint posture from which inverse kinematics starts: elbow up, tool about down [rad]."""
TABLE_HALF_SIZE = (0.45, 0.60, 0.02)
"""Half sides of the table's top, which is centred on (0.5, 0) with its surface at z = 0 [m]."""

# link: (mass [kg], centre of mass [m], inertia about it xx, xy, xz, yy, yz, zz [kg m^2])
INERTIALS: dict[str, tuple[float, tuple[float, ...], tuple[float, ...]]] = {
    "panda_link0": (
        0.629769,
        (-0.041018, -0.00014, 0.049974),
        (0.00315, 8.2904e-7, 0.00015, 0.00388, 8.2299e-6, 0.004285),
    ),
    "panda_link1": (
        4.970684,
        (0.003875, 0.002081, -0.04762),
        (0.70337, -0.000139, 0.006772, 0.70661, 0.019169, 0.009117),
    ),
    "panda_link2": (
        0.646926,
        (-0.003141, -0.02872, 0.003495),
        (0.007962, -0.003925, 0.010254, 0.02811, 0.000704, 0.025995),
    ),
    "panda_link3": (
        3.228604,
        (0.027518, 0.039252, -0.066502),
        (0.037242, -0.004761, -0.011396, 0.036155, -0.012805, 0.01083),
    ),
    "panda_link4": (
        3.587895,
        (-0.05317, 0.104419, 0.027454),
        (0.025853, 0.007796, -0.001332, 0.019552, 0.008641, 0.028323),
    ),
    "panda_link5": (
        1.225946,
        (-0.011953, 0.041065, -0.038437),
        (0.035549, -0.002117, -0.004037, 0.029474, 0.000229, 0.008627),
    ),
    "panda_link6": (
        1.666555,
        (0.060149, -0.014117, -0.010517),
        (0.001964, 0.000109, -0.001158, 0.004354, 0.000341, 0.005433),
    ),
    "panda_link7": (
        0.735522,
        (0.010517, -0.004252, 0.061597),
        (0.012516, -0.000428, -0.001196, 0.010027, -0.000741, 0.004815),
    ),
    "panda_hand": (0.73, (-0.01, 0.0, 0.03), (0.001, 0.0, 0.0, 0.0025, 0.0, 0.0017)),
    "panda_leftfinger": (0.015, (0.0, 0.01, 0.03), (2.375e-6, 0.0, 0.0, 2.375e-6, 0.0, 7.5e-7)),
    "panda_rightfinger": (0.015, (0.0, -0.01, 0.03), (2.375e-6, 0.0, 0.0, 2.375e-6, 0.0, 7.5e-7)),
}

# link: boxes (size [m], centre in the link's frame [m]). The last box of a finger is its pad.
BOXES: dict[str, tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]] = {
    "panda_hand": (((0.063, 0.204, 0.066), (0.0, 0.0, 0.033)),),
    "panda_leftfinger": (
        ((0.021, 0.015, 0.033), (0.0, 0.0145, 0.0165)),
        ((0.021, 0.008, 0.021), (0.0, 0.004, 0.0435)),
    ),
    "panda_rightfinger": (
        ((0.021, 0.015, 0.033), (0.0, -0.0145, 0.0165)),
        ((0.021, 0.008, 0.021), (0.0, -0.004, 0.0435)),
    ),
}


def panda_directory() -> Path:
    """Folder of `panda.urdf` and its `meshes`, in the pybullet wheel."""
    found = importlib.util.find_spec("pybullet_data")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError(
            "pybullet", "the simulated arm (the wheel holds the robot's model)", 'pip install "robot-rl[sim]"'
        )
    return Path(found.submodule_search_locations[0]) / "franka_panda"


def panda_urdf(rotors_in_links: bool = False, in_hand: Box | None = None) -> str:
    """The model as URDF text: the file's joints, our inertials and boxes, no meshes.

    Args:
        rotors_in_links: Add a disc with the inertia of its rotor to each light link, for an engine that has
            no rotors. The joints before it then feel it, too; with the last four links the arm moves as it
            does with rotors on all joints: equal to 0.2 mm in the overshoot of a full stop.
        in_hand: A massless box that is fixed to the hand, in the TCP's frame.
    """
    robot = ET.fromstring((panda_directory() / "panda.urdf").read_text())
    for link in robot.findall("link"):
        name = link.get("name", "")
        rotor = ROTOR_INERTIA if rotors_in_links and name in LIGHT_LINKS else 0.0
        _replace_inertial(link, INERTIALS.get(name), rotor)
        for tag in ("contact", "collision", "visual"):
            for element in link.findall(tag):
                link.remove(element)
        for size, centre in BOXES.get(name, ()):
            _add_box(link, size, centre)
        if in_hand is not None and name == "panda_hand":
            x, y, z = in_hand.centre
            _add_box(link, tuple(2.0 * half for half in in_hand.half_sides), (x, y, z + TCP_OFFSET))
    for joint in robot.findall("joint"):
        if joint.get("name") == "panda_grasptarget_hand":
            _rename_tcp(robot, joint)
        # Both engines get the coupling of the fingers as a constraint of their own.
        for mimic in joint.findall("mimic"):
            joint.remove(mimic)
    return ET.tostring(robot, encoding="unicode")


def _rename_tcp(robot: ET.Element, joint: ET.Element) -> None:
    """Make the file's grasp target the TCP: between the pads, x and y along the base's axes at yaw 0."""
    link = next(element for element in robot.findall("link") if element.get("name") == "panda_grasptarget")
    child, origin = joint.find("child"), joint.find("origin")
    if child is None or origin is None:
        raise ValueError("the model's grasp target has no child or no origin")
    link.set("name", TCP_LINK)
    child.set("link", TCP_LINK)
    origin.set("xyz", f"0 0 {TCP_OFFSET}")


def _replace_inertial(
    link: ET.Element, inertial: tuple[float, tuple[float, ...], tuple[float, ...]] | None, rotor: float
) -> None:
    for old in link.findall("inertial"):
        link.remove(old)
    # Frames without a mass must say so: an engine may give 1 kg to a link that says nothing.
    mass, centre, moments = inertial or (0.0, (0.0,) * 3, (0.0,) * 6)
    element = ET.SubElement(link, "inertial")
    ET.SubElement(element, "origin", xyz=_numbers(centre), rpy="0 0 0")
    ET.SubElement(element, "mass", value=str(mass))
    names = ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")
    values = dict(zip(names, moments, strict=True))
    values["izz"] += rotor
    values["ixx"] += rotor / 2
    values["iyy"] += rotor / 2
    ET.SubElement(element, "inertia", {name: str(value) for name, value in values.items()})


def _add_box(link: ET.Element, size: tuple[float, ...], centre: tuple[float, ...]) -> None:
    element = ET.SubElement(link, "collision")
    ET.SubElement(element, "origin", xyz=_numbers(centre), rpy="0 0 0")
    ET.SubElement(ET.SubElement(element, "geometry"), "box", size=_numbers(size))


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(str(v) for v in values)
