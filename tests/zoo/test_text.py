import io
import subprocess
import sys

from tonezoo.text import printable, show_any_text


def test_any_name_becomes_text_that_can_be_written():
    for name in (
        "caf\udce9",
        "\ud800",
        "é音🎵",
        "e\u0301",
        "\x00\n",
        "".join(map(chr, range(300))),
    ):
        printable(name).encode("utf-8")
    assert printable("é音🎵\n") == "é音🎵\n"
    assert printable("caf\udce9") == r"caf\udce9"


def test_streams_write_what_they_lack_as_escapes():
    for encoding, text, written in [
        ("ascii", "é \udce9", rb"\xe9 \udce9"),
        ("utf-8", "é \udce9", b"\xc3\xa9 \\udce9"),
        ("latin-1", "é 音", b"\xe9 \\u97f3"),
    ]:
        stream = io.TextIOWrapper(io.BytesIO(), encoding)
        show_any_text(stream)
        stream.write(text)
        stream.flush()
        assert stream.buffer.getvalue() == written
    show_any_text(io.StringIO())


def test_standard_output_of_another_encoding():
    code = "from tonezoo.text import show_any_text; show_any_text(); print('é \\udce9')"
    for environment, written in [
        ({"PYTHONIOENCODING": "ascii"}, b"\\xe9 \\udce9\n"),
        ({"PYTHONIOENCODING": "utf-8"}, b"\xc3\xa9 \\udce9\n"),
        ({"LC_ALL": "C"}, b"\xc3\xa9 \xe9\n"),
    ]:
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
        assert (done.stdout, done.returncode) == (written, 0), done.stderr
