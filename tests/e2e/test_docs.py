"""The documents' examples are real: every Compose file in them is one that validate takes."""
import os
import re

import pytest

from conftest import ROOT


def examples():
    for folder, _, names in os.walk(os.path.join(ROOT, "docs")):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.endswith(".yaml"):
                with open(path, encoding="utf-8") as f:
                    yield pytest.param(f.read(), id=os.path.relpath(path, ROOT))
    for name in ["README.md", *(os.path.join("docs", n) for n in sorted(os.listdir(os.path.join(ROOT, "docs"))) if n.endswith(".md"))]:
        with open(os.path.join(ROOT, name), encoding="utf-8") as f:
            blocks = re.findall(r"^```ya?ml\n(.*?)^```", f.read(), re.M | re.S)
        for i, block in enumerate(b for b in blocks if re.search(r"^services:", b, re.M)):
            yield pytest.param(block, id=f"{name}-{i + 1}")


@pytest.mark.parametrize("text", examples())
def test_an_example_is_valid(flock, text):
    f = flock(1, up=False)
    f.cli("validate", f.write("example/compose.yaml", text), peer=None)
