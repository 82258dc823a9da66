# SPDX-License-Identifier: GPL-2.0-or-later
"""qubes-policy and qubes-policy-editor: if these fail, who edits the policy loses what he wrote, or overwrites
what somebody else did."""

import os

from harness import *

ETC = "root/etc/qubes/policy.d/"
SERVICES = ["List", "Get", "Replace", "Remove", "GetFiles"]
USER = "a.B * work vault allow\n"
FILES = {"30-user.policy": USER, "90-x.policy": "!include include/used\n", "include/used": "c.D * work vault allow\n"}


def dom0(t, files=None):
    """A dom0 with the real services; the tools reach them by the real qrexec-client."""
    for folder in ("run/qubes/policy.d", "etc/qubes-rpc/policy", "etc/qubes/policy.d/include", "var/log/qubes"):
        os.makedirs(t.path("root", folder), exist_ok=True)
    t.file("root/etc/qubes-release", "")
    for name, text in (FILES if files is None else files).items():
        t.file(ETC + name, text)
    os.makedirs(t.path("bin"))
    os.makedirs(t.path("rpc"))
    os.symlink(os.path.abspath(program("qrexec-client")), t.path("bin/qrexec-client"))
    for prefix in ("policy.", "policy.include."):
        for name in SERVICES:
            os.symlink(os.path.abspath(program("qubes-policy-admin")), t.path("rpc", prefix + name))
    t.env.update(PATH=t.path("bin") + ":/usr/bin:/bin", QREXEC_SERVICE_PATH=t.path("rpc"), SKERRY_ROOT=t.path("root"))


def qube(t, script):
    """A qube whose qrexec-client-vm is this script."""
    os.makedirs(t.path("root"), exist_ok=True)
    t.script("bin/qrexec-client-vm", script)
    t.env.update(PATH=t.path("bin") + ":/usr/bin:/bin", SKERRY_ROOT=t.path("root"))


def run(t, name, *args, given=b"", **env):
    """(status, stdout, stderr)"""
    with open(t.file("given", given), "rb") as stdin:
        p = t.start(name, *args, stdin=stdin, env=env)
    return p.wait(), p.stdout, p.stderr.decode()


def policy(t, *args, given=b"", **env):
    return run(t, "qubes-policy", *args, given=given, **env)


def editor(t, script, *args, **env):
    path = t.script("editor", script)
    return run(t, "qubes-policy-editor", *args, EDITOR=path, VISUAL=None, TMPDIR=t.path("tmp"), **env)


def policy_file(t, name):
    return t.read(ETC + name)


def kept(t):
    os.makedirs(t.path("tmp"), exist_ok=True)
    return sorted(os.listdir(t.path("tmp")))


@case("policy-client list, get, replace, remove")
def _(t):
    dom0(t)
    for args in ((), ("-l",), ("--list",)):
        equal(policy(t, *args), (0, b"30-user\n90-x\n", ""))
    equal(policy(t, "include/"), (0, b"used\n", ""))
    equal(policy(t, "-l", "include/"), (0, b"used\n", ""))
    equal(policy(t, "-g", "30-user"), (0, USER.encode(), ""))
    equal(policy(t, "--get", "include/used"), (0, FILES["include/used"].encode(), ""))
    equal(policy(t, "-r", "40-new", given=b"# new\n"), (0, b"", ""))
    equal(policy_file(t, "40-new.policy"), b"# new\n")
    equal(policy(t, "--replace", "40-new", given=b""), (0, b"", ""))
    equal(policy_file(t, "40-new.policy"), b"")
    large = b"# " + b"x" * 300000 + b"\n"
    equal(policy(t, "-r", "40-new", given=large)[0], 0)
    equal(policy(t, "-g", "40-new"), (0, large, ""))
    equal(policy(t, "-d", "40-new"), (0, b"", ""))
    check(not os.path.exists(t.path(ETC + "40-new.policy")), "removed")
    equal(policy(t, "-r", "include/more", given=b"x.Y * * * deny\n"), (0, b"", ""))
    equal(policy(t, "--remove", "include/more"), (0, b"", ""))


