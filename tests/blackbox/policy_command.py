# SPDX-License-Identifier: GPL-2.0-or-later
"""`skerry policy`: whoever mends a policy learns all that is wrong, where, and what to write instead."""

import json
import os
import pty
import select
import shutil
import subprocess

from harness import *

ZERO = "00000000-0000-0000-0000-000000000000"


def qube(number, **more):
    made = {"tags": [], "type": "AppVM", "template_for_dispvms": False, "default_dispvm": "dvm",
            "icon": "appvm-red", "label": "0xcc0000", "guivm": "dom0", "power_state": "Running",
            "uuid": "%08d-0000-4000-8000-000000000000" % number, "internal": None, "relayvm": None,
            "transport_rpc": None}
    made.update(more)
    return made


FACTS = {"domains": {
    "dom0": qube(0, type="AdminVM", uuid=ZERO), "work": qube(1), "vault": qube(2, tags=["v"]),
    "dvm": qube(3, template_for_dispvms=True, label="0x00ff00"), "nodisp": qube(4, default_dispvm=None),
    "far": qube(5, type="RemoteVM", relayvm="work", transport_rpc="t.R"), "hid": qube(6, internal="1")}}


class Policy:
    """A root with policy files; names are below etc/qubes/policy.d unless they begin with a slash."""

    def __init__(self, t, files, facts=True):
        self.t = t
        self.dir = "root/etc/qubes/policy.d/"
        for folder in ("run/qubes/policy.d", "etc/qubes-rpc/policy"):
            os.makedirs(t.path("root", folder), exist_ok=True)
        for name, text in files.items():
            self.write(name, text)
        if facts:
            t.file("facts", json.dumps(FACTS))

    def write(self, name, text):
        return self.t.file("root" + name if name[0] == "/" else self.dir + name, text)

    def path(self, name=""):
        return self.t.path((self.dir + name).rstrip("/"))

    def run(self, *args, status=0, facts=True, json_lines=False):
        """(stdout, stderr) of `skerry policy ARGS`, as text; the exit status is checked."""
        words = ["policy", *args] + (["--system-info=" + self.t.path("facts")] if facts else [])
        p = self.t.start("skerry", *(["--json"] if json_lines else []), *words)
        got = p.wait()
        out, err = p.stdout.decode(), p.stderr.decode()
        check("\033" not in out + err, "no colours where nobody sees them")
        equal(got, status, "exit status; " + out + err)
        if json_lines:
            return [json.loads(line) for line in out.splitlines()]
        return out, err


def places(text):
    """[(file, line, column)] of the messages, without what is shown below them."""
    found = []
    for line in text.splitlines():
        head = line.split(": ")[0]
        if ": error: " in line or ": warning: " in line:
            parts = os.path.basename(head).split(":")
            found.append((parts[0], *(int(p) for p in parts[1:])))
    return found


BROKEN = {
    "10-a.policy": "# fine\na.B * work vault maybe\na.B * work vault allow # no\na.B work vault\n",
    "20-b.policy": "!include include/inc\n!include include/none\n!foo\n",
    "30-c.policy": "ok.S * work vault allow\nx y z\n!include-service a.B * include/svc\n",
    "40-d.policy": b"# line 1\nfoo * \xff\xfe vault allow\n",
    "50-e.policy": "!include include/loop\n",
    "include/inc": "a.B * @nosuch vault allow\n",
    "include/svc": "$anyvm vault allow,bad\nwork  $tag: deny\n",
    "include/loop": "# round and round\n!include include/loop\n",
    "Big.policy": "a.B * work vault deny\n",
}


@case("check reports every fault of a directory, each with its place and cure")
def _(t):
    p = Policy(t, BROKEN)
    for args in ((), (p.path(),), ("--policy-dir=" + p.path(),), ("--policy-dir", p.path())):
        out, err = p.run("check", *args, status=1)
        equal(sorted(set(places(err))), sorted([
            ("Big.policy",), ("10-a.policy", 2, 18), ("10-a.policy", 3, 24), ("10-a.policy", 4),
            ("inc", 1, 7), ("20-b.policy", 2, 10), ("20-b.policy", 3, 1), ("30-c.policy", 2),
            ("svc", 1, 20), ("svc", 2, 7), ("40-d.policy", 2), ("loop", 2, 10)]))
        equal(out, "12 errors, 0 warnings\n")
    for cure in ("write allow, ask or deny", "a comment needs a line of its own",
                 "save it in that encoding", "rename or remove it", "remove one of the !include",
                 "there are !include, !include-dir", "a relative path starts at the policy directory",
                 "'$tag:': something must follow".replace("$", "@"), "SERVICE ARGUMENT SOURCE TARGET"):
        check(cure in err, "a cure: " + cure)


