"""Code blocks of Markdown pages, run or checked as far as they can be without running.

- The python blocks of a page run in order, in one namespace and one scratch folder. A comment
  behind a print statement is what it prints.
- Every line of an sh block has a command of `COMMANDS`: its check reads it, its run, if it has one,
  runs it. Training runs for real, at the size of `TINY_TRAINING`.
- A bash block is a script for elsewhere, of which the syntax is checked.
- A text block is the output of the block before it; "..." in it stands for anything.
- There are no other blocks: an unknown language, an indented block or an unknown command fails.

- `localhost:8500` is the server that the page has started, else one of the shipped model that the
  block names.

What a block names and does not make itself, such as `speech` or `low.wav`, is in `INPUTS`: it is
made of the procedural corpus when the block is reached.
"""

import ast
import configparser
import contextlib
import doctest
import importlib.metadata
import importlib.util
import io
import json
import re
import shlex
import shutil
import subprocess
import tokenize
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import typer
from markdown_it import MarkdownIt
from tiny_run import SEPARATION_SETTINGS, SETTINGS, VOCODING_SETTINGS

from tonezoo.audio.resampling import decimate
from tonezoo.cli import app
from tonezoo.pretrained import shipped_models
from tonezoo.recipes import load_recipe, separation, super_resolution, vocoding
from tonezoo.recipes.config import override
from tonezoo.recipes.corpus.songs import procedural_stems, write_stems
from tonezoo.recipes.corpus.speech import procedural_corpus, write_corpus
from tonezoo.serving.manifest import versions