@case("policy-client what is refused says why, with the service's status")
def _(t):
    dom0(t)
    for args, given, why in ((("-g", "none"), b"", "PolicyAdminFileNotFoundException"),
                             (("-d", "none"), b"", "PolicyAdminFileNotFoundException"),
                             (("-r", "30-user"), b"bad line\n", "PolicyAdminSyntaxException"),
                             (("-d", "include/used"), b"", "PolicyAdminSyntaxException")):
        status, out, err = policy(t, *args, given=given)
        equal((status, out, err.split()[0]), (1, b"", why))
    equal(policy(t, "-r", "30-user", given=b"\xff\n")[0], 2)
    equal(policy_file(t, "30-user.policy"), USER.encode())


@case("policy-client a name cannot be another command")
def _(t):
    dom0(t)
    for name in ("a b", "../x", "a+b", "a.policy", "$x", "x\n", "a" * 201, "include/a/b"):
        status, out, err = policy(t, "-g", "--", name)
        check(status == 1 and out == b"" and "not the name" in err, f"{name}: {status} {err}")
    for args in (("-g",), ("-r",), ("-d",), ("-l", "x"), ("x",), ("-g", "include/"), ("-g", "-d", "x"), ("-g", "a", "b"),
                 ("--nothing",)):
        status, out, err = policy(t, *args)
        check(status == 2 and out == b"" and "usage:" in err, f"{args}: {status} {err}")
    for option in ("-h", "--help"):
        status, out, err = policy(t, option)
        check(status == 0 and out.startswith(b"usage:") and err == "", option)
    check(policy(t, "--version")[1].startswith(b"qubes-policy (Skerry)"), "version")


@case("policy-client in a qube: qrexec-client-vm, its status, and a reason that stays in dom0")
def _(t):
    qube(t, f"printf '%s\\n' \"$*\" >{t.path('args')}; cat >{t.path('sent')}\ncase $3 in\n"
            "policy.List) echo 30-user;; policy.Get+30-user) printf 'sha256:00\\nold\\n';;\n"
            "policy.Get+50-x|policy.Remove*) exit 1;; policy.Get+odd) echo odd;; *) exit 126;; esac\n")
    equal(policy(t), (0, b"30-user\n", ""))
    equal(t.read("args"), b"-- dom0 policy.List\n")
    equal(policy(t, "-g", "30-user"), (0, b"old\n", ""))
    status, out, err = policy(t, "-g", "50-x")
    check(status == 1 and "policy-admin.log" in err, err)
    status, out, err = policy(t, "-g", "odd")
    check(status == 1 and out == b"" and "not that of a policy service" in err, err)
    equal(policy(t, "-d", "50-x")[0], 1)
    equal((t.read("args"), t.read("sent")), (b"-- dom0 policy.Remove+50-x\n", b"any"))
    status, out, err = policy(t, "-r", "include/x", given=b"text\n")
    equal((status, out, err), (126, b"", "policy.include.Replace+x: refused by policy\n"))
    equal(t.read("sent"), b"any\ntext\n")
    os.unlink(t.path("bin/qrexec-client-vm"))
    status, out, err = policy(t, PATH=t.path("bin"))
    check(status == 1 and "qrexec-client-vm" in err, err)


@case("policy-editor a change, a new file, no change")
def _(t):
    dom0(t)
    kept(t)
    equal(editor(t, 'echo "e.F * work vault deny" >>"$1"\n'), (0, b"", ""))
    equal(policy_file(t, "30-user.policy"), USER.encode() + b"e.F * work vault deny\n")
    equal(editor(t, 'test -e "$1" && test ! -s "$1" && echo "# hi" >"$1"\n', "45-new"), (0, b"", ""))
    equal(policy_file(t, "45-new.policy"), b"# hi\n")
    equal(editor(t, ":\n", "45-new"), (0, b"", "unchanged\n"))
    equal(editor(t, 'echo "x.Y * * deny" >>"$1"\n', "include/args")[0], 1)
    equal(kept(t) != [], True)
    # The service format, of files that a rule of one service includes.
    equal(editor(t, 'echo "work vault allow" >"$1"\n', "include/service"), (0, b"", ""))
    equal(policy_file(t, "include/service"), b"work vault allow\n")
    # $VISUAL first, with options; the file's name is the policy's.
    t.script("visual", 'test "$1" = -x && echo "# $(basename "$2")" >"$2"\n')
    equal(run(t, "qubes-policy-editor", "45-new", VISUAL=t.path("visual") + " -x", EDITOR="false"), (0, b"", ""))
    equal(policy_file(t, "45-new.policy"), b"# 45-new.policy\n")


