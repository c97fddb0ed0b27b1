"""Text that holds anything a file may be called, on whatever a terminal can show."""

import sys
from typing import TextIO


def printable(text: str) -> str:
    r"""Returns text that can be written as UTF-8: what is none of it is written as its escape.

    On Linux a file name is any sequence of bytes; Python keeps those that are not UTF-8 as lone
    surrogates, which no codec writes.

    Example:

    >>> printable("café"), printable("caf\udce9")
    ('café', 'caf\\udce9')
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def show_any_text(*streams: TextIO) -> None:
    """Makes streams write what their encoding lacks as escapes, in place of failing at it.

    Without this a name of one file would end a command at its last line, after all the work.

    Args:
        streams: by default standard output and standard error; what is not a text stream of
            Python's own, as in a notebook, stays as it is.
    """
    for stream in streams or (sys.stdout, sys.stderr):
        # With surrogateescape the bytes of a name come out as they are.
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