ROOT = Path(__file__).parents[1]
# What is put behind every `tonezoo train` line; of an option given twice the last one counts.
TINY_TRAINING = (*SETTINGS, "preset=tiny", "critic_preset=tiny", "batch_size=2")
TINY_VOCODING = (*VOCODING_SETTINGS, "preset=tiny", "critic_preset=tiny", "batch_size=2")
TINY_SEPARATION = (*SEPARATION_SETTINGS, "preset=tiny", "shift_s=0.1")
TINY = {
    super_resolution.Config: TINY_TRAINING,
    separation.Config: TINY_SEPARATION,
    vocoding.Config: TINY_VOCODING,
}
SERVER = "localhost:8500"
REST = "http://localhost:8501"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A code block: where it is, its language ("" if it is indented) and its text."""

    page: str
    line: int
    language: str
    text: str

    @contextlib.contextmanager
    def blamed(self):
        """Puts page and line in front of what goes wrong."""
        try:
            yield
        except (Exception, SystemExit) as error:
            where = f"{self.page}, line {self.line}"
            raise AssertionError(
                f"{where}: {type(error).__name__}: {error}\n{self.text}"
            ) from error


@dataclass(frozen=True)
class Scratch:
    """Where a page runs: its folder, the command line in this process, a trained run."""

    folder: Path
    cli: Callable
    tiny_run: Callable[[], Path]
    served: list = field(default_factory=list)  # servers to be stopped


def tokens(text: str) -> list:
    return MarkdownIt("commonmark").enable("table").parse(text)


def blocks(text: str, page: str = "page") -> list[Block]:
    return [
        Block(page, token.map[0] + 1, token.info, token.content)
        for token in tokens(text)
        if token.type in ("fence", "code_block")
    ]


def command_lines(text: str) -> Iterator[list[str]]:
    """Yields the words of each command, which may go over lines by backslash or quotes.

    A backend of Keras before it is left out.
    """
    pending = ""
    for line in text.replace("\\\n", " ").splitlines():
        pending += line + "\n"
        with contextlib.suppress(ValueError):  # a quotation that is still open
            words = shlex.split(pending, comments=True)
            pending = ""
            if words:
                yield words[words[0].startswith("KERAS_BACKEND=") :]
    assert not pending, f"the quotation is not closed in {pending!r}"


def check_block(block: Block, before: Block | None) -> None:
    """Checks what can be checked without running anything."""
    with block.blamed():
        assert block.language in ("python", "sh", "bash", "text"), (
            "blocks are fenced and of python, sh, bash or text, not "
            f"{block.language or 'indented'!r}"
        )
        if block.language == "python":
            compile(block.text, "block", "exec")
        elif block.language == "sh":
            for words in command_lines(block.text):
                assert words[0] in COMMANDS, f"it is not known how to check {words[0]!r}"
                COMMANDS[words[0]].check(words[1:])
        elif block.language == "bash":
            done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
            assert not done.stderr, done.stderr
        else:
            assert before and before.language != "text", "there is no block that printed this"


def run_page(found: list[Block], scratch: Scratch) -> None:
    namespace = {"__name__": "docs"}
    output = ""
    for block in found:
        with block.blamed():
            if block.language == "text":
                compare(block.text, output)
                continue
            if block.language == "bash":
                continue
            make_inputs(block.text, scratch)
            if block.language == "python":
                text = at_its_server(block.text, block, scratch)
                output = run_python(replace(block, text=text), namespace)
                continue
            output = ""
            for words in command_lines(block.text):
                words = [at_its_server(word, block, scratch) for word in words]
                output += run_command(words, scratch)


def at_its_server(text: str, block: Block, scratch: Scratch) -> str:
    """Returns a part of a block with the port of the page's server.

    Where the page has started none, it is one of the shipped model that the block names.
    """
    if SERVER not in text:
        return text
    if not scratch.served:
        (folder,) = (path for name, path in shipped_models().items() if name in block.text)
        run_serve(str(folder), scratch)
    return text.replace(SERVER, f"127.0.0.1:{scratch.served[-1].port}")


def compare(expected: str, printed: str) -> None:
    same = doctest.OutputChecker().check_output(expected, printed, FLAGS)
    assert same, f"the page says\n{expected}\nbut printed was\n{printed}"


def run_python(block: Block, namespace: dict) -> str:
    """Runs a block statement by statement; returns what it printed."""
    lines = tokenize.generate_tokens(io.StringIO(block.text).readline)
    comments = {t.start[0]: t.string[1:].strip() for t in lines if t.type == tokenize.COMMENT}
    output = ""
    for statement in ast.parse(block.text).body:
        code = compile(ast.Module([statement], []), f"{block.page}:{block.line}", "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, namespace)
        output += printed.getvalue()
        if ast.unparse(statement).startswith("print(") and statement.end_lineno in comments:
            compare(comments[statement.end_lineno] + "\n", printed.getvalue())
    return output


def make_inputs(text: str, scratch: Scratch) -> None:
    for name, make in INPUTS.items():
        named = re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w.-])", text)
        if named and not (scratch.folder / name).exists():
            make(scratch.folder / name, scratch)


def make_low(path: Path, scratch: Scratch) -> None:
    import soundfile

    (clip,) = procedural_corpus(clips=1, segment_s=1.0).values()
    soundfile.write(path, decimate(clip, 4), 4000)


def make_speech(folder: Path, scratch: Scratch) -> None:
    for seed, speaker in enumerate(("p225", "p228")):
        write_corpus(folder / speaker, seed=seed, clips=2, segment_s=1.0)


def make_final(folder: Path, scratch: Scratch) -> None:
    write_corpus(folder / "p329", seed=3, clips=2, segment_s=1.0)


def make_vctk(folder: Path, scratch: Scratch) -> None:
    write_corpus(folder / "wav48" / "p225", clips=10, segment_s=0.5)


def make_run(folder: Path, scratch: Scratch) -> None:
    shutil.copytree(scratch.tiny_run(), folder)


def make_song(path: Path, scratch: Scratch) -> None:
    import soundfile

    (stems,) = procedural_stems(tracks=1, track_s=1.0).values()
    soundfile.write(path, sum(stems.values()), 44_100)


def make_music(folder: Path, scratch: Scratch) -> None:
    for seed, song in enumerate(("song_a", "song_b")):
        (made,) = write_stems(folder / song, seed=seed, tracks=1, track_s=1.0)
        for path in made.iterdir():
            path.rename(folder / song / path.name)
        made.rmdir()


def make_stems(folder: Path, scratch: Scratch) -> None:
    songs = folder.with_name(f"{folder.name}_songs")
    make_music(songs, scratch)
    shutil.move(songs / "song_a", folder)


def make_ljspeech(folder: Path, scratch: Scratch) -> None:
    write_corpus(folder / "wavs", clips=2, segment_s=0.5)
    for number, path in enumerate(sorted((folder / "wavs").iterdir())):
        path.rename(path.with_name(f"LJ00{number + 1}-0001.wav"))


def make_outputs(folder: Path, scratch: Scratch) -> None:
    """What three systems made of two clips."""
    for system in ("spline", "mu_gan", "band_extender"):
        write_corpus(folder / system, clips=2, segment_s=0.5)


def make_answers(folder: Path, scratch: Scratch) -> None:
    """Two listeners' answers to the listening test that the page has written before."""
    from tonezoo.analysis.listening_test import COLUMNS, read_key

    key = read_key(scratch.folder / "listening" / "key.json")
    first, second = key["systems"][:2]
    codes = {(sound["clip"], sound["system"]): code for code, sound in key["sounds"].items()}
    folder.mkdir()
    for listener in ("anna", "ben"):
        rows = [
            f"{key['test']},{listener},1,{clip},{codes[clip, first]},{codes[clip, second]},left,9,0"
            for clip in key["clips"]
        ]
        text = "\n".join((",".join(COLUMNS), *rows)) + "\n"
        (folder / f"{listener}.csv").write_text(text, encoding="utf-8")