@case("check --json: one object a line, nothing else")
def _(t):
    p = Policy(t, BROKEN)
    lines = p.run("check", status=1, json_lines=True)
    equal(len(lines), 12)
    one = [x for x in lines if x["line"] == 2 and x["file"].endswith("10-a.policy")]
    equal(one, [{"level": "error", "kind": "syntax", "code": "action", "file": p.path("10-a.policy"),
                 "line": 2, "column": 18, "length": 5,
                 "text": "'maybe' is not an action; write allow, ask or deny"}])
    equal({x["kind"] for x in lines}, {"syntax", "filename", "encoding", "recursion"})


@case("check --json is JSON whatever bytes names and lines hold")
def _(t):
    p = Policy(t, {"10-a.policy": "a.B * work vault \u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
                                  "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\n"})
    with open(os.fsencode(p.path()) + b"/30-\xe9\x1b[31m.policy", "w") as f:
        f.write("")
    lines = p.run("check", status=1, json_lines=True)
    equal([x["kind"] for x in lines], ["filename", "syntax"])
    equal(lines[1]["length"], 15)
    out, err = p.run("check", status=1)
    check("30-__[31m.policy" in err, "a terminal is not told what to do by a name")


@case("check: the caret stands below the word, behind tabs and letters of any width")
def _(t):
    rows = [("a.B * work vault maybe", 17, 5), ("a.B\t*\twork\tvault\tmaybe", 17, 5),
            ("\t a.B * w\u00f6rk v\u00e4ult maybe", 19, 5), ("a.B * \u65e5\u672c vault maybe", 17, 5),
            ("a.B * e\u0301 vault maybe", 15, 5), ("a.B * work vault m\u65e5\u672cb", 17, 6),
            ("a.B\u3000* work vault maybe", 17, 5)]
    p = Policy(t, {"10-a.policy": "".join(row[0] + "\n" for row in rows)})
    err = p.run("check", status=1)[1].splitlines()
    equal(len(err), 3 * len(rows))
    for i, (text, column, length) in enumerate(rows):
        # What lib/untrusted does not let a terminal have is one '_'.
        equal(err[3 * i + 1], "  " + text.replace("\t", " ").replace("\u0301", "_").replace("\u3000", "_"))
        equal(err[3 * i + 2], "  " + " " * column + "^" + "~" * (length - 1), text)


@case("check warns of what is legal and surely not meant")
def _(t):
    p = Policy(t, {
        "10-a.policy": "a.B * nobo vault allow\n"          # 1 no such qube
                       "a.B * work $anyvm allow\n"         # 2 a keyword of 4.0
                       "a.B * @anyvm vault deny\n"         # 3
                       "a.B +x work vault allow\n"         # 4 never reached
                       "c.D * work vault ask\n"            # 5
                       "c.D * work vault ask\n"            # 6 the same again
                       "c.D * work nodisp ask target=gone default_target=@dispvm:gone\n"  # 7 two words
                       "e.F * @dispvm:dvm vault allow\n"   # 8 never matches
                       "c.D * dom0 uuid:%s ask\n" % ZERO,  # 9 fine
        "20-b.policy.bak": "", "20-b.policy~": "", "README": "", "30-C.POLICY": "", ".40.policy": "",
        ".hidden": "", "50-e.policy": "# empty\n", "/run/qubes/policy.d/50-e.policy": "",
        "include/unread-bad": "# nobody\nreads this\n", "include/unread-service": "@anyvm vault deny\n",
        "include/unread-rules": "a.B * work vault deny\n"})
    os.symlink("nowhere", p.path("60-f.policy"))
    os.mkdir(p.path("70-g.policy"))
    out, err = p.run("check")
    equal(places(err), [
        ("10-a.policy", 1, 7), ("10-a.policy", 2, 12), ("10-a.policy", 4), ("10-a.policy", 6),
        ("10-a.policy", 7, 23), ("10-a.policy", 7, 35), ("10-a.policy", 8, 7),
        (".40.policy",), ("20-b.policy.bak",), ("20-b.policy~",), ("30-C.POLICY",), ("50-e.policy",),
        ("60-f.policy",), ("70-g.policy",), ("README",), ("unread-bad", 2)])
    equal(out, "0 errors, 16 warnings\n")
    for cure in ("there is no qube 'nobo'; correct the name", "write @anyvm",
                 "covered by %s:3" % p.path("10-a.policy"), "same call as %s:5" % p.path("10-a.policy"),
                 "hidden by", "does not end in .policy; rename", "this link leads nowhere; mend",
                 "it is a directory; use !include-dir", "broken in both formats"):
        check(cure in err, "a cure: " + cure)
    levels = {x["level"] for x in p.run("check", json_lines=True)}
    equal(levels, {"warning"})


