# SPDX-License-Identifier: GPL-2.0-or-later
"""qubes-policy-admin as a program: if this fails, whoever administers policy over calls can break it for
everybody, or change what he may not."""

import grp
import hashlib
import os
import shutil
import signal
import stat
import threading

from harness import *

ETC = "root/etc/qubes/policy.d/"
PROTOCOL, NAME, PATH, TOKEN, MISSING, SYNTAX = (
    "PolicyAdmin%sException" % word for word in
    ("Protocol", "InvalidFileName", "InvalidFilePath", "Token", "FileNotFound", "Syntax"))
FILES = {"30-user.policy": "a.B * work vault allow\n", "90-x.policy": "!include include/used\n",
         "include/used": "c.D * work vault allow\n", "include/ro": "c.D * work vault deny\n"}


def setup(t, files=None):
    for folder in ("run/qubes/policy.d", "etc/qubes-rpc/policy", "etc/qubes/policy.d/include"):
        os.makedirs(t.path("root", folder), exist_ok=True)
    for name, text in (files or FILES).items():
        t.file(ETC + name, text)


def begin(t, service, payload=b"", wrapper=(), **env):
    with open(t.file("payload%d" % len(t.programs), payload), "rb") as stdin:
        env = {"QREXEC_SERVICE_FULL_NAME": service, "QREXEC_REMOTE_DOMAIN": "mgmt", **env}
        words = [*wrapper, program("qubes-policy-admin")]
        if wrapper:     # Two cannot trace one process.
            env["ASAN_OPTIONS"] = t.env["ASAN_OPTIONS"] + ":detect_leaks=0"
        return t.start(words[0], *words[1:], env=env, stdin=stdin)


def call(t, service, payload=b"", **env):
    """(exit status, stdout, first word of stderr)"""
    p = begin(t, service, payload, **env)
    status = p.wait()
    err = p.stderr.decode()
    check(status == 0 or err.endswith("\n"), "a refusal says why")
    check(status != 0 or err == "", "success says nothing: " + err)
    return status, p.stdout, (err.split() or [""])[0]


def refused(what):
    return 1, b"", what


def token(data):
    return b"sha256:" + hashlib.sha256(raw(data)).hexdigest().encode()


def loads(t):
    p = t.start("skerry", "policy", "list")
    return p.wait() == 0


def names(t, folder=""):
    return sorted(os.listdir(t.path(ETC + folder)))


DONE = (0, b"", "")


@case("policy-77 List")
def _(t):
    setup(t)
    for name in ("x.policy.bak", "README", "40-y.policy~"):
        t.file(ETC + name, "")
    os.mkdir(t.path(ETC + "50-d.policy"))
    os.symlink("nowhere", t.path(ETC + "60-l.policy"))
    equal(call(t, "policy.List"), (0, b"30-user\n90-x\n", ""))
    equal(call(t, "policy.List+"), (0, b"30-user\n90-x\n", ""))
    equal(call(t, "policy.include.List"), (0, b"ro\nused\n", ""))
    for service, payload in (("policy.List+x", b""), ("policy.List", b"x"), ("policy.include.List+x", b""),
                             ("policy.include.List", b"\n"), ("policy.Lost", b""), ("", b""), ("+x", b"")):
        equal(call(t, service, payload), refused(PROTOCOL), service)


@case("policy-77 an empty directory is an empty list; foreign names are listed")
def _(t):
    setup(t, {"include/x": ""})
    equal(call(t, "policy.List"), (0, b"", ""))
    t.file(ETC + ".dot.policy", "")
    t.file(ETC + "Big Name.policy", "")
    equal(call(t, "policy.List"), (0, b".dot\nBig Name\n", ""))
    shutil.rmtree(t.path(ETC + "include"))
    equal(call(t, "policy.include.List"), (0, b"", ""))