INPUTS = {
    "outputs": make_outputs,
    "answers": make_answers,
    "LJSpeech-1.1": make_ljspeech,
    "falcon": make_stems,
    "rubidium": make_stems,
    "song.wav": make_song,
    "music": make_music,
    "low.wav": make_low,
    "speech": make_speech,
    "final": make_final,
    "VCTK-Corpus": make_vctk,
    "runs/mu_gan_small_x4": make_run,
}


def run_command(words: list[str], scratch: Scratch) -> str:
    run = COMMANDS[words[0]].run
    return run(words[1:], scratch) if run else ""


def check_tonezoo(words: list[str]) -> None:
    """The options are known to the parser; of training, the recipe and its settings too."""
    name, *arguments = words
    command = typer.main.get_command(app).commands[name]
    if isinstance(command, typer.core.TyperGroup):
        command = command.commands[arguments.pop(0)]
    parsed = command.make_context(name, list(arguments)).params
    if name == "train":
        override(load_recipe(parsed["recipe"]).config, parsed["settings"] or ())


def run_tonezoo(words: list[str], scratch: Scratch) -> str:
    if words[0] == "train":
        settings = list(TINY[type(load_recipe(words[1]).config)])
        if any(f"start_from={name}" in words for name in shipped_models()):
            settings.append(f"start_from={scratch.tiny_run()}")  # of the tiny preset as well
        words = [*words, *(word for setting in settings for word in ("--set", setting))]
    elif words[0] == "batch" and any(word.startswith("--runner") for word in words):
        return ""  # It needs a cluster.
    elif words[0] == "receptive-field":
        words = [*words, "--patches", "4"]
    elif words[0] == "evaluate" and "--data" not in words:
        return ""  # On minutes of made-up audio: tests of its own take a few seconds of it.
    elif words[0] == "app":
        return ""  # Serves until it is told to end: tests of its own open it.
    elif words[0] == "figures" and "--only" not in words:
        return ""  # Minutes and 6 GB: tests of their own draw them, smaller where they are large.
    elif words[0] == "serve":
        return run_serve(words[1], scratch)
    code, out, err = scratch.cli(*words)
    assert code == 0, err
    return out


def run_serve(folder: str, scratch: Scratch) -> str:
    """Serves a folder from this process, at free ports, where curl and clients find it."""
    from tonezoo.serving.server import Server
    from tonezoo.serving_commands import serving_line

    lines = []
    server = Server(folder, port=0, rest_port=0, report=lines.append)
    server.start()
    scratch.served.append(server)
    return "\n".join((*lines, serving_line("127.0.0.1", 8500, 8501), ""))


def check_pip(words: list[str]) -> None:
    install, what = words
    extras = re.fullmatch(r"(?:\.|tonezoo)(?:\[([\w,]+)\])?", what)
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert install == "install" and extras, f"pip {shlex.join(words)}"
    assert {*(extras[1] or "eval").split(",")} <= {*setup["options.extras_require"]}


def check_make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        variable = word.partition("=")[0] if "=" in word else None
        pattern = rf"\$\({variable}\)" if variable else rf"^{re.escape(word)}:"
        assert re.search(pattern, makefile, re.MULTILINE), f"the Makefile has no {word!r}"


