"""A Griffe extension that makes Markdown of docstrings: examples, names that go over lines."""

import re

import griffe

# From a prompt to the next empty line.
EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)
# Names of arguments that share a description, the last ones on the next line.
NAMES = re.compile(r"^( +(?:\w+, )*\w+,)\n +((?:\w+, )*\w+: )", re.MULTILINE)


def as_markdown(text: str) -> str:
    """Returns a docstring whose examples are fenced: in Markdown they would be quotations.

    Names that share a description come on one line, as Griffe reads them.

    >>> as_markdown("  width, height,\\n      depth: in m.")
    '  width, height, depth: in m.'
    """
    text = NAMES.sub(r"\1 \2", text)
    return EXAMPLE.sub(lambda found: f"{found[1]}```pycon\n{found[0]}\n{found[1]}```", text)


class Docstrings(griffe.Extension):
    """Makes Markdown of every docstring that is read."""

    def on_object(self, *, obj: griffe.Object, **others) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
