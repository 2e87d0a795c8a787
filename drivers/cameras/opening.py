"""Opens the camera that the settings name."""

from __future__ import annotations

from drivers.cameras.settings import CameraConfig
from robot_rl.core.errors import MissingDependencyError
from robot_rl.core.protocols import Camera, Clock

REMEDY = "pip install 'robot-rl[devices]', and for RealSense: apt-get install libusb-1.0-0"


def open_camera(config: CameraConfig, name: str, clock: Clock | None = None) -> Camera:
    """Open the camera `name`, whose pictures are stamped with `clock` (the machine's steady one if None).

    Raises:
        CameraError: It is not there, or does not do what the settings ask for.
    """
    try:
        if config.driver == "realsense":
            from drivers.cameras.realsense import RealSenseCamera

            return RealSenseCamera(config, name, clock)
        from drivers.cameras.uvc import UvcCamera

        return UvcCamera(config, name, clock)
    except ImportError as error:
        package = {"realsense": "pyrealsense2", "uvc": "opencv-python"}[config.driver]
        raise MissingDependencyError(f"{package} ({error})", f"camera {name!r}", REMEDY) from None
