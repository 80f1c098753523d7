"""Clients of the server: a Python client, and the commands built on it.

They need neither torch nor a model; of `stream` they use events, errors and audio.
"""