@case("policy-editor what was written is kept when it cannot be stored")
def _(t):
    dom0(t)
    kept(t)
    # A line that is wrong.
    status, out, err = editor(t, 'echo "bad line" >"$1"\n')
    check(status == 1 and "line 1: " in err and "your text is in" in err, err)
    path = err.split("your text is in ")[1].strip()
    with open(path, "rb") as file:
        equal(file.read(), b"bad line\n")
    equal(os.stat(path).st_mode & 0o77, 0)
    # A file that somebody else changed meanwhile.
    other = t.path(ETC + "30-user.policy")
    status, out, err = editor(t, f'echo "# mine" >"$1"; echo "# theirs" >{other}\n')
    check(status == 1 and "PolicyAdminTokenException" in err and "meanwhile" in err, err)
    equal(policy_file(t, "30-user.policy"), b"# theirs\n")
    # A new one that somebody else made meanwhile.
    status, out, err = editor(t, f'echo "# mine" >"$1"; echo "# theirs" >{t.path(ETC + "60-y.policy")}\n', "60-y")
    check(status == 1 and "PolicyAdminTokenException" in err, err)
    # One that the rest of the policy does not allow.
    status, out, err = editor(t, 'echo "!include include/none" >"$1"\n')
    check(status == 1 and "PolicyAdminSyntaxException" in err, err)
    equal(policy_file(t, "30-user.policy"), b"# theirs\n")
    equal(len(kept(t)), 4)


@case("policy-editor an editor that fails changes nothing; usage")
def _(t):
    dom0(t)
    kept(t)
    status, out, err = editor(t, 'echo "# lost" >"$1"; exit 3\n')
    check(status == 1 and "nothing is changed" in err, err)
    equal(run(t, "qubes-policy-editor", EDITOR="/nonexistent", VISUAL=None, TMPDIR=t.path("tmp"))[0], 1)
    equal(run(t, "qubes-policy-editor", EDITOR=":", VISUAL="", TMPDIR=t.path("none"))[0], 1)
    equal(policy_file(t, "30-user.policy"), USER.encode())
    equal(kept(t), [])
    for args in (("a", "b"), ("--nothing",), ("include/",)):
        status, out, err = run(t, "qubes-policy-editor", *args, EDITOR="false", VISUAL=None)
        check(status == 2 and "usage:" in err, f"{args}: {status} {err}")
    equal(run(t, "qubes-policy-editor", "a b", EDITOR="false", VISUAL=None)[0], 1)
    check(run(t, "qubes-policy-editor", "--help")[1].startswith(b"usage:"), "help")


@case("policy-editor in a qube: a file that is missing is told by the list")
def _(t):
    qube(t, f"cat >{t.path('sent')}\ncase $3 in\n"
            "policy.List) echo 30-user;; policy.Replace*) ;; *) exit 1;; esac\n")
    kept(t)
    equal(editor(t, 'echo "# hi" >"$1"\n', "50-new"), (0, b"", ""))
    equal(t.read("sent"), b"new\n# hi\n")
    status, out, err = editor(t, 'echo "# hi" >"$1"\n')
    check(status == 1 and "policy.Get+30-user" in err, err)
    equal(kept(t), [])


@case("policy-editor the token is that of the text that was edited")
def _(t):
    qube(t, f"cat >{t.path('sent')}\ncase $3 in policy.Get+30-user) printf 'sha256:12\\n# old\\n';; esac\n")
    kept(t)
    equal(editor(t, 'sed -i s/old/new/ "$1"\n'), (0, b"", ""))
    equal(t.read("sent"), b"sha256:12\n# new\n")


if __name__ == "__main__":
    main()