@case("policy-78 Get")
def _(t):
    setup(t)
    odd = b"# no newline at the end, and bytes that are no text: \xff\x00"
    t.file(ETC + "40-odd.policy", odd)
    equal(call(t, "policy.Get+30-user"), (0, token(FILES["30-user.policy"]) + b"\n" +
                                          FILES["30-user.policy"].encode(), ""))
    equal(call(t, "policy.Get+40-odd"), (0, token(odd) + b"\n" + odd, ""))
    equal(call(t, "policy.include.Get+ro"), (0, token(FILES["include/ro"]) + b"\n" +
                                             FILES["include/ro"].encode(), ""))
    equal(call(t, "policy.Get+nope"), refused(MISSING))
    for name in ("a.b", "a+b", "", "30-user.policy", "."):
        equal(call(t, "policy.Get+" + name), refused(NAME), name)
    for name in ("../x", "a/b", "a b", "\u00e4", "a\nb", "$x", "x\\"):
        equal(call(t, "policy.Get+" + name), refused(PROTOCOL), name)
    equal(call(t, "policy.Get+30-user", b"x"), refused(PROTOCOL))
    equal(call(t, "policy.Get+" + "a" * 300), refused(NAME))
    os.mkdir(t.path(ETC + "50-d.policy"))
    os.mkfifo(t.path(ETC + "51-f.policy"))
    equal(call(t, "policy.Get+50-d"), refused(MISSING))
    equal(call(t, "policy.Get+51-f"), refused(MISSING))


@case("policy-79 Replace: tokens, mode, owner, and a broken file changes nothing")
def _(t):
    setup(t)
    path = t.path(ETC + "40-new.policy")
    before = os.umask(0o077)
    equal(call(t, "policy.Replace+40-new", b"new\n# hi\n"), DONE)
    os.umask(before)
    equal(t.read(ETC + "40-new.policy"), b"# hi\n")
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o664)
    try:
        equal(os.stat(path).st_gid, grp.getgrnam("qubes").gr_gid if os.geteuid() == 0 else os.getegid())
    except KeyError:
        pass
    equal(call(t, "policy.Replace+40-new", b"new\n# hi\n"), refused(TOKEN))
    equal(call(t, "policy.Replace+40-new", token("# hi\n") + b"\n# two\n"), DONE)
    equal(call(t, "policy.Replace+40-new", token("# hi\n") + b"\n# three\n"), refused(TOKEN))
    equal(call(t, "policy.Replace+40-none", token("") + b"\n"), refused(TOKEN))
    for wrong in (b"any", b"", b"ANY\n", b"any \n", b" any\n", b"\n", b"sha255:0\n", b"sha1:00\n", b"any\0\n",
                  token("# two\n").upper() + b"\n"):
        equal(call(t, "policy.Replace+40-new", wrong), refused(PROTOCOL), wrong)
    equal(call(t, "policy.Replace+40-new", token("# two\n")[:-1] + b"\n"), refused(TOKEN))
    equal(call(t, "policy.Replace+40-new", b"any\nbad line\n"), refused(SYNTAX))
    equal(t.read(ETC + "40-new.policy"), b"# two\n")
    equal(call(t, "policy.Replace+40-new", b"any\n"), DONE)
    equal(t.read(ETC + "40-new.policy"), b"")
    for name in ("a.b", "a+b", "", "Foo", "FOO"):
        equal(call(t, "policy.Replace+" + name, b"any\n"), refused(NAME), name)
    equal(call(t, "policy.Replace+../x", b"any\n"), refused(PROTOCOL))
    equal(call(t, "policy.Replace+40-new", b"any\n\xff\n")[0], 2)
    equal(names(t), ["30-user.policy", "40-new.policy", "90-x.policy", "include"])