@case("check without facts says nothing about qubes; a clean policy is clean")
def _(t):
    p = Policy(t, {"10-a.policy": "a.B * nobo vault allow\n"})
    equal(p.run("check", facts=False), ("0 errors, 0 warnings\n", ""))
    out, err = p.run("check", "--system-info=/nonexistent", facts=False, status=1)
    check("/nonexistent: No such file" in err, "facts that cannot be read are an error")


@case("check FILE: its lines alone, includes not followed")
def _(t):
    p = Policy(t, BROKEN)
    one, two = p.path("10-a.policy"), p.path("50-e.policy")
    equal(p.run("check", two), ("0 errors, 0 warnings\n", ""))
    equal(p.run("check", one, two, status=1)[0], "3 errors, 0 warnings\n")
    out, err = p.run("check", "/nonexistent", status=1)
    check("/nonexistent: error: cannot read" in err, "a missing file is an error")


RULES = {"10-a.policy": "# first\n"
                        "a.B * work vault allow target=dvm user=bob\n"
                        "a.B * work @tag:v deny\n"
                        "a.B * @anyvm @anyvm ask default_target=vault\n"
                        "a.B * * * deny notify=no\n",
         "20-b.policy": "c.D +x work far allow\nc.D * work @dispvm allow\nc.D * * @anyvm deny\n"}


@case("why: the rule that decides, those behind it, the answer; by the exit status too")
def _(t):
    p = Policy(t, RULES)
    out, err = p.run("why", "work", "vault", "a.B+x")
    equal(out.splitlines(), [
        "allow: work -> vault, a.B+x",
        "  decided  %s:2  a.B * work vault allow target=dvm user=bob" % p.path("10-a.policy"),
        "  then     %s:3  a.B * work @tag:v deny" % p.path("10-a.policy"),
        "  then     %s:4  a.B * @anyvm @anyvm ask default_target=vault" % p.path("10-a.policy"),
        "  then     %s:5  a.B * * * deny notify=no" % p.path("10-a.policy"),
        "answer:", "  user=bob", "  result=allow", "  target=dvm",
        "  target_uuid=uuid:00000003-0000-4000-8000-000000000000", "  autostart=True",
        "  requested_target=vault"])
    out, err = p.run("why", "work", "gone", "a.B")
    check("'gone' is no qube here and counts as @default" in out, "an unknown target is said")
    equal(out.splitlines()[-1], "offered: @dispvm:dvm dvm far nodisp")
    out, err = p.run("why", "work", "vault", "c.D", status=1)
    check(out.startswith("deny (policy): work -> vault, c.D\n"), out)
    out, err = p.run("why", "work", "vault", "z", status=1)
    equal(out, "deny (no_match): work -> vault, z\n")
    for wrong in ((), ("work",), ("work", "vault"), ("work", "vault", "a.B", "more")):
        check("usage: skerry policy" in p.run("why", *wrong, status=2)[1], "usage")


@case("why: a call to self is refused when it is carried out, as text and as JSON")
def _(t):
    p = Policy(t, {"1.policy": "a.B * * @anyvm allow\n"})
    check("loopback" in p.run("why", "work", "work", "a.B", status=1)[0], "loopback")
    one = p.run("why", "work", "work", "a.B", status=1, json_lines=True)[0]
    equal((one["result"], one["reason"], one["answer"]), ("deny", "loopback", "result=deny"))


@case("why --json")
def _(t):
    p = Policy(t, RULES)
    one, = p.run("why", "work", "far", "c.D+x", json_lines=True)
    equal(one, {"result": "allow", "reason": "none", "source": "work", "requested": "far", "target": "far",
                "answer": "user=DEFAULT\nresult=allow\ntarget=work\n"
                          "target_uuid=uuid:00000001-0000-4000-8000-000000000000\nautostart=True\n"
                          "requested_target=far\nservice=t.R+far+c.D+x",
                "decided_by": {"file": p.path("20-b.policy"), "line": 1, "rule": "c.D +x work far allow"},
                "next": [{"file": p.path("20-b.policy"), "line": 3, "rule": "c.D * * @anyvm deny"}]})
    one, = p.run("why", "nodisp", "vault", "a.B", json_lines=True)
    equal((one["result"], one["offered"], one["default"]),
          ("ask", ["@dispvm:dvm", "dvm", "far", "vault", "work"], "vault"))
    one, = p.run("why", "work", "vault", "z", status=1, json_lines=True)
    equal((one["result"], one["reason"], one["decided_by"], one["next"]), ("deny", "no_match", None, []))


