"""The model: tensors in, hypotheses out.

Synchronous and single-threaded; knows nothing of sockets, event loops or clients.
Import `engine.api` for the seam and `engine.config` for its configuration.
"""
