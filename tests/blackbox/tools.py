# SPDX-License-Identifier: GPL-2.0-or-later
"""The qvm-* commands and skerry, against a stand-in for the Admin API.

If this failed, a person or a script would get a wrong answer, or a qube's text would drive a terminal.
What the recorded runs of the original show is in tests/vectors/tools_programs.py; here is the rest.
"""

import json
import os
import shutil
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import *  # noqa: E402,F403

QUBES = ("0\0dom0 class=AdminVM state=Running uuid=00000000-0000-0000-0000-000000000000\n"
         "vault class=AppVM state=Halted uuid=9d346ba7-2570-5fa5-ba4c-007a034ce6b6\n"
         "work class=AppVM state=Running uuid=fb2057b6-d229-582a-a838-f7edbed09cd9\n")
ALL = ("0\0label default=False type=label red\nmemory default=False type=int 600\n"
       "netvm default=True type=vm \nnote default=True type=str a\\nb\\\\c\ntemplate default=False type=vm deb\n")


def error(kind, text):
    return "2\0%s\0\0%s\0" % (kind, text)


class Admin:
    """Answers from a table of "METHOD+ARG DEST" (or "METHOD+ARG"), notes what was asked."""

    def __init__(self, t, replies=None, place="run"):
        self.replies = {"admin.vm.List+ dom0": QUBES, "admin.vm.property.GetAll+": ALL}
        self.replies.update(replies or {})
        self.asked = []
        self.lock = threading.Lock()
        t.respond(os.path.join(t.root, place, "qubesd.sock"), self.answer)

    def answer(self, channel):
        header, _, payload = channel.recv_to_eof().partition(b"\0")
        method, _, _, target = header.decode().split(" ")
        with self.lock:
            self.asked.append((method, target, payload.decode()))
        reply = self.replies.get(method + " " + target, self.replies.get(method))
        if callable(reply):
            reply(channel)
        elif reply:
            channel.send(reply.encode("utf-8", "surrogateescape"))

    def methods(self):
        return [a[0] for a in self.asked if a[0] != "admin.vm.List+"]


def run(t, *words, status=0, stdin=None):
    """The output of a command that ended as it should; qvm-* by the link's name."""
    name = words[0]
    if name != "skerry":
        link = t.path(name)
        if not os.path.lexists(link):
            os.symlink(program("qvm"), link)
        name = link
    started = t.start(name, *words[1:], stdin=stdin) if stdin else t.start(name, *words[1:])
    equal(started.wait(), status, " ".join(words) + ": " + started.stderr.decode("utf-8", "replace"))
    return started


# --- finding the system ---------------------------------------------------------------------------

@case("qvm: no service: what to do about it is said")
def _(t):
    said = run(t, "qvm-ls", status=1).stderr.decode()
    check("qubesd.sock: No such file or directory; the system does not run" in said, said)
    said = run(t, "skerry", "ls", status=1).stderr.decode()
    check(said.startswith("skerry ls: Failed to connect"), said)


@case("qvm: an ordinary user's system is found by itself")
def _(t):
    if os.geteuid() == 0:
        raise Skip("root has the real root")
    home = t.path("home")
    os.makedirs(os.path.join(home, ".local/share"))
    os.rename(t.root, os.path.join(home, ".local/share/skerry"))
    t.root = os.path.join(home, ".local/share/skerry")
    Admin(t)
    del t.env["SKERRY_ROOT"]
    t.env["HOME"] = home
    equal(run(t, "qvm-ls", "--raw-list").stdout, b"dom0\nvault\nwork\n")
    t.env["XDG_DATA_HOME"] = t.path("nothing-here")
    check(b"does not run" in run(t, "qvm-ls", "--raw-list", status=1).stderr, "another folder")


@case("qvm: in a qube requests go through qrexec-client-vm")
def _(t):
    bin_dir = t.path("bin")
    os.makedirs(bin_dir)
    shutil.copy2(program("qvm"), bin_dir)
    t.script("bin/qrexec-client-vm", 'printf "%s\\n" "$*" >>"$0.log"; cat >>"$0.log"\n'
             'case $2 in admin.vm.List) printf \'0\\0work class=AppVM state=Halted uuid=x\\n\' ;;\n'
             'admin.vm.tag.Set+x) printf \'0\\0\' ;; *) echo refused >&2; exit 126 ;; esac\n')
    with open(os.path.join(t.root, "run/qubes/qrexec-agent"), "wb"):
        pass  # its socket: what tells a qube from dom0
    started = t.start(os.path.join(bin_dir, "qvm"), "tags", "work", "add", "x")
    equal(started.wait(), 0)
    equal(t.read("bin/qrexec-client-vm.log"), b"dom0 admin.vm.List\nwork admin.vm.tag.Set+x\n")


