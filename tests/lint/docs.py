#!/usr/bin/env python3
"""Do the documents speak of what is there: links to files and headings, paths in backticks, verbs of the command
line, targets of make, and of gossip's constants as they are. --self-test proves that each can fail. Ends with "N passed,
N failed", one for each rule."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:base|gossip|placement|dns|node|cli|tests|docs|packaging)/[\w./*<>-]*)`")
MAKE = re.compile(r"`make (?:[A-Z]+=\S+ )*([a-z][a-z0-9-]*)")
VERB = re.compile(r"(?:^|\$ +|`)starling ([a-z]+(?: [a-z]+)?)", re.M)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def documents(root):
    found = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "*.md"], text=True, capture_output=True, check=False)
    names = found.stdout.split() if found.returncode == 0 else []
    return sorted(n for n in names if os.path.exists(os.path.join(root, n)))


def anchors(text):
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ +(.+?) *$", text, re.M)}


def rule_links(root, name, text):
    """Every link of the tree leads to a file, and to a heading that it has."""
    for number, line in enumerate(text.splitlines(), 1):
        for target in LINK.findall(line):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(root, os.path.dirname(name), path)) if path else os.path.join(root, name)
            if not os.path.exists(full):
                yield number, f"no file {path}"
            elif anchor and full.endswith(".md") and anchor not in anchors(read(full)):
                yield number, f"{path or name} has no heading #{anchor}"


def rule_paths(root, name, text):
    """A path in backticks exists, unless it holds a pattern."""
    for number, line in enumerate(text.splitlines(), 1):
        for path in PATH.findall(line):
            if not re.search(r"[*<>]", path) and not os.path.exists(os.path.join(root, path.rstrip("."))) and not any(
                    os.path.exists(os.path.join(root, path + end)) for end in (".c", ".h", ".md")):
                yield number, f"no such path: {path}"


def rule_targets(root, name, text):
    """`make TARGET` is a target."""
    rules = "".join(read(os.path.join(root, n)) for n in ("Makefile", "tests/tests.mk", "packaging/packaging.mk")
                    if os.path.exists(os.path.join(root, n)))
    for number, line in enumerate(text.splitlines(), 1):
        for target in MAKE.findall(line):
            if not re.search(rf"^{target}:", rules, re.M):
                yield number, f"make has no target {target}"


def rule_verbs(root, name, text):
    """`starling VERB` is in the verb table."""
    table = os.path.join(root, "cli/verbs.c")
    verbs = set(re.findall(r'VERB\("([a-z ]+)", (?:NULL|"([a-z]+)")', read(table))) if os.path.exists(table) else set()
    known = {"shim"} | {v for v, _ in verbs} | {alias for _, alias in verbs if alias}
    for number, line in enumerate(text.splitlines(), 1):
        for words in VERB.findall(line):
            if words.split()[0] not in known and words not in known:
                yield number, f"the command line has no verb '{words}'"


def tree(root, folder):
    """The text of all C files of a folder and those below."""
    return "".join(read(os.path.join(at, f)) for at, _, files in sorted(os.walk(os.path.join(root, folder)))
                   for f in sorted(files) if f.endswith((".c", ".h")))


def in_base_units(text):
    """'10 s', '1 min', '400 ms', '4,096' as a number; times in milliseconds."""
    found = re.fullmatch(r"([\d,]+)(?: (ms|s|min))?", text.strip())
    return int(found[1].replace(",", "")) * {None: 1, "ms": 1, "s": 1000, "min": 60000}[found[2]] if found else None


def rule_constants(root, name, text):
    """A table's row that begins with a constant of gossip/ in backticks gives its value; one that begins with a field of
    the tuning tables gives those of lan, wan, local."""
    code = tree(root, "gossip")
    defines = {n: int(v) * {"": 1, "SECONDS(": 1000, "MINUTES(": 60000}[unit or ""]
               for n, unit, v in re.findall(r"^#define ([A-Z][A-Z0-9_]+) +(SECONDS\(|MINUTES\()?(\d+)\)?(?= *$| */)", code, re.M)}
    profiles = [re.search(rf"\[PROFILE_{p}\] = \{{(.*?)\}}", code, re.S) for p in ("LAN", "WAN", "LOCAL")]
    tuning = [dict(re.findall(r"\.(\w+) = (\d+)", p[1])) for p in profiles] if all(profiles) else []
    for number, line in enumerate(text.splitlines(), 1):
        row = [c.strip() for c in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if len(row) < 2 or not re.fullmatch(r"`\w+`", row[0]):
            continue
        what, told = row[0].strip("`"), in_base_units(row[1])
        if what in defines and told is not None and told != defines[what]:
            yield number, f"{what} is {defines[what]} in gossip/, not {row[1]}"
        if tuning and what in tuning[0] and len(row) >= 4 and [in_base_units(c) for c in row[1:4]] != [int(t[what]) for t in tuning]:
            yield number, f"{what} is {', '.join(t[what] for t in tuning)} in gossip/tuning.c"
        if what.isupper() and told is not None and what not in defines and name == "docs/gossip.md":
            yield number, f"gossip/ has no constant {what} with a plain value"


RULES = [rule_links, rule_paths, rule_targets, rule_verbs, rule_constants]
CASES = [("| `LIMIT_MS` | 10 s |", None), ("| `LIMIT_MS` | 11 s | why |", rule_constants), ("| `period` | 1 | 2 | 3 |", None),
         ("| `period` | 1 | 2 | 4 |", rule_constants),
         ("[a](b.md)", rule_links), ("[a](#none)", rule_links), ("# Some, title\n[a](#some-title) [b](https://x.y/z)", None),
         ("see `base/none.c`", rule_paths), ("see `tests/unit/<layer>/test_*.c`", None), ("`make nothing`", rule_targets),
         ("`make all`", None), ("$ starling fly", rule_verbs), ("`starling token create`, `starling ps hello`", None)]


def self_test():
    failed = 0
    for text, expected in CASES:
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(os.path.join(root, "cli"))
            os.mkdir(os.path.join(root, "gossip"))
            for path, body in (("Makefile", "all: x\n"), ("cli/verbs.c", 'VERB("token create", NULL, \nVERB("ps", "list", \n'), ("x.md", text),
                               ("gossip/x.h", "#define LIMIT_MS SECONDS(10)\n[PROFILE_LAN] = {.period = 1}, [PROFILE_WAN] = {.period = 2}, "
                                "[PROFILE_LOCAL] = {.period = 3}\n")):
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(body)
            spoke = {rule for rule in RULES if list(rule(root, "x.md", text))}
        if spoke != ({expected} if expected else set()):
            failed += 1
            print(f"self-test: {text!r}: got {sorted(r.__name__ for r in spoke)}")
    return len(CASES) - failed, failed


def main():
    if sys.argv[1:] == ["--self-test"]:
        passed, failed = self_test()
    else:
        names, passed, failed = documents(ROOT), 0, 0
        for rule in RULES:
            found = [(n, line, why) for n in names for line, why in rule(ROOT, n, read(os.path.join(ROOT, n)))]
            for n, line, why in found:
                print(f"{n}:{line}: {rule.__name__[5:]}: {why}")
            passed, failed = (passed, failed + 1) if found else (passed + 1, failed)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