@case("policy-79 a fault elsewhere refuses every change but its own cure")
def _(t):
    setup(t)
    t.file(ETC + "50-broken.policy", "bad\n")
    equal(call(t, "policy.Replace+40-new", b"any\n"), refused(SYNTAX))
    equal(call(t, "policy.Remove+30-user", b"any"), refused(SYNTAX))
    equal(call(t, "policy.Replace+50-broken", b"any\na.B * * * deny\n"), DONE)
    check(loads(t), "mended")
    t.file(ETC + "50-broken.policy", "bad\n")
    equal(call(t, "policy.Remove+50-broken", b"any"), DONE)
    check(loads(t), "mended")
    t.file(ETC + "Upper.policy", "")
    equal(call(t, "policy.Replace+40-new", b"any\n")[0], 2)


@case("policy-80 include files: checked if something includes them")
def _(t):
    setup(t)
    equal(call(t, "policy.include.Replace+unused", b"any\nbad\n"), DONE)
    equal(call(t, "policy.include.Replace+Upper", b"new\n"), DONE)
    equal(call(t, "policy.include.Replace+used", b"any\nbad\n"), refused(SYNTAX))
    equal(call(t, "policy.include.Replace+used", token(FILES["include/used"]) + b"\nc.D * * * deny\n"), DONE)
    equal(call(t, "policy.include.Remove+used", b"any"), refused(SYNTAX))
    equal(call(t, "policy.include.Remove+unused", b"any"), DONE)
    equal(call(t, "policy.include.Remove+Upper", b"any"), DONE)
    equal(call(t, "policy.Replace+91-loop", b"any\n!include 91-loop.policy\n")[0], 2)
    equal(names(t, "include"), ["ro", "used"])
    check(loads(t), "nothing is broken")


@case("policy-81 Remove")
def _(t):
    setup(t)
    equal(call(t, "policy.Replace+40-new", b"new\n# hi\n"), DONE)
    for wrong in (b"any\n", b"", b"ANY", b"sha255:1"):
        equal(call(t, "policy.Remove+40-new", wrong), refused(PROTOCOL), wrong)
    equal(call(t, "policy.Remove+40-new", b"new"), refused(TOKEN))
    equal(call(t, "policy.Remove+40-new", token("# ha\n")), refused(TOKEN))
    equal(call(t, "policy.Remove+40-new", b"any"), DONE)
    equal(call(t, "policy.Remove+40-new", b"any"), refused(MISSING))
    equal(call(t, "policy.Remove+40-new", b"sha256:00"), refused(TOKEN))
    equal(call(t, "policy.Remove+30-user", token(FILES["30-user.policy"])), DONE)
    equal(names(t), ["90-x.policy", "include"])
    os.mkdir(t.path(ETC + "50-d.policy"))
    equal(call(t, "policy.Remove+50-d", b"any"), refused(MISSING))


@case("policy-82 GetFiles: files that have a rule for the service, in the order of evaluation, each once")
def _(t):
    setup(t, {"30-user.policy": "a.B * work vault allow\n", "20-early.policy": "* * work vault deny\n",
              "40-none.policy": "z.Z * work vault deny\n", "90-x.policy": "!include include/ro\na.B + * * deny\n",
              "95-y.policy": "!include sub/z.policy\n!include-service a.B +q include/svc\n",
              "99.policy": "!compat-4.0\na.B +w * * deny\n", "include/ro": "a.B +x work vault deny\n",
              "include/svc": "@anyvm @anyvm deny\n", "sub/z.policy": "a.B +y work vault deny\n"})
    t.file("root/etc/qubes-rpc/policy/a.B+y", "$anyvm $anyvm allow\n")
    legacy = t.path("root/etc/qubes-rpc/policy/a.B+y")
    equal(call(t, "policy.GetFiles+a.B"), (0, b"20-early\n30-user\nro\n90-x\nz\nsvc\n" + legacy.encode() +
                                           b"\n99\n", ""))
    equal(call(t, "policy.GetFiles+nobody"), (0, b"20-early\n", ""))
    for wrong in ("", "a+b", "a.B+", "a b"):
        equal(call(t, "policy.GetFiles+" + wrong), refused(PROTOCOL), wrong)
    equal(call(t, "policy.GetFiles+a.B", b"x"), refused(PROTOCOL))