# --- replies --------------------------------------------------------------------------------------

@case("qvm: texts that a qube chose drive no terminal")
def _(t):
    evil = "a\x1b[31mb\u202ec\u009bd\rE\u0007"
    Admin(t, {"admin.vm.feature.Get+f": "0\0" + evil, "admin.vm.feature.List+": "0\0f\n",
              "admin.vm.notes.Get+": "0\0" + evil, "admin.vm.tag.Set+x": error("QubesException", evil),
              "admin.vm.device.block.Attached+": "0\0", "admin.vm.device.block.Available+": "0\0",
              "admin.vm.device.block.Available+ work":
                  "0\0sda:x device_id='x' port_id='sda' devclass='block' backend_domain='work' "
                  "name='%s' interfaces='b******'\n" % evil})
    clean = "a_[31mb_c_d_E_"
    for words in (["qvm-features", "work", "f"], ["qvm-features", "work"], ["qvm-notes", "-p", "work"],
                  ["qvm-block"], ["skerry", "features", "work"], ["skerry", "--json", "device", "block"]):
        text = run(t, *words).stdout.decode()
        check(clean in text and "\x1b" not in text, "%s: %r" % (words, text))
    for words in (["qvm-tags", "work", "add", "x"], ["skerry", "tags", "work", "add", "x"]):
        said = run(t, *words, status=1).stderr.decode()
        check(clean in said and "\x1b" not in said, said)


@case("qvm: a bad reply is an error, and no crash")
def _(t):
    admin = Admin(t)
    for reply, text in ((lambda c: None, "Got empty response"), ("3\0x", "Invalid response format"),
                        ("0", "Invalid response format"), ("2\0", "Invalid response format"),
                        ("2\0A\0B\0no end", "Invalid response format"),
                        (error("Unknown", "50%% of %s"), "50% of %s"),
                        ("2\0E\0\0%s and %s\0one\0two\0", "one and two"),
                        ("2\0E\0\0lone % sign\0", "lone % sign")):
        admin.replies["admin.vm.tag.List+"] = reply
        said = run(t, "qvm-tags", "work", status=1).stderr.decode()
        equal(said, "qvm-tags: error: %s\n" % (text if "empty" not in text else
              "Got empty response from qubesd. See journalctl in dom0 for details."))
    admin.replies["admin.vm.List+ dom0"] = "0\0\n\n x=y\nnamealone\nw class=AppVM\n"
    check(b"namealone" in run(t, "qvm-ls", "--raw-list").stdout, "odd lines")
    admin.replies["admin.vm.List+ dom0"] = QUBES
    admin.replies["admin.vm.property.GetAll+"] = "0\0a\nb default=\nlabel default=True type=\nnetvm type=vm x\n"
    run(t, "qvm-ls")
    run(t, "qvm-prefs", "work", status=1)


@case("qvm: a long listing is whole, whatever comes in pieces")
def _(t):
    def slowly(channel):
        body = QUBES.encode()
        for i in range(0, len(body), 7):
            channel.send(body[i:i + 7])
    names = ["q%d" % i for i in range(700)]
    admin = Admin(t, {"admin.vm.List+ dom0": slowly})
    equal(run(t, "qvm-ls", "--raw-list").stdout, b"dom0\nvault\nwork\n")
    admin.replies["admin.vm.List+ dom0"] = "0\0" + "".join(
        "%s class=AppVM state=Halted uuid=u\n" % n for n in names)
    lines = run(t, "qvm-ls", "--raw-data", "--fields", "name,label,memory_x").stdout.decode().split("\n")
    equal(lines[:-1], ["%s|red|-" % n for n in sorted(names)])
    equal(admin.methods().count("admin.vm.property.GetAll+"), 700)


@case("qvm-ls: where GetAll is refused, properties are asked for one by one")
def _(t):
    Admin(t, {"admin.vm.property.GetAll+": error("PermissionDenied", "no"),
              "admin.vm.property.Get+label": "0\0default=False type=label blue"})
    equal(run(t, "qvm-ls", "--raw-data", "--fields", "name,label", "work").stdout, b"work|blue\n")


