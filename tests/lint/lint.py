#!/usr/bin/env python3
"""Lints that a compiler does not do: which folder may include which, what stays out of pure files, functions
that are banned, files that grew too long, and words that say that something is not finished.

    lint.py [ROOT]       checks the tree; prints file:line: rule: why
    lint.py --self-test  proves that each rule can fail, and that clean code passes

Ends with "N passed, N failed", one for each rule. Rules are described in docs/HACKING.md.
"""
import os
import re
import sys
import tempfile

# Lower number, lower layer. A file may include its own folder and lower layers; the three in the middle share a
# number, so none of them may include another.
LAYER = {"base": 0, "gossip": 1, "placement": 1, "dns": 1, "node": 2, "cli": 3}

# Pure: bytes, events and time in; bytes and actions out. Folders, and files by their path without suffix.
PURE_FOLDERS = ("base/", "gossip/", "placement/", "dns/")
PURE_FILES = {"node/reconcile", "node/reconcile_memory", "node/reconcile_run", "node/reconcile_start", "node/restarts",
              "node/reconcile_update", "node/view", "node/view_claims", "node/view_parts", "node/view_settings",
              "node/work", "node/work_parts", "node/work_refusals", "node/work_tell",
              "node/control/fill", "node/control/reason", "node/runtime/supervise", "node/runtime/watchdog", "node/health/thresholds"}
# base/log.h's sink is set by the edge; nothing in base reads a clock either.
IMPURE_INCLUDES = {
    "uv.h", "sys/socket.h", "netdb.h", "fcntl.h", "unistd.h", "sys/stat.h",
    "dirent.h", "sys/time.h", "sys/random.h", "poll.h", "sys/epoll.h", "signal.h", "pthread.h", "sqlite3.h",
    "microhttpd.h", "sys/wait.h", "sys/un.h",
}
IMPURE_CALLS = re.compile(
    r"(?<![\w.>])(clock_gettime|gettimeofday|time|nanosleep|usleep|sleep|fopen|open|openat|creat|socket|bind|connect|"
    r"sendto|recvfrom|sendmsg|recvmsg|getrandom|arc4random|randombytes\w*|rand|random|srand|getenv|fork|execve?|"
    r"system|popen|stat|unlink|rename|mkdir|opendir|getaddrinfo|localtime|localtime_r|syscall)\s*\(")

BANNED_CALLS = re.compile(
    r"(?<![\w.>])(strcpy|stpcpy|strcat|strncat|strncpy|sprintf|vsprintf|gets|rand|srand|strtok|atoi|atol|atoll|atof|alloca|"
    r"tmpnam|tempnam|mktemp|system|popen|asctime|ctime|gmtime|localtime|setjmp|longjmp|msgpack_unpack\w*)\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|TBD|not (?:yet )?implemented)\b")

LINES_MAX = 800       # above it, a file holds more than one idea: an error
LINES_WARN = 400      # a warning, to think about it before it grows
COLUMNS_MAX = 130     # clang-format breaks code at 114; a comment's table may be a little wider

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def blank_comments_and_strings(text):
    """The same text with the insides of comments and literals turned to blanks, so that lines keep their number."""
    out = []
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    at = 0
    for m in pattern.finditer(text):
        out.append(text[at:m.start()])
        out.append(re.sub(r"[^\n]", " ", m.group(0)))
        at = m.end()
    out.append(text[at:])
    return "".join(out)


def is_pure(path):
    return path.startswith(PURE_FOLDERS) or os.path.splitext(path)[0] in PURE_FILES


def rule_layers(path, text, code):
    """Includes point downward; gossip, placement and dns never include each other."""
    top = path.split("/")[0]
    if top not in LAYER:
        return
    for number, line in enumerate(text.splitlines(), 1):
        m = INCLUDE.match(line)
        if not m or not m.group(1):
            continue
        target = m.group(1).split("/")[0]
        if "/" not in m.group(1) or target not in LAYER:
            yield number, f'"{m.group(1)}" is not a path from the root of the tree'
        elif target != top and LAYER[target] >= LAYER[top]:
            yield number, f"{top}/ may not include {m.group(1)}: includes point downward, and siblings never meet"


def rule_pure(path, text, code):
    """No clock, randomness, socket, file or uv.h in pure files."""
    if not is_pure(path):
        return
    for number, line in enumerate(text.splitlines(), 1):
        m = INCLUDE.match(line)
        if m and m.group(2) in IMPURE_INCLUDES:
            yield number, f"<{m.group(2)}> reaches the outside; this file is pure"
    for number, line in enumerate(code.splitlines(), 1):
        m = IMPURE_CALLS.search(line)
        if m:
            yield number, f"{m.group(1)}() reaches the outside; this file is pure"


def rule_banned(path, text, code):
    """Functions without a bound, with hidden state, or with a better one in base/."""
    for number, line in enumerate(code.splitlines(), 1):
        m = BANNED_CALLS.search(line)
        if m:
            yield number, f"{m.group(1)}() is banned: use base/text.h, snprintf, or a bounded call"


def rule_unfinished(path, text, code):
    """Nothing in the tree says that it is not finished."""
    for number, line in enumerate(text.splitlines(), 1):
        m = UNFINISHED.search(line)
        if m:
            yield number, f"'{m.group(1)}': finish it, or file it as an issue"


def rule_length(path, text, code):
    """One idea a file."""
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield lines, f"{lines} lines; at most {LINES_MAX}, since one file holds one idea"


def rule_text(path, text, code):
    """Ends with a newline, no trailing blanks, no line much wider than 114 columns."""
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "no newline at the end"
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
        if len(line.expandtabs(8)) > COLUMNS_MAX:
            yield number, f"{len(line.expandtabs(8))} columns; at most {COLUMNS_MAX}"


