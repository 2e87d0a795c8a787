"""Simulated arm with a gripper on a table, in MuJoCo and in PyBullet."""
