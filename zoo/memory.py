"""How the C library hands out memory."""

import ctypes
import platform

# Of glibc's malloc.h.
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Lets the C library keep what this process frees for what it asks for next.

    A training step on processors allocates and frees some gigabytes, in pieces of megabytes. By
    itself glibc gives them back to the kernel, which clears every page before it hands it out
    again: two fifths of a step of Demucs (benchmarks/freed_memory.py). What is kept is a step's
    peak. Threads that run already keep their ways: call it before TensorFlow is imported.

    Returns:
        whether the C library is glibc and took the settings.

    Source: The GNU C Library Reference Manual, 3.2.3.11 "Malloc Tunable Parameters".
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Never trimmed, nothing outside of the heap, and one heap, as the others cannot grow.
    settings = {TRIM_THRESHOLD: -1, MMAP_MAX: 0, ARENA_MAX: 1}
    return all(mallopt(name, value) == 1 for name, value in settings.items())