@case("qvm: standard output that is full is an error")
def _(t):
    Admin(t)
    with open("/dev/full", "wb") as full:
        started = t.start("qvm", "ls", stdout=full)
        equal(started.wait(), 1)
        check(b"cannot write to standard output" in started.stderr, started.stderr)


# --- command lines --------------------------------------------------------------------------------

@case("qvm: words are read as the original reads them")
def _(t):
    Admin(t, {"admin.vm.Create.AppVM+deb": "0\0", "admin.label.List+": "0\0red\n",
              "admin.vm.Create.AppVM+": "0\0"})
    for words, said in (
            (["qvm-create", "-lred", "-tdeb", "x"], None),
            (["qvm-create", "--lab=red", "--templ", "deb", "x"], None),
            (["qvm-create", "x", "--label", "red"], None),
            (["qvm-create", "-l", "red", "--", "x"], None),
            (["qvm-create", "--label"], "argument --label/-l: expected one argument"),
            (["qvm-create", "--prop", "a"], "invalid property token: 'a'"),
            (["qvm-create", "--h"], "ambiguous option: --h could match --help, --help-classes"),
            (["qvm-create", "-l", "red", "x", "y"], "unrecognized arguments: y"),
            (["qvm-create", "--nosuch", "-l", "red", "x"], "unrecognized arguments: --nosuch"),
            (["qvm-create", "--standalone=1"],
             "argument --standalone: ignored explicit argument '1'"),
            (["qvm-create", "-r", "a", "-R", "b", "-l", "red", "x"],
             "argument --root-move-from/-R: not allowed with argument --root-copy-from/-r"),
            (["qvm-prefs"], "the following arguments are required: VMNAME"),
            (["qvm-clone", "a"], "the following arguments are required: NEWVM"),
            (["qvm-ls", "--internal", "z"],
             "argument --internal: invalid choice: 'z' (choose from 'y', 'n')"),
            (["qvm-tags", "work", "frob"], "argument COMMAND: invalid choice: 'frob' (choose from 'list', "),
            (["qvm-ls", "--class"], "argument --class: expected at least one argument")):
        started = run(t, *words, status=2 if said else 0)
        if said:
            last = started.stderr.decode().split("\n")[-2]
            check(last.startswith("%s: error: %s" % (words[0], said)), last)
            check(started.stderr.startswith(b"usage: " + words[0].encode()), "usage")


@case("qvm: help and usage for every command")
def _(t):
    names = run(t, "qvm", "--list").stdout.decode().split()
    check(len(names) >= 24, "all commands")
    for name in names:
        text = run(t, name, "--help").stdout.decode()
        check(text.startswith("usage: " + name) and "\noptions:\n" in text, name)
        check(all(len(line) <= 100 for line in text.split("\n")), name)
        check(run(t, name, "--version").stdout.startswith(name.encode() + b" (Skerry"), name)
    equal(run(t, "qvm", "ls", "--help").stdout, run(t, "qvm-ls", "--help").stdout)
    for words in ([], ["nosuch"]):
        check(b"usage: qvm COMMAND" in run(t, "qvm", *words, status=2).stderr, words)


@case("qvm-ls: sorting, patterns, excluding")
def _(t):
    Admin(t, {"admin.vm.CurrentState+ work": "0\0mem=409600 mem_static_max=0 cputime=1 power_state=Running",
              "admin.vm.CurrentState+ dom0": "0\0mem=4096 mem_static_max=0 cputime=1 power_state=Running"})
    equal(run(t, "qvm-ls", "--raw-data", "--fields", "name,memory", "--sort", "memory", "--reverse").stdout,
          b"work|400\ndom0|4\nvault|-\n")
    equal(run(t, "qvm-ls", "--raw-list", "--exclude", "d*").stdout, b"vault\nwork\n")
    equal(run(t, "qvm-ls", "--raw-list", "[vw]*").stdout, b"vault\nwork\n")
    check(b"no such domain: 'z*'" in run(t, "qvm-ls", "z*", status=2).stderr, "pattern without a match")
    check(b"no such format" in run(t, "qvm-ls", "--format", "x", status=2).stderr, "format")
    equal(run(t, "qvm-ls", "--raw-data", "--fields", "note", "work").stdout, b"a\nb\\c\n")


