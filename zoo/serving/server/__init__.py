"""A server for exported models that speaks TensorFlow Serving's protocols.

What it needs beside TensorFlow comes with the extra `serve`; importing this package loads none of
it. `Server` serves in this process, `tonezoo serve` in one of its own.
"""

from tonezoo.serving.server.options import ServingOptions
from tonezoo.serving.server.server import Server

__all__ = ["Server", "ServingOptions"]
