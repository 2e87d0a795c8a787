# pyright: reportAttributeAccessIssue=false
# The SDK is compiled and comes without types.
"""Intel RealSense, by its SDK: colour, and depth aligned to it.

A picture is stamped with the device's own clock of its exposure (or what the SDK falls back on), which
`DeviceClock` maps to the graph's. The SDK's "global time" is not needed for that, nor harmful.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pyrealsense2 as rs

from drivers.cameras.device_clock import DeviceClock
from drivers.cameras.geometry import crop_image, resize_depth, resize_image
from drivers.cameras.intrinsics import output_intrinsics
from drivers.cameras.newest import NewestPicture
from drivers.cameras.settings import CameraConfig
from robot_rl.core.clock import SteadyClock, nanoseconds
from robot_rl.core.errors import CameraError
from robot_rl.core.protocols import Clock
from robot_rl.core.types import Intrinsics, StampedImage

COLOUR_EXPOSURE_UNIT = 1e-4
"""Of the option `exposure` of a colour sensor [s]."""
STEREO_EXPOSURE_UNIT = 1e-6
"""Of the option `exposure` of a stereo module, which in some cameras gives colour too [s]."""


class RealSenseCamera:
    """A `Camera` on `pyrealsense2`.

    Args:
        config: Its settings, with `driver` "realsense".
        name: Name of the camera, for messages.
        clock: The graph's clock, for stamps.
        context_factory: Makes the SDK's context, anew each time the device is opened: where a recording
            stands in for a device (`context.load_device`, whose result has to be kept).
    """

    def __init__(
        self,
        config: CameraConfig,
        name: str = "camera",
        clock: Clock | None = None,
        context_factory: Callable[[], rs.context] = rs.context,
    ) -> None:
        self.config = config
        self._clock = clock or SteadyClock()
        self._context_factory = context_factory
        self._align = rs.align(rs.stream.color)
        self._last: rs.composite_frame | None = None
        self._newest = NewestPicture(name, self._open, config.timeout)

    def _open(self) -> _Pipeline:
        try:
            pipeline = _Pipeline(self.config, self._clock, self._context_factory())
        except RuntimeError as error:  # whatever the SDK says of a device that is pulled out just now
            raise CameraError(f"RealSense {self.config.device} cannot be opened: {error}") from None
        self._intrinsics = output_intrinsics(self.config, pipeline.intrinsics)
        return pipeline

    @property
    def intrinsics(self) -> Intrinsics:
        return self._intrinsics

    def read(self) -> StampedImage:
        stamp, frames = self._newest.take()
        self._last = frames
        colour = np.asanyarray(frames.get_color_frame().get_data())
        part = crop_image(colour, self.config.window)
        return StampedImage(stamp, resize_image(part, self.config.output_size))

    def depth(self) -> np.ndarray:
        """(h, w) float32 [m], along the optical axis, of the picture that `read` returned last.

        Pixel by pixel what the colour picture shows; 0 where nothing was measured.
        """
        if not self.config.depth:
            raise CameraError("this camera was opened without depth: set depth to true")
        if self._last is None:
            raise CameraError("there is no depth before the first picture was read")
        frame = self._align.process(self._last).get_depth_frame()
        part = crop_image(np.asanyarray(frame.get_data()), self.config.window)
        return resize_depth(part, self.config.output_size) * np.float32(frame.get_units())

    def close(self) -> None:
        self._newest.close()


class _Pipeline:
    """A started pipeline, read by one thread."""

    def __init__(self, config: CameraConfig, clock: Clock, context: rs.context) -> None:
        self._clock = clock
        self._latency = nanoseconds(config.latency)
        self._timeout = max(1, round(1000.0 * config.timeout))
        self._device_clock = DeviceClock()
        self._number = -1
        device = _find(context, config.device)
        self.device = f"RealSense {device.get_info(rs.camera_info.serial_number)}"
        self._pipeline = rs.pipeline(context)
        wanted = rs.config()
        wanted.enable_device(device.get_info(rs.camera_info.serial_number))
        wanted.enable_stream(rs.stream.color, config.width, config.height, rs.format.rgb8, config.rate)
        if config.depth:
            wanted.enable_stream(rs.stream.depth, rs.format.z16, config.rate)
        try:
            profile = self._pipeline.start(wanted)
        except RuntimeError as error:
            raise CameraError(
                f"{self.device} does not start with {config.width}x{config.height} at {config.rate} Hz"
                f"{' and depth' if config.depth else ''}: {error}. Its colour has {_offers(device)}"
            ) from None
        self._started = profile.get_device()
        try:
            _set_exposure(self._started, config.exposure, self.device)
            colour = profile.get_stream(rs.stream.color).as_video_stream_profile()
            self.intrinsics = plumb_bob(colour.get_intrinsics())
        except (CameraError, RuntimeError):
            self.close()
            raise

    def grab(self) -> tuple[int, rs.composite_frame]:
        while True:
            try:
                frames = self._pipeline.wait_for_frames(self._timeout)
            except RuntimeError as error:
                raise CameraError(f"{self.device} is gone or silent: {error}") from None
            arrival = self._clock.now()
            colour = frames.get_color_frame()
            # The SDK repeats a picture of one sensor beside the next one of the other.
            if colour and colour.get_frame_number() != self._number:
                self._number = colour.get_frame_number()
                exposed = round(1e6 * colour.get_timestamp())
                return self._device_clock.stamp(exposed, arrival) - self._latency, frames

    def close(self) -> None:
        # SDK 2.59 aborts the process now and then when a recording is stopped while it plays.
        if self._started.is_playback():
            with suppress(RuntimeError):  # it has ended already
                self._started.as_playback().pause()
        with suppress(RuntimeError):  # it is stopped already when the device is gone
            self._pipeline.stop()


def _find(context: rs.context, serial: str) -> rs.device:
    """The device with this serial number, or the only one."""
    number = rs.camera_info.serial_number  # which a device in recovery mode lacks
    devices = {d.get_info(number): d for d in context.query_devices() if d.supports(number)}
    if serial in devices:
        return devices[serial]
    connected = ", ".join(sorted(devices)) or "none"
    if serial:
        raise CameraError(f"RealSense {serial} is not connected; connected: {connected}")
    if len(devices) != 1:
        raise CameraError(
            f"{'no' if not devices else 'more than one'} RealSense is connected ({connected}): connect one, "
            "or name its serial number as device"
        )
    return next(iter(devices.values()))


def _colour_sensor(device: rs.device) -> rs.sensor:
    for sensor in device.query_sensors():
        if any(p.stream_type() == rs.stream.color for p in sensor.get_stream_profiles()):
            return sensor
    raise CameraError(f"RealSense {device.get_info(rs.camera_info.serial_number)} has no colour")


def _offers(device: rs.device) -> str:
    """The modes of the colour sensor, for messages."""
    profiles = [p for p in _colour_sensor(device).get_stream_profiles() if p.stream_type() == rs.stream.color]
    sizes = {(v.width(), v.height(), p.fps()) for p in profiles for v in [p.as_video_stream_profile()]}
    return ", ".join(f"{width}x{height} at {rate} Hz" for width, height, rate in sorted(sizes))


def _set_exposure(device: rs.device, exposure: float, name: str) -> None:
    """Fix the exposure [s] of the colour sensor, or leave it to the camera when it is 0."""
    sensor = _colour_sensor(device)
    if exposure == 0.0:
        if sensor.supports(rs.option.enable_auto_exposure):
            sensor.set_option(rs.option.enable_auto_exposure, 1.0)
        return
    if not sensor.supports(rs.option.exposure) or sensor.is_option_read_only(rs.option.exposure):
        raise CameraError(
            f"the exposure of {name} cannot be set, as it is with recordings: set exposure to 0"
        )
    unit = STEREO_EXPOSURE_UNIT if sensor.is_depth_sensor() else COLOUR_EXPOSURE_UNIT
    bounds = sensor.get_option_range(rs.option.exposure)
    if not bounds.min <= exposure / unit <= bounds.max:
        raise CameraError(
            f"the exposure of {name} must be in [{bounds.min * unit:g}, {bounds.max * unit:g}] s, "
            f"not {exposure:g}"
        )
    if sensor.supports(rs.option.enable_auto_exposure):
        sensor.set_option(rs.option.enable_auto_exposure, 0.0)
    sensor.set_option(rs.option.exposure, exposure / unit)


def plumb_bob(intrinsics: rs.intrinsics) -> Intrinsics:
    """The SDK's intrinsics with the distortion model of `Intrinsics`.

    The SDK has several models, most cameras an inverse one, from distorted to straight coordinates. For a
    grid of pixels that the SDK makes straight, (x, y), plumb_bob's equations

        x_d - x = x (k1 r^2 + k2 r^4 + k3 r^6) + 2 p1 x y + p2 (r^2 + 2 x^2)
        y_d - y = y (k1 r^2 + k2 r^4 + k3 r^6) + p1 (r^2 + 2 y^2) + 2 p2 x y

    are linear in the coefficients, which least squares hence finds.
    """
    i = intrinsics
    if not any(i.coeffs):
        return Intrinsics(i.width, i.height, i.fx, i.fy, i.ppx, i.ppy)
    u, v = np.meshgrid(np.linspace(0, i.width - 1, 17), np.linspace(0, i.height - 1, 17))
    pixels = np.column_stack([u.ravel(), v.ravel()])
    straight = np.array([rs.rs2_deproject_pixel_to_point(i, [float(a), float(b)], 1.0) for a, b in pixels])
    x, y = straight[:, 0], straight[:, 1]
    r2 = x * x + y * y
    rows_x = [x * r2, x * r2**2, 2 * x * y, r2 + 2 * x * x, x * r2**3]
    rows_y = [y * r2, y * r2**2, r2 + 2 * y * y, 2 * x * y, y * r2**3]
    matrix = np.vstack([np.column_stack(rows_x), np.column_stack(rows_y)])
    shift = np.concatenate([(pixels[:, 0] - i.ppx) / i.fx - x, (pixels[:, 1] - i.ppy) / i.fy - y])
    coefficients = np.linalg.lstsq(matrix, shift, rcond=None)[0]
    return Intrinsics(
        i.width, i.height, i.fx, i.fy, i.ppx, i.ppy, tuple(float(value) for value in coefficients)
    )
