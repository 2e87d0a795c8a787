# pyright: reportAttributeAccessIssue=false
# The SDK is compiled and comes without types.
"""What stands in for camera devices: a RealSense recording, a video file, an MJPEG server.

Each shows the same scene: grey, brighter from left to right, with the number of the picture in the red
channel and a bright square that walks along the diagonal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pyrealsense2 as rs

WIDTH, HEIGHT, RATE = 160, 120, 30
SERIAL = "020122061407"
FOCAL, CENTRE = 140.0, (78.0, 61.0)
DEPTH = np.tile(np.arange(500, 500 + WIDTH, dtype=np.uint16), (HEIGHT, 1))
"""Of every picture [mm]: playback does not pair depth and colour exactly, as a device does."""


def scene(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the picture of this number."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.linspace(60, 180, width, dtype=np.uint8)[:, None]
    image[:, :, 0] = number % 256
    corner = 2 * number % (height - 8)
    image[corner : corner + 8, corner : corner + 8, 1:] = 230
    return image


def record_realsense(path: Path, pictures: int = 60) -> None:
    """Write a recording of a software device with colour and depth, by the SDK's own recorder.

    The recorder notes when each picture came, and playback keeps that pace: a picture takes 1 / `RATE` s.
    """
    device = rs.software_device()
    device.register_info(rs.camera_info.serial_number, SERIAL)
    device.register_info(rs.camera_info.name, "Software RealSense")
    stereo, colour = device.add_sensor("Stereo Module"), device.add_sensor("RGB Camera")
    depth_profile = stereo.add_video_stream(_stream(rs.stream.depth, 0, 2, rs.format.z16))
    stereo.add_read_only_option(rs.option.depth_units, 0.001)
    colour_profile = colour.add_video_stream(_stream(rs.stream.color, 1, 3, rs.format.rgb8))
    same_place = rs.extrinsics()
    same_place.rotation, same_place.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]
    depth_profile.register_extrinsics_to(colour_profile, same_place)
    device.create_matcher(rs.matchers.dlr_c)

    recorder = rs.recorder(str(path), device)
    syncer = rs.syncer()
    sensors = recorder.query_sensors()
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles()[0])
        sensor.start(syncer)
    kept = []  # a frame only points at its array
    due = time.monotonic()
    for number in range(pictures):
        image = scene(number)
        kept.append(image)
        stereo.on_video_frame(_frame(DEPTH, 2, number, depth_profile))
        colour.on_video_frame(_frame(image, 3, number, colour_profile))
        due += 1.0 / RATE
        time.sleep(max(0.0, due - time.monotonic()))
    for sensor in sensors:
        sensor.stop()
        sensor.close()


def _stream(kind: rs.stream, uid: int, depth: int, pixel: rs.format) -> rs.video_stream:
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid, stream.fmt = kind, 0, uid, pixel
    stream.width, stream.height, stream.fps, stream.bpp = WIDTH, HEIGHT, RATE, depth
    intrinsics = rs.intrinsics()
    intrinsics.width, intrinsics.height = WIDTH, HEIGHT
    intrinsics.fx, intrinsics.fy = FOCAL, FOCAL
    intrinsics.ppx, intrinsics.ppy = CENTRE
    intrinsics.model, intrinsics.coeffs = rs.distortion.inverse_brown_conrady, [0.0] * 5
    stream.intrinsics = intrinsics
    return stream


def _frame(
    pixels: np.ndarray, depth: int, number: int, profile: rs.stream_profile
) -> rs.software_video_frame:
    frame = rs.software_video_frame()
    frame.pixels, frame.bpp, frame.stride = pixels, depth, depth * WIDTH
    frame.frame_number, frame.timestamp = number, 1000.0 + 1000.0 * number / RATE
    frame.domain = rs.timestamp_domain.hardware_clock
    frame.profile = profile.as_video_stream_profile()
    return frame


class Port:
    """A USB port into which a recorded RealSense can be plugged: a factory of the SDK's contexts."""

    def __init__(self, recording: Path, plugged: bool = True) -> None:
        self.recording = recording
        self.plugged = plugged
        self._devices: list[rs.device] = []

    def __call__(self) -> rs.context:
        context = rs.context()
        if self.plugged:
            self._devices.append(context.load_device(str(self.recording)))
        return context


def write_video(path: Path, pictures: int = 60) -> None:
    """Write the scene without loss."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), RATE, (WIDTH, HEIGHT))
    for number in range(pictures):
        writer.write(cv2.cvtColor(scene(number), cv2.COLOR_RGB2BGR))
    writer.release()


class MjpegServer:
    """Serves the scene over HTTP as network cameras do; can go away and come back at the same address."""

    def __init__(self, picture: Callable[[int], np.ndarray] = scene) -> None:
        self.picture = picture
        self.silent = False
        """Keeps the connection, sends nothing."""
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/video.mjpg"

    def start(self) -> None:
        self._stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        request.end_headers()
        number = 0
        try:
            while not self._stopping.wait(1.0 / RATE):
                if self.silent:
                    continue
                image = cv2.cvtColor(self.picture(number), cv2.COLOR_RGB2BGR)
                data = cv2.imencode(".jpg", image)[1].tobytes()
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                request.wfile.write(head.encode() + data + b"\r\n")
                number += 1
        except OSError:
            return  # the client has gone
