"""Pytest plugin: the door for those who have the code."""