@case("list: the rules in their order, chosen by the words as written")
def _(t):
    p = Policy(t, RULES)
    out, err = p.run("list", facts=False)
    equal([line.split("\t")[1] for line in out.splitlines()],
          [line for text in RULES.values() for line in text.splitlines() if line[0] != "#"])
    equal(out.splitlines()[0].split("\t")[0], p.path("10-a.policy") + ":2")
    equal(len(p.run("list", "--service=c.D", facts=False)[0].splitlines()), 3)
    equal(len(p.run("list", "--source", "work", "--service=a.B", facts=False)[0].splitlines()), 2)
    equal(len(p.run("list", "--target=@anyvm", facts=False)[0].splitlines()), 2)
    equal(p.run("list", "--target=nobody", facts=False)[0], "")
    equal(p.run("list", "--service=c.D", "--source=*", facts=False, json_lines=True),
          [{"file": p.path("20-b.policy"), "line": 3, "rule": "c.D * * @anyvm deny"}])
    p.run("list", "word", facts=False, status=2)
    p.write("30-c.policy", "broken\n")
    out, err = p.run("list", facts=False, status=1)
    check("30-c.policy:1: error:" in err and out == "", "a broken policy is no list")


def edges(out):
    return [line.strip() for line in out.splitlines() if "->" in line]


@case("graph: who may call whom; dot reads it")
def _(t):
    p = Policy(t, RULES)
    out, err = p.run("graph")
    equal(sorted(edges(out)), [
        '"work" -> "@dispvm:dvm" [label="c.D" color=red];', '"work" -> "@dispvm:dvm" [label="c.D+x" color=red];',
        '"work" -> "dvm" [label="a.B" color=red];', '"work" -> "far" [label="c.D+x" color=red];'])
    check('  "dvm" [color = "#00ff00", penwidth = 3];' in out, "colours of the labels")
    check('  "@dispvm:dvm" [style = dotted];' in out, "disposables are dotted")
    asked, err = p.run("graph", "--include-ask")
    check('"nodisp" -> "vault" [label="a.B" color=orange];' in asked, "asked for")
    equal(len(set(edges(asked))), len(edges(asked)))
    equal(edges(p.run("graph", "--service=c.D+y")[0]), ['"work" -> "@dispvm:dvm" [label="c.D+y" color=red];'])
    equal(edges(p.run("graph", "--source=nodisp")[0]), [])
    equal(edges(p.run("graph", "--target=far")[0]), ['"work" -> "far" [label="c.D+x" color=red];'])
    equal(p.run("graph", "--target=far", json_lines=True),
          [{"source": "work", "target": "far", "service": "c.D+x", "action": "allow"}])
    p.run("graph", "word", status=2)
    p.run("graph", "--system-info=/nonexistent", facts=False, status=1)
    # A policy for every service, and names that end a text in dot's language.
    p.write("05.policy", "* * * * allow\n")
    odd, err = p.run("graph", "--service=any", '--source=a"b\\c')
    check(r'"a\"b\\c" -> "work"' in odd, "quotes are quoted")
    if not shutil.which("dot"):
        raise Skip("no dot here; it comes with graphviz")
    for text in (out, asked, odd):
        done = subprocess.run(["dot", "-Tcanon"], input=text, capture_output=True, text=True, timeout=60)
        equal((done.returncode, done.stderr), (0, ""))