@case("qvm-notes: the editor; unchanged notes are not set again")
def _(t):
    admin = Admin(t, {"admin.vm.notes.Get+": "0\0old\n", "admin.vm.notes.Set+": "0\0"})
    t.env["EDITOR"] = t.script("editor", 'grep -q old "$1" && printf "%s" new >"$1"')
    run(t, "qvm-notes", "work")
    equal(admin.asked[-1], ("admin.vm.notes.Set+", "work", "new"))
    t.env["EDITOR"] = "true"
    admin.asked.clear()
    run(t, "qvm-notes", "work")
    equal(admin.methods(), ["admin.vm.notes.Get+"])
    t.env["EDITOR"] = "false"
    check(b"the notes stay as they were" in run(t, "qvm-notes", "work", status=1).stderr, "failing editor")


# --- skerry ---------------------------------------------------------------------------------------

@case("skerry: qubes and properties, for people and as JSON")
def _(t):
    admin = Admin(t, {"admin.vm.property.Get+memory": "0\0default=False type=int 600",
                      "admin.vm.property.Set+memory": "0\0", "admin.vm.property.Reset+memory": "0\0",
                      "admin.property.GetAll+": "0\0clockvm default=False type=vm work\n"})
    lines = run(t, "skerry", "ls").stdout.decode().split("\n")
    equal(lines[0].split(), ["NAME", "STATE", "LABEL", "CLASS", "TEMPLATE", "NETVM", "IP"])
    equal(lines[3].split(), ["work", "Running", "red", "AppVM", "deb", "-", "-"])
    rows = [json.loads(l) for l in run(t, "skerry", "--json", "ls", "w*").stdout.splitlines()]
    equal([(r["name"], r["label"], r["netvm"]) for r in rows], [("work", "red", None)])
    equal([json.loads(l)["name"] for l in run(t, "skerry", "ls", "--running", "--json").stdout.splitlines()],
          ["dom0", "work"])
    equal(run(t, "skerry", "get", "work", "memory").stdout, b"600\n")
    equal(json.loads(run(t, "skerry", "--json", "get", "work", "memory").stdout)["value"], 600)
    run(t, "skerry", "set", "work", "memory", "700")
    equal(admin.asked[-1], ("admin.vm.property.Set+memory", "work", "700"))
    run(t, "skerry", "set", "--default", "work", "memory")
    equal(admin.asked[-1], ("admin.vm.property.Reset+memory", "work", ""))
    check(b"clockvm" in run(t, "skerry", "prefs", "system").stdout, "system")
    check(b"memory    600  (set)" in run(t, "skerry", "prefs", "work").stdout, "a value that was set")
    said = run(t, "skerry", "ls", "nosuch", status=1).stderr.decode()
    equal(said, "skerry ls: nosuch: no qube of this name; 'skerry ls' lists them\n")


@case("skerry: life of qubes: errors name the qube and a cure, the others go on")
def _(t):
    admin = Admin(t, {"admin.vm.Start+ vault": error("QubesMemoryError", "Not enough memory"),
                      "admin.vm.Start+ work": "0\0",
                      "admin.vm.Shutdown+wait": error("QubesVMNotStartedError", "off"),
                      "admin.vm.Shutdown+force": "0\0",
                      "admin.vm.Pause+": error("QubesVMNotRunningError", "not running")})
    said = run(t, "skerry", "start", "vault", "work", status=1)
    equal(said.stderr, b"skerry start: vault: Not enough memory; stop another qube, or lower the property "
          b"'memory' of vault\n")
    equal(sorted(admin.methods()), ["admin.vm.Start+", "admin.vm.Start+"])
    run(t, "skerry", "stop", "work")
    run(t, "skerry", "stop", "--force", "--no-wait", "work")
    check(b"'skerry start vault'" in run(t, "skerry", "pause", "vault", status=1).stderr, "cure")
    run(t, "skerry", "kill", "nosuch", status=1)
    run(t, "skerry", "stop", status=2)
    run(t, "skerry", "stop", "--nosuch", "work", status=2)


@case("skerry create: what cannot be finished is taken away")
def _(t):
    admin = Admin(t, {"admin.vm.Create.AppVM+deb": "0\0", "admin.vm.Remove+": "0\0",
                      "admin.vm.property.Set+netvm": "0\0",
                      "admin.vm.property.Set+memory": error("QubesValueError", "no number")})
    run(t, "skerry", "create", "new", "--template=deb", "--label=blue", "netvm=")
    equal(admin.asked[0], ("admin.vm.Create.AppVM+deb", "dom0", "name=new label=blue"))
    admin.asked.clear()
    said = run(t, "skerry", "create", "new", "--template=deb", "memory=x", status=1).stderr
    check(b"property 'memory': no number; the qube is not made" in said, said)
    equal(admin.asked[-1][:2], ("admin.vm.Remove+", "new"))
    run(t, "skerry", "create", status=2)
    check(b"say --yes" in run(t, "skerry", "remove", "work", status=1).stderr, "nobody to ask")
    run(t, "skerry", "remove", "--yes", "work")


