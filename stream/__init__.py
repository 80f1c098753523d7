"""The server: live audio in, events out.

Asyncio at the edge, pure inside; knows a model only through `engine.api`.
"""
