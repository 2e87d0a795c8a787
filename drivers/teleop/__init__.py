"""Devices in a person's hand, and what becomes of what they say."""