def rule_guard(path, text, code):
    """A header's guard is its path, so that no two are the same."""
    if not path.endswith(".h"):
        return
    want = re.sub(r"[^A-Z0-9]", "_", path.upper())
    m = re.search(r"^#ifndef (\w+)\n#define (\w+)$", text, re.M)
    if not m or m.group(1) != want or m.group(2) != want:
        yield 1, f"the include guard must be {want}"


RULES = [rule_layers, rule_pure, rule_banned, rule_unfinished, rule_length, rule_text, rule_guard]
# Tests may be long, and their fixtures copy texts that they know; sanitizers watch them.
TEST_RULES = [rule_unfinished, rule_text]


def sources(root):
    for top in [*LAYER, "tests"]:
        for folder, subs, files in os.walk(os.path.join(root, top)):
            subs.sort()
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def check(root, warn=print):
    """Findings per rule: {rule: [(path, line, why)]}."""
    found = {rule: [] for rule in RULES}
    n = 0
    for path in sources(root):
        n += 1
        with open(os.path.join(root, path), encoding="utf-8") as f:
            text = f.read()
        code = blank_comments_and_strings(text)
        is_test = path.startswith("tests/")
        if not is_test and LINES_WARN < text.count("\n") <= LINES_MAX:
            warn(f"{path}: warning: {text.count(chr(10))} lines; think of splitting it above {LINES_WARN}")
        for rule in TEST_RULES if is_test else RULES:
            found[rule] += [(path, line, why) for line, why in rule(path, text, code)]
    return found, n


GUARD = "#ifndef {0}\n#define {0}\n{1}#endif\n"
# (path, text, the rule that must speak, or None)
CASES = [
    ("gossip/a.c", '#include "base/err.h"\n', None),
    ("gossip/a.c", '#include "placement/view.h"\n', rule_layers),
    ("dns/a.c", '#include "gossip/gossip.h"\n', rule_layers),
    ("placement/spec/a.c", '#include "dns/zone.h"\n', rule_layers),
    ("base/a.c", '#include "gossip/gossip.h"\n', rule_layers),
    ("node/a.c", '#include "cli/output.h"\n', rule_layers),
    ("node/a.c", '#include "gossip/gossip.h"\n#include "dns/zone.h"\n#include <uv.h>\n', None),
    ("cli/a.c", '#include "output.h"\n', rule_layers),
    ("gossip/a.c", "#include <uv.h>\n", rule_pure),
    ("base/a.c", "#include <time.h>\nlong f(void)\n{\n\treturn time(NULL);\n}\n", rule_pure),
    ("placement/a.c", "void f(void)\n{\n\trandombytes_buf(p, 4);\n}\n", rule_pure),
    ("node/reconcile.c", "#include <fcntl.h>\n", rule_pure),
    ("node/view.c", "#include <uv.h>\n", rule_pure),
    ("node/runtime/supervise.c", "#include <unistd.h>\n", rule_pure),
    ("node/health/thresholds.c", "#include <sys/socket.h>\n", rule_pure),
    ("node/health/tcp.c", "#include <sys/socket.h>\n", None),
    ("gossip/a.c", "/* no socket( here */\nint f(struct s *s)\n{\n\treturn s->open(s);\n}\n", None),
    ("node/a.c", "void f(void)\n{\n\tstrcpy(a, b);\n}\n", rule_banned),
    ("cli/a.c", "void f(void)\n{\n\tsprintf(a, b);\n}\n", rule_banned),
    ("cli/a.c", 'void f(void)\n{\n\tputs("strcpy(a, b)");\n}\n', None),
    ("tests/unit/base/test_a.c", "void f(void)\n{\n\tstrcat(a, b);\n}\n", None),
    ("tests/unit/base/test_a.c", "/* " + "FIX" + "ME */\n", rule_unfinished),
    ("node/a.c", "/* " + "TO" + "DO */\n", rule_unfinished),
    ("node/a.c", "/* " + "FIX" + "ME later */\n", rule_unfinished),
    ("node/a.c", "\n" * (LINES_MAX + 1), rule_length),
    ("node/a.c", "\n" * LINES_MAX, None),
    ("node/a.c", "int a; \n", rule_text),
    ("node/a.c", "int a;", rule_text),
    ("node/a.c", "int " + "a" * 200 + ";\n", rule_text),
    ("node/a.h", GUARD.format("NODE_A_H", ""), None),
    ("node/a.h", GUARD.format("A_H", ""), rule_guard),
]


def self_test():
    passed = failed = 0
    for path, text, expected in CASES:
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.dirname(os.path.join(root, path)))
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
            found, _ = check(root, warn=lambda _: None)
        spoke = {rule for rule, findings in found.items() if findings}
        if spoke == ({expected} if expected else set()):
            passed += 1
        else:
            failed += 1
            names = sorted(rule.__name__ for rule in spoke)
            print(f"self-test: {path} {text[:60]!r}: expected {getattr(expected, '__name__', None)}, got {names}")
    for rule in RULES:
        if not any(expected is rule for _, _, expected in CASES):
            failed += 1
            print(f"self-test: nothing proves that {rule.__name__} can fail")
    return passed, failed


def main():
    if sys.argv[1:] == ["--self-test"]:
        passed, failed = self_test()
    else:
        root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "..")
        found, n = check(root)
        passed = failed = 0
        for rule, findings in found.items():
            for path, line, why in findings:
                print(f"{path}:{line}: {rule.__name__[5:]}: {why}")
            passed, failed = (passed, failed + 1) if findings else (passed + 1, failed)
        if n == 0:
            print(f"{root}: no sources found")
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