def check_python(words: list[str]) -> None:
    """The module or script is there and knows the options; its own tests run it."""
    if words[0] == "-m":
        spec = importlib.util.find_spec(words[1])
        assert spec, f"there is no module {words[1]}"
        source, arguments = Path(spec.origin), words[2:]
    else:
        source, arguments = ROOT / words[0], words[1:]
    text = source.read_text(encoding="utf-8")
    for option in (word.partition("=")[0] for word in arguments if word.startswith("-")):
        assert f'"{option}"' in text, f"{source.name} has no {option}"


def check_gpu_run(words: list[str]) -> None:
    """Tables, or what `tonezoo train` or ablation.py takes; tests/test_benchmark_gpu.py trains."""
    if words[0] == "ablation":
        check_python(["benchmarks/ablation.py", *words[1:]])
    elif words != ["tables"]:
        assert words[0] == "train"
        check_tonezoo(words)


def check_tensorboard(words: list[str]) -> None:
    assert words[0] == "--logdir" and len(words) == 2
    scripts = importlib.metadata.distribution("tensorboard").entry_points
    assert "tensorboard" in scripts.select(group="console_scripts").names


def run_tensorboard(words: list[str], scratch: Scratch) -> str:
    """Starts no server; the folder has to hold what it would show."""
    assert [*(scratch.folder / words[1]).rglob("events.out.tfevents.*")]
    return ""


def check_docker(words: list[str]) -> None:
    """A bundle's server; or one folder, one name for it inside and for the server."""
    if words[0] == "compose":
        assert words[1] == "--project-directory" and words[3] in ("up", "down")
        return
    assert words[0] == "run" and words[-1] == "tensorflow/serving"
    source, target = words[words.index("-v") + 1].split(":")
    name = words[words.index("-e") + 1].removeprefix("MODEL_NAME=")
    assert target == f"/models/{name}" and source.startswith("$PWD/")


def run_docker(words: list[str], scratch: Scratch) -> str:
    """Starts no server; the folder has to hold what it would serve."""
    if words[0] == "compose":
        assert (scratch.folder / words[2] / "compose.yaml").is_file()
        return ""
    source = words[words.index("-v") + 1].partition(":")[0].removeprefix("$PWD/")
    assert versions(scratch.folder / source)
    return ""


def check_curl(words: list[str]) -> None:
    if len(words) == 1:
        assert re.fullmatch(rf"{REST}/(v1/models/\w+(/metadata)?|monitoring/.*)", words[0])
        return
    url, option, body = words
    assert re.fullmatch(r"http://localhost:8501/v1/models/\w+:predict", url) and option == "-d"
    assert json.loads(body)["instances"]


def run_curl(words: list[str], scratch: Scratch) -> str:
    """Asks the page's server, or gives the request to the signature as a server would.

    That is one row per signal, by input name.
    """
    if scratch.served:
        url = words[0].replace(REST, f"http://127.0.0.1:{scratch.served[-1].rest_port}")
        data = words[2].encode() if len(words) > 1 else None
        try:
            return urllib.request.urlopen(url, data).read().decode() + "\n"
        except urllib.error.HTTPError as error:
            return error.read().decode() + "\n"
    name = re.search(r"(\w+):predict", words[0])[1]
    request = json.loads(words[2])
    folder = scratch.folder / "savedmodels" / name
    model = tf.saved_model.load(str(folder / str(versions(folder)[-1])))
    signature = model.signatures[request.get("signature_name", "serving_default")]
    specs = signature.structured_input_signature[1]
    rows = request["instances"]
    if not isinstance(rows[0], dict):
        (only,) = specs
        rows = [{only: row} for row in rows]
    inputs = {
        key: tf.constant([row[key] for row in rows], spec.dtype) for key, spec in specs.items()
    }
    (output,) = signature(**inputs).values()
    assert np.isfinite(output).all()
    return json.dumps({"predictions": output.numpy().tolist()})


class Command(NamedTuple):
    check: Callable[[list[str]], None]
    run: Callable[[list[str], Scratch], str] | None = None


COMMANDS = {
    "tonezoo": Command(check_tonezoo, run_tonezoo),
    "pip": Command(check_pip),
    "make": Command(check_make),
    "python": Command(check_python),
    "tensorboard": Command(check_tensorboard, run_tensorboard),
    "benchmarks/gpu/run.sh": Command(check_gpu_run),
    "docker": Command(check_docker, run_docker),
    "curl": Command(check_curl, run_curl),
}