@case("test FILE: a user's expectations against the policy")
def _(t):
    p = Policy(t, RULES)
    good = t.file("good", "# what must hold\n\nwork vault a.B+x allow target=dvm user=bob\n"
                          "  work\tvault c.D deny\r\nnodisp vault a.B ask\nwork far c.D+x allow target=far\n")
    out, err = p.run("test", good)
    equal([line.split(" - ")[0] for line in out.splitlines()], ["ok 1", "ok 2", "ok 3", "ok 4", "1..4"])
    bad = t.file("bad", "work vault a.B allow target=vault\nwork vault a.B deny\nwork vault z allow\n"
                        "nonsense\nwork vault a.B perhaps\nwork vault a.B allow colour=red\n"
                        "work vault c.D deny\n")
    out, err = p.run("test", bad, status=1)
    lines = out.splitlines()
    equal([line.split(" - ")[0] for line in lines if not line.startswith("#")],
          ["not ok %d" % n for n in range(1, 7)] + ["ok 7", "1..7"])
    equal(lines[1], "# line 1: target is dvm")
    equal(lines[3], "# line 2: it is allow, by %s:2" % p.path("10-a.policy"))
    equal(lines[5], "# line 3: it is deny no_match")
    equal([x["ok"] for x in p.run("test", bad, status=1, json_lines=True)], [False] * 6 + [True])
    p.run("test", "/nonexistent", status=1)
    p.run("test", status=2)


@case("a qube's call to itself is no allow for a test either")
def _(t):
    p = Policy(t, {"1.policy": "a.B * * * allow\n"})
    p.run("test", t.file("f", "work work a.B deny\nwork vault a.B allow\n"))


@case("options stand anywhere; wrong ones and missing values are said with the usage")
def _(t):
    p = Policy(t, RULES)
    equal(p.run("--policy-dir=" + p.path(), "list", facts=False), p.run("list", facts=False))
    for wrong in ((), ("nothing",), ("--wrong", "list"), ("list", "--service"), ("list", "--policy-dir"),
                  ("list", *["--policy-dir=/x"] * 9), ("why", *["x"] * 80)):
        out, err = p.run(*wrong, facts=False, status=2)
        check(out == "" and err.startswith("usage: skerry policy"), "usage for " + repr(wrong))
    for words in (("--help",), ("check", "--help"), ("why", "-h")):
        out, err = p.run(*words, facts=False)
        check(out.startswith("usage: skerry policy") and err == "", "help is no error")
    equal(p.run("list", "--", "--help", facts=False, status=2)[0], "")
    out, err = p.run("list", "--policy-dir=/nonexistent", facts=False, status=1)
    check("/nonexistent: error: cannot read this directory" in err, "a missing directory is named")


@case("the run directory hides files of the same name and comes first")
def _(t):
    p = Policy(t, {"20-b.policy": "a.B * * * allow\n", "/run/qubes/policy.d/20-b.policy": "",
                   "/run/qubes/policy.d/10-r.policy": "a.B * work vault deny\n"})
    out, err = p.run("list", facts=False)
    equal(out.split("\t")[1], "a.B * work vault deny\n")


def on_terminal(t, *args, **env):
    """What `skerry ARGS` prints on a terminal."""
    ours, theirs = pty.openpty()
    p = t.start("skerry", *args, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    data = b""
    while True:
        try:
            select.select([ours], [], [], 60)
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        data += chunk
    os.close(ours)
    p.wait()
    return data.decode()


@case("colours on a terminal, and none with --no-color, NO_COLOR or --json")
def _(t):
    p = Policy(t, BROKEN)
    check("\033[31merror:\033[0m" in on_terminal(t, "policy", "check"), "errors are red")
    for text in (on_terminal(t, "policy", "check", "--no-color"), on_terminal(t, "--json", "policy", "check"),
                 on_terminal(t, "policy", "check", NO_COLOR="1")):
        check("\033" not in text and "error" in text, "no colours")
    ours, theirs = pty.openpty()
    q = t.start("skerry", "policy", "check", stdout=theirs)
    os.close(theirs)
    q.wait()
    os.close(ours)
    check(b"\033" not in q.stderr, "messages that go to a file have none")


@case("lint: -s shows the line, - is standard input, the first bad file ends it")
def _(t):
    bad = t.file("bad", "fine.S * work vault deny\nnot fine\n")
    p = t.start("qubes-policy-lint", "-s", bad, "/nonexistent")
    equal(p.wait(), 1)
    lines = p.stdout.decode().splitlines()
    check(len(lines) == 1 and lines[0].startswith(bad + ":2: error: ") and lines[0].endswith(": not fine"), lines)
    p = t.start("qubes-policy-lint", "/nonexistent")
    equal(p.wait(), 1)
    check(p.stdout.startswith(b"/nonexistent:0: error: "), "a missing file has line 0")
    with open(t.file("service", "$anyvm vault allow,user=root\n"), "rb") as f:
        p = t.start("qubes-policy-lint", "-i", "-", stdin=f)
        equal((p.wait(), p.stdout), (0, b""))
    equal(t.start("qubes-policy-lint", "-x").wait(), 2)


main()