@case("skerry watch: events as they come, also in pieces, until the service ends")
def _(t):
    def events(channel):
        for piece in (b"1\0\0connection-established\0\0", b"1\0wo", b"rk\0domain-start\0start_guid\0T",
                      b"rue\0\0" b"1\0work\0property-set:label\0newvalue\0a\x1bb\0\0"):
            channel.send(piece)
    Admin(t, {"admin.Events+ dom0": events})
    said = run(t, "skerry", "watch", status=1)
    lines = said.stdout.decode().split("\n")
    check("system" in lines[0] and "connection-established" in lines[0], lines)
    check("work" in lines[1] and "domain-start  start_guid=True" in lines[1], lines)
    check("newvalue=a_b" in lines[2], lines)
    check(b"the service ended" in said.stderr, said.stderr)
    rows = [json.loads(l) for l in run(t, "skerry", "--json", "watch", status=1).stdout.splitlines()]
    equal(rows[1]["event"], "domain-start")


@case("skerry run: words of a command reach the qube as they are")
def _(t):
    folder = t.path("bin")
    os.makedirs(folder)
    Admin(t, {"admin.vm.CurrentState+": "0\0mem=1 mem_static_max=1 cputime=1 power_state=Running",
              "admin.vm.feature.CheckWithTemplate+vmexec": "0\0" "1", "admin.vm.Start+": "0\0",
              "admin.vm.feature.CheckWithTemplate+os": "0\0Linux", "admin.vm.Kill+": "0\0",
              "admin.vm.CreateDisposable+ deb": "0\0disp1",
              "admin.vm.property.Get+qrexec_timeout": "0\0default=True type=int 60"})
    copy_to = os.path.join(folder, "skerry")
    shutil.copy2(program("skerry"), copy_to)
    t.script("bin/qrexec-client", 'for w; do printf "%s|" "$w"; done; exit 7\n')

    def words(*given):
        started = t.start(copy_to, *given)
        equal(started.wait(), 7, started.stderr)
        return started.stdout.decode()
    equal(words("run", "work", "--", "ls", "-a", "b c"), "-d|work|DEFAULT:QUBESRPC qubes.VMExec+ls+--a+b-20c dom0|")
    equal(words("run", "work", "echo hi"), "-d|work|-p|echo hi; exit\n|DEFAULT:QUBESRPC qubes.VMShell+ dom0|")
    equal(words("run", "--user=me", "work", "true"), "-d|work|-p|true; exit\n|me:QUBESRPC qubes.VMShell+ dom0|")
    equal(words("disp", "--template=deb", "--", "true"),
          "-d|disp1|-p|true; exit\n|-w|60|DEFAULT:QUBESRPC qubes.VMShell+ dom0|")
    equal(words("disp", "--template=deb", "--", "sh", "-c", "a b"),
          "-d|disp1|-w|60|DEFAULT:QUBESRPC qubes.VMExec+sh+--c+a-20b dom0|")
    check("TERM=dumb" in words("shell", "work"), "shell")


@case("skerry doctor and status: what there is, and what to do")
def _(t):
    doctor = t.start("skerry", "--json", "doctor")
    status = doctor.wait()
    rows = [json.loads(l) for l in doctor.stdout.splitlines()]
    check({"kernel", "namespaces", "seccomp", "landlock", "bubblewrap", "pasta", "cgroup", "folder"} <=
          {r["check"] for r in rows}, rows)
    equal(status, 1 if any(r["finding"] == "missing" for r in rows) else 0)
    check(all(r["finding"] == "good" or r["cure"] for r in rows), "cures")
    said = run(t, "skerry", "status", status=1)
    check(b"0 processes" in said.stdout and b"does not run" in said.stderr, said.stdout)
    Admin(t)
    told = json.loads(run(t, "skerry", "--json", "status").stdout)
    equal((told["answers"], told["qubes"], told["running"]), (True, 3, 2))


if __name__ == "__main__":
    main()
