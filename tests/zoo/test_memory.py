import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from tonezoo.memory import keep_freed_memory
{call}
for round in range(11):
    if round == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    several = [bytearray(2**25) for _ in range(3)]
    del several
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""


def page_faults(call: str) -> int:
    """Returns the page faults of handing out 96 MB, pages of 4 kB, after the first time."""
    command = [sys.executable, "-c", PROGRAM.format(call=call)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about glibc")
def test_memory_that_was_freed_is_handed_out_again():
    assert page_faults("") > 1000
    assert page_faults("assert keep_freed_memory()") < 100


def test_other_c_libraries_are_left_alone(monkeypatch):
    from tonezoo.memory import keep_freed_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
