"""Cameras: RealSense and UVC devices behind the `Camera` protocol, and the guard of their frames."""
