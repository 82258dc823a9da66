# SPDX-License-Identifier: GPL-2.0-or-later
"""The bash completions: what is offered where. If this failed, Tab would offer what does not work."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import *  # noqa: E402,F403


def complete(t, command, *words):
    """What Tab offers after these words, the last of which is being typed."""
    script = ('source "$1"; function=$2; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '"$function"; printf "%s\\n" "${COMPREPLY[@]}"')
    shell = t.start("/bin/bash", "-c", script, "bash",
                    os.path.join(SOURCE, "tools/completion", command),
                    "_" + command.replace("-", "_"), command, *words)
    equal(shell.wait(), 0)
    equal(shell.stderr, b"")
    return shell.stdout.decode().split()


def needs_bash():
    return None if os.path.exists("/bin/bash") else "no bash"


@case("completion: qrexec-client-vm", needs_bash())
def _(t):
    check("--prefix-data=" in complete(t, "qrexec-client-vm", "--p"), "options")
    equal(complete(t, "qrexec-client-vm", "@d"), ["@default", "@dispvm"])
    equal(complete(t, "qrexec-client-vm", "-t", "@a"), ["@adminvm"])
    equal(complete(t, "qrexec-client-vm", "-p", "@a"), [])
    equal(complete(t, "qrexec-client-vm", "vault", ""), [])
    check("cat" in complete(t, "qrexec-client-vm", "vault", "svc", "ca"), "local programs")
    t.file("some-file")
    equal(complete(t, "qrexec-client-vm", "vault", "svc", "cat", t.path("some")),
          [t.path("some-file")])


@case("completion: every option that is offered exists", needs_bash())
def _(t):
    for command in ("qrexec-client-vm", "qrexec-client"):
        helped = t.start(command, "--help")
        equal(helped.wait(), 0)
        for option in complete(t, command, "-"):
            check(option.rstrip("=").encode() in helped.stdout, f"{command} {option}")


@case("completion: qrexec-client offers the qubes that have a daemon", needs_bash())
def _(t):
    folder = os.path.join(t.root, "var/run/qubes")
    for name in ("1", "vault", "work", "uuid:0", "a b$(x)"):
        with open(os.path.join(folder, "qrexec." + name), "wb"):
            pass
    equal(sorted(complete(t, "qrexec-client", "-d", "")),
          ["1", "@adminvm", "dom0", "vault", "work"])
    equal(complete(t, "qrexec-client", "-d", "va"), ["vault"])
    equal(complete(t, "qrexec-client", "-d", "vault", "DEF"), ["DEFAULT:QUBESRPC"])
    t.file("other/qrexec.else")
    equal(complete(t, "qrexec-client", "--socket-dir", "=", t.path("other"), "-d", "e"), ["else"])


@case("completion: skerry offers the commands and options that it has", needs_bash())
def _(t):
    t.env["PATH"] = os.path.dirname(program("skerry")) + ":" + t.env["PATH"]
    for command in complete(t, "skerry", "")[:3]:
        helped = t.start("skerry", command, "--help")
        equal(helped.wait(), 0, command)
    equal(complete(t, "skerry", "tr"), ["trace"])
    equal(complete(t, "skerry", "--json", "policy", "wh"), ["why"])
    equal(complete(t, "skerry", "policy", "graph", "--inc"), ["--include-ask"])
    equal(complete(t, "skerry", "--root", "=", t.dir, "pol"), ["policy"])
    path = t.file("expected.txt")
    equal(complete(t, "skerry", "policy", "test", path[:-4]), [path])


@case("completion: qvm-* offers qubes, properties, sub-commands and options", needs_bash())
def _(t):
    bin_dir = t.path("bin")
    os.makedirs(bin_dir)
    for name in ("qvm-ls", "qvm-prefs", "qvm-tags", "qvm-pool", "qvm-start"):
        os.symlink(program("qvm"), os.path.join(bin_dir, name))
    t.env["PATH"] = bin_dir + ":" + t.env["PATH"]
    replies = {
        "admin.vm.List+": "0\0vault class=AppVM state=Halted uuid=u\nwork class=AppVM state=Halted uuid=u\n",
        "admin.vm.property.List+": "0\0memory\nnetvm\n",
        "admin.vm.property.GetAll+": "0\0memory default=True type=int 400\nnetvm default=True type=vm \n",
    }
    t.respond(os.path.join(t.root, "run/qubesd.sock"),
              lambda c: c.send(replies[c.recv_to_eof().decode().split(" ")[0]].encode()))

    def offered(*words):
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _qvm; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        shell = t.start("/bin/bash", "-c", script, "bash", os.path.join(SOURCE, "tools/completion/qvm"), *words)
        equal(shell.wait(), 0)
        equal(shell.stderr, b"")
        return shell.stdout.decode().split()
    equal(offered("qvm-start", ""), ["vault", "work"])
    equal(offered("qvm-start", "--skip-if-running", "w"), ["work"])
    equal(offered("qvm-prefs", "work", ""), ["memory", "netvm"])
    equal(offered("qvm-prefs", "work", "n"), ["netvm"])
    check("add" in offered("qvm-tags", "work", ""), "sub-commands")
    check("drivers" in offered("qvm-pool", ""), "sub-commands")
    for option in offered("qvm-ls", "--r"):
        helped = t.start(os.path.join(bin_dir, "qvm-ls"), "--help")
        equal(helped.wait(), 0)
        check(option.encode() in helped.stdout, option)
    t.env["PATH"] = os.path.dirname(program("skerry")) + ":" + t.env["PATH"]
    equal(complete(t, "skerry", "stop", "wo"), ["work"])
    equal(complete(t, "skerry", "set", "work", "mem"), ["memory"])


# Where the programs of dom0 that share one file of completions lie in a build.
DOM0_COMMANDS = {"qubes-policy": "tools", "qubes-policy-editor": "tools", "qvm-backup": "tools/backup",
                 "qvm-backup-restore": "tools/backup", "qubes-dom0-update": "services/dom0", "rpmcanon": "services/dom0",
                 "qvm-template": "tools/template"}


@case("completion: policy, backup and update commands offer the options they have, files and names", needs_bash())
def _(t):
    for name, folder in DOM0_COMMANDS.items():
        t.env["PATH"] = os.path.join(BUILD, folder) + ":" + t.env["PATH"]

    def offered(*words):
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _qubes_policy; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        shell = t.start("/bin/bash", "-c", script, "bash", os.path.join(SOURCE, "tools/completion/qubes-policy"), *words)
        equal(shell.wait(), 0)
        return shell.stdout.decode().split()
    for command, folder in DOM0_COMMANDS.items():
        helped = t.start(os.path.join(BUILD, folder, command), "--help")
        equal(helped.wait(), 0, command)
        for option in offered(command, "-"):
            check(option.encode() in helped.stdout, (command, option))
    check("--check-only" in offered("qubes-dom0-update", "--che"), "options")
    check("--verify-only" in offered("qvm-backup-restore", "--v"), "options")
    equal(offered("qubes-policy", "--lis"), ["--list"])
    path = t.file("backup-file")
    equal(offered("qvm-backup-restore", path[:-3]), [path])
    equal(offered("qvm-backup", path[:-3]), [path])


if __name__ == "__main__":
    main()