@case("links: none leads out of the directory, for reading or writing")
def _(t):
    setup(t)
    secret = t.file("outside/secret.policy", "a.B * secret vault allow\n")
    t.file("outside/inc", "c.D * work vault deny\n")
    os.symlink(secret, t.path(ETC + "40-abs.policy"))
    os.symlink("../../../../outside/secret.policy", t.path(ETC + "41-rel.policy"))
    os.symlink("include/ro", t.path(ETC + "42-down.policy"))
    os.symlink("30-user.policy", t.path(ETC + "43-within.policy"))
    os.symlink("../30-user.policy", t.path(ETC + "include/up"))
    os.symlink(t.path("outside/inc"), t.path(ETC + "include/out"))
    os.symlink(t.path("outside/new"), t.path(ETC + "44-dangling.policy"))
    for name in ("policy.%s+40-abs", "policy.%s+41-rel", "policy.%s+42-down", "policy.include.%s+up",
                 "policy.include.%s+out", "policy.%s+44-dangling"):
        equal(call(t, name % "Get"), refused(PATH), name)
        equal(call(t, name % "Replace", b"any\n"), refused(PATH), name)
        equal(call(t, name % "Remove", b"any"), refused(PATH), name)
    check(not os.path.exists(t.path("outside/new")), "nothing is made outside")
    equal(t.read("outside/secret.policy"), b"a.B * secret vault allow\n")
    # A link within is the file it leads to.
    equal(call(t, "policy.Get+43-within")[0], 0)
    equal(call(t, "policy.Replace+43-within", b"any\n# new\n"), DONE)
    check(os.path.islink(t.path(ETC + "43-within.policy")), "the link stays")
    equal(t.read(ETC + "30-user.policy"), b"# new\n")


@case("many at once: one wins for each token, and no load in between is broken")
def _(t):
    setup(t)
    for turn in range(3):
        old = t.read(ETC + "30-user.policy")
        started = [begin(t, "policy.Replace+30-user", token(old) + b"\na.B +%d * * deny\n" % (turn * 100 + i))
                   for i in range(16)]
        check(loads(t), "a load in the middle")
        results = [(p.wait(), p.stderr.split()[:1]) for p in started]
        equal(sorted(results), [(0, [])] + [(1, [TOKEN.encode()])] * 15)
        won = [r[0] for r in results].index(0)
        equal(t.read(ETC + "30-user.policy"), b"a.B +%d * * deny\n" % (turn * 100 + won))
    started = [begin(t, "policy.Replace+40-new", b"new\n# %d\n" % i) for i in range(16)]
    equal(sorted(p.wait() for p in started), [0] + [1] * 15)
    equal(names(t), ["30-user.policy", "40-new.policy", "90-x.policy", "include"])


@case("a load never sees half a change")
def _(t):
    setup(t)
    stop = threading.Event()
    bad = []

    def look():
        while not stop.is_set():
            if not loads(t):
                bad.append(t.programs[-1].stderr)
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for i in range(40):
            equal(call(t, "policy.Replace+30-user", b"any\n" + b"a.B +%d * * deny\n" % i * 2000), DONE)
    finally:
        stop.set()
        watcher.join()
    equal(bad, [])


def traced(t, *inject):
    """strace as a wrapper; no tracing where it cannot trace."""
    strace = shutil.which("strace")
    if not strace:
        raise Skip("no strace here")
    words = [strace, "-f", "-o", t.path("trace"), "-e", "trace=openat,write,fsync,rename,renameat,renameat2,fchmod"]
    for what in inject:
        words += ["-e", "inject=" + what]
    return words


@case("a change is on the disk before it is said to be done")
def _(t):
    setup(t)
    p = begin(t, "policy.Replace+30-user", b"any\n# synced\n", wrapper=traced(t))
    p.checked = False
    if p.wait() != 0 and b"ptrace" in p.stderr:
        raise Skip("tracing is not allowed here")
    lines = t.read("trace").decode().splitlines()
    calls = [line.split(None, 1)[1] for line in lines]
    at = [i for i, line in enumerate(calls) if line.startswith("rename")]
    equal(len(at), 1, "renames")
    check(any(line.startswith("fsync(") for line in calls[:at[0]]), "the file before the rename")
    check(any(line.startswith("fsync(") for line in calls[at[0]:]), "the directory after it")
    check(any('".30-user.policy.new"' in line for line in calls), "a temporary name that no load looks at")


@case("kill -9 at every step leaves a policy that loads, old or new, and the next change works")
def _(t):
    for step in ("fchmod", "write:when=1", "fsync:when=1", "renameat", "fsync:when=2"):
        setup(t)
        name, _, when = step.partition(":")
        old = t.read(ETC + "30-user.policy")
        new = b"a.B * * * deny\n" * 1000
        inject = f"{name}:signal=KILL" + (":" + when if when else "")
        p = begin(t, "policy.Replace+30-user", b"any\n" + new, wrapper=traced(t, inject))
        p.checked = False
        status = p.wait()
        if b"ptrace" in p.stderr:
            raise Skip("tracing is not allowed here")
        check(status in (-signal.SIGKILL, 128 + signal.SIGKILL), f"{step}: killed, not {status} {p.stderr}")
        check(loads(t), step + ": loads")
        check(t.read(ETC + "30-user.policy") in (old, new), step + ": old or new")
        equal(call(t, "policy.List"), (0, b"30-user\n90-x\n", ""))
        equal(call(t, "policy.Replace+30-user", b"any\n# after\n"), DONE)
        equal(names(t), ["30-user.policy", "90-x.policy", "include"], step)


@case("a disk that fails: the change is refused, the old file stays, nothing is left behind")
def _(t):
    for step in ("fchmod:error=EIO", "write:error=ENOSPC:when=1", "fsync:error=EIO:when=1", "renameat:error=EIO"):
        setup(t)
        p = begin(t, "policy.Replace+30-user", b"any\n# new\n", wrapper=traced(t, step))
        p.checked = False
        status = p.wait()
        if b"ptrace" in p.stderr:
            raise Skip("tracing is not allowed here")
        equal(status, 2, step)
        equal(t.read(ETC + "30-user.policy"), FILES["30-user.policy"].encode(), step)
        equal(names(t), ["30-user.policy", "90-x.policy", "include"], step)


@case("the log: one escaped line for each call, with its caller and error")
def _(t):
    setup(t)
    call(t, "policy.List")
    call(t, "policy.Get+nope")
    call(t, "policy.Get+a\nb\033[31m")
    lines = t.read("root/var/log/qubes/policy-admin.log").decode().splitlines()
    equal(len(lines), 3)
    check(lines[0].endswith("policy.List+ (mgmt)"), lines[0])
    check("policy.Get+nope (mgmt): error: " + MISSING in lines[1], lines[1])
    check("\033" not in lines[2], "escaped")


@case("the volatile directory is neither listed nor considered")
def _(t):
    setup(t)
    t.file("root/run/qubes/policy.d/10-run.policy", "broken\n")
    equal(call(t, "policy.List"), (0, b"30-user\n90-x\n", ""))
    equal(call(t, "policy.Replace+40-new", b"new\n"), DONE)


@case("QREXEC_POLICY_DIR and QREXEC_POLICY_ADMIN_LOG")
def _(t):
    setup(t)
    t.file("other/10-o.policy", "")
    env = {"QREXEC_POLICY_DIR": t.path("other"), "QREXEC_POLICY_ADMIN_LOG": t.path("log")}
    equal(call(t, "policy.List", **env), (0, b"10-o\n", ""))
    equal(call(t, "policy.Replace+20-p", b"new\n# x\n", **env), DONE)
    equal(t.read("other/20-p.policy"), b"# x\n")
    equal(len(t.read("log").splitlines()), 2)
    equal(call(t, "policy.List", QREXEC_POLICY_DIR=t.path("none"))[0], 2)


main()
