# SPDX-License-Identifier: GPL-2.0-or-later
"""qvm-copy and its kin in one qube, qubes.Filecopy in the other, the policy deciding, all real.

If one of these failed, files would not arrive through real calls, arrive where policy forbids it, or
be removed from where they were before they are safe.
"""

from filecopy_common import *
from two_qubes import POLICY, done, start

RULES = """
qubes.Filecopy  +allow-all-names  vma @default deny notify=no
qubes.Filecopy  *  vma  @default  allow target=vmb
qubes.Filecopy  *  vma  vmb       allow
qubes.Filecopy  *  vmb  @default  allow target=vma
qubes.Filecopy  *  @anyvm @anyvm  deny notify=no
"""
NAMES = ("qvm-copy", "qvm-move", "qvm-copy-to-vm", "qvm-move-to-vm")


def both(name):
    def register(function):
        for transport in ("socket", "memfd"):
            def run(t, transport=transport):
                sut = start(t, transport, policy=RULES + POLICY)
                for qube in sut.qubes:
                    os.symlink(QUBE + "filecopy-service", sut.inside(qube, "etc/qubes-rpc/qubes.Filecopy"))
                for folder, program_path in (("bin", QUBE + "qvm-copy"), ("bin0", DOM0 + "qvm-copy")):
                    os.mkdir(t.path(folder))
                    for command in NAMES:
                        os.symlink(program_path, t.path(folder, command))
                function(t, sut)
                done(t)
            case(f"{name}, {transport}")(run)
        return function
    return register


def run(t, sut, command, *words, qube="vma", env=None, **more):
    """(status, stdout, stderr) of a command in a qube (None: dom0), in its home folder."""
    cwd = sut.path() if qube is None else sut.inside(qube, "home/user")
    process = sut.popen([t.path("bin0" if qube is None else "bin", command), *words], qube=qube, cwd=cwd,
                        env={**sut.env(qube), **(env or {})}, stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    out, err = process.communicate(timeout=HANG)
    return process.returncode, out, err


def home(sut, qube, name, content=None, mode=0o644):
    """A file in a qube's home: written if there is content, else its path."""
    name = "home/user/" + name
    if content is None:
        return sut.inside(qube, name)
    if os.path.dirname(name) != "home/user":
        sut.folder("q", qube, os.path.dirname(name))
    return sut.write(f"q/{qube}/{name}", content, mode)


def arrived(sut, name, source="vma", target="vmb"):
    path = home(sut, target, f"QubesIncoming/{source}/{name}")
    with open(path, "rb") as file:
        return file.read()


@both("filecopy-21 qvm-copy: files and folders arrive in QubesIncoming of the target")
def _(t, sut):
    big = os.urandom(5 << 20)
    home(sut, "vma", "d/e/big", big)
    home(sut, "vma", "note", b"hello")
    os.symlink("e/big", home(sut, "vma", "d/link"))
    status, out, err = run(t, sut, "qvm-copy", "note", "d/")
    equal((status, out), (0, b""), err.decode())
    equal(arrived(sut, "note"), b"hello")
    check(arrived(sut, "d/link") == big, "the big file, through the link")
    equal(stat.S_IMODE(os.stat(home(sut, "vmb", "QubesIncoming/vma")).st_mode), 0o700)
    status, out, err = run(t, sut, "qvm-copy-to-vm", "vmb", "note")
    equal(status, 17, "there is such a file already")
    check(b'A file named "note" already exists in QubesIncoming dir' in err, err)
    equal(run(t, sut, "qvm-copy", "note", qube="vmb")[0], 1, "no such file there")


@both("filecopy-23 a name with a control character asks for allow-all-names, which policy can treat apart")
def _(t, sut):
    home(sut, "vma", "d/a\x1bb", b"x")
    status, _, err = run(t, sut, "qvm-copy", "d")
    equal(status, REFUSED, err.decode())
    status, _, err = run(t, sut, "qvm-copy-to-vm", "vmb", "d")
    equal(status, 0, err.decode())
    equal(arrived(sut, "d/a\x1bb"), b"x")


@both("filecopy-24 qvm-move removes what arrived, and nothing when anything failed")
def _(t, sut):
    home(sut, "vma", "d/a", b"x")
    home(sut, "vma", "b", b"y")
    equal(run(t, sut, "qvm-move", "d", "b")[0], 0)
    equal([os.path.exists(home(sut, "vma", n)) for n in ("d", "b")], [False, False])
    equal((arrived(sut, "d/a"), arrived(sut, "b")), (b"x", b"y"))
    for name in ("c", "b"):
        home(sut, "vma", name, b"new")
    status, _, err = run(t, sut, "qvm-move", "c", "b")
    equal(status, 17, err.decode())
    home(sut, "vma", "secret", b"z", mode=0)
    home(sut, "vma", "e", b"e")
    status, _, err = run(t, sut, "qvm-move", "e", "secret")
    check(status != 0 and b"secret" in err and b"Permission denied" in err, err)
    status, _, err = run(t, sut, "qvm-move-to-vm", "dom0", "c")
    equal(status, REFUSED)
    for name in ("c", "b", "secret", "e"):
        check(os.path.exists(home(sut, "vma", name)), f"{name} is still there")


@both("a move keeps what was not sent: links passed over, pipes, files changed meanwhile")
def _(t, sut):
    home(sut, "vma", "d/a", b"x")
    os.symlink("a", home(sut, "vma", "d/link"))
    os.mkfifo(home(sut, "vma", "d/pipe"))
    status, _, err = run(t, sut, "qvm-move", "--ignore-symlinks", "d")
    equal(status, 1)
    check(b"d/link stays" in err and b"d/pipe stays" in err, err)
    equal(sorted(os.listdir(home(sut, "vma", "d"))), ["link", "pipe"])
    equal(arrived(sut, "d/a"), b"x")


# Of what the agent beside it says, only the receiver's word for everything counts.
@both("a move whose sender was killed, or that never sent anything, removes nothing")
def _(t, sut):
    home(sut, "vma", "a", b"x")
    for body in ("exit 0", "shift 5; exec \"$@\" </dev/null >/dev/null", "kill -9 $$"):
        sut.folder("q/vma/bin")
        sut.write("q/vma/bin/qrexec-client-vm", "#!/bin/sh\n" + body + "\n", 0o755)
        status, _, err = run(t, sut, "qvm-move", "a",
                             env={"PATH": sut.inside("vma", "bin") + ":/usr/bin:/bin"})
        check(status != 0 and os.path.exists(home(sut, "vma", "a")), (body, status, err))


def programs(above, name):
    return [pid for pid in descendants(above) if name_of(pid) == name[:15]]


# If this failed, a copy that was cut off would look like one that was not, or hang, or a move would lose the file.
@both("kill -9 of whoever takes part in a copy: it fails, nothing half-written is there, and the source stays")
def _(t, sut):
    home(sut, "vma", "small", b"x")
    with open(home(sut, "vma", "big"), "wb") as file:
        file.truncate(1 << 36)
    incoming, agent = home(sut, "vmb", "QubesIncoming/vma"), sut.qubes["vmb"].agent.pid
    for victim in ("the receiver", "its parent", "the agent's worker", "the client", "the sender"):
        move = sut.popen([t.path("bin/qvm-move"), "small", "big"], qube="vma", cwd=sut.inside("vma", "home/user"),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for(lambda: os.path.exists(incoming + "/small"), "the first file")
        receivers = programs(agent, "qfile-unpacker")
        child = [pid for pid in receivers if not descendants(pid)]
        parent = [pid for pid in receivers if pid not in child]
        chosen = {"the receiver": child, "its parent": parent,
                  "the agent's worker": [pid for pid in programs(agent, "qrexec-agent") if parent[0] in children_of(pid)],
                  "the client": programs(move.pid, "qrexec-client-vm"), "the sender": programs(move.pid, "qfile-agent")}[victim]
        equal(len(chosen), 1, victim)
        os.kill(chosen[0], signal.SIGKILL)
        _, err = move.communicate(timeout=HANG)
        check(move.returncode not in (0, -signal.SIGKILL), (victim, move.returncode, err))
        wait_for(lambda: not programs(agent, "qfile-unpacker"), "the receiver's end")
        equal(os.listdir(incoming), ["small"], victim)
        equal(sorted(n for n in os.listdir(home(sut, "vma", "")) if n in ("big", "small")), ["big", "small"], victim)
        os.unlink(incoming + "/small")
    # And the next copy is as the first.
    os.unlink(home(sut, "vma", "big"))
    equal(run(t, sut, "qvm-move", "small")[0], 0)
    equal(arrived(sut, "small"), b"x")


def children_of(pid):
    return [child for child in descendants(pid) if parent_of(child) == pid]


def parent_of(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rsplit(b")", 1)[1].split()[1])


@both("policy decides: a refused copy leaves nothing on either side")
def _(t, sut):
    home(sut, "vmb", "a", b"x")
    status, out, err = run(t, sut, "qvm-copy-to-vm", "vma", "a", qube="vmb")
    equal((status, out), (REFUSED, b""))
    check(b"Request refused" in err, err)
    equal(os.path.exists(home(sut, "vma", "QubesIncoming")), False)
    equal(run(t, sut, "qvm-copy", "a", qube="vmb")[0], 0)
    equal(arrived(sut, "a", "vmb", "vma"), b"x")


@both("what no receiver takes is refused before the call")
def _(t, sut):
    os.symlink("/etc/passwd", home(sut, "vma", "link"))
    home(sut, "vma", "d/a", b"x")
    os.symlink("../../x", home(sut, "vma", "d/out"))
    for words in (["link"], ["d"], ["missing"], ["."], [".."], ["/"], [""], ["d/.."]):
        status, _, err = run(t, sut, "qvm-copy", "--without-progress", *words)
        equal(status, 1, words)
        check(err.startswith(b"qvm-copy: "), err)
    equal(os.path.exists(home(sut, "vmb", "QubesIncoming")), False)
    for words in ([], ["--no-such", "d"], ["--with-progress"]):
        status, _, err = run(t, sut, "qvm-copy", *words)
        equal(status, 1)
        check(b"usage: qvm-copy" in err, err)
    equal(run(t, sut, "qvm-copy-to-vm", "vmb")[0], 1)
    status, out, _ = run(t, sut, "qvm-move", "--help")
    check(status == 0 and out.startswith(b"usage: qvm-move"), out)


@both("progress through a call: for a terminal, and lines for programs")
def _(t, sut):
    home(sut, "vma", "a", bytes(40 << 20))
    status, out, err = run(t, sut, "qvm-copy", "--progress-lines", "a")
    equal((status, err), (0, b""))
    lines = [tuple(map(int, line.split())) for line in out.splitlines()]
    equal((lines[0], lines[-1]), ((0, 40 << 20), (40 << 20, 40 << 20)))
    check(len(lines) >= 4 and lines == sorted(lines), lines)
    os.rename(home(sut, "vma", "a"), home(sut, "vma", "b"))
    status, out, err = run(t, sut, "qvm-copy", "--with-progress", "b")
    equal((status, out), (0, b""))
    check(err.startswith(b"sent 0/40960 KB\r") and err.endswith(b"sent 40960/40960 KB\r\n"), err)


@both("a file manager's script shows the progress in a window, and failures in another")
def _(t, sut):
    home(sut, "vma", "a", bytes(40 << 20))
    windows = sut.inside("vma", "windows")
    os.symlink(QUBE + "qubes-fs-tree-check", t.path("bin/qubes-fs-tree-check"))
    for name in ("qvm-copy-to-vm.gnome", "qvm-move-to-vm.gnome"):
        os.symlink(os.path.join(SOURCE, "qube/filecopy/qvm-copy-to-vm.gnome"), t.path("bin", name))
    t.script("bin/zenity", f'echo "$*" >>{windows}\n[ "$1" = --error ] || cat >>{windows}\n')
    env = {"PATH": t.path("bin") + ":/usr/bin:/bin"}
    status, _, err = run(t, sut, "qvm-copy-to-vm.gnome", "a", env=env)
    equal(status, 0, err.decode())
    with open(windows, encoding="ascii") as file:
        shown = file.read().splitlines()
    check(shown[0].startswith("--progress") and "Copying" in shown[0], shown)
    equal((shown[-1], len(arrived(sut, "a"))), ("100", 40 << 20))
    os.unlink(windows)
    run(t, sut, "qvm-move-to-vm.gnome", "a", env=env)
    with open(windows, encoding="ascii") as file:
        shown = file.read()
    check("--error --no-markup --text" in shown and 'A file named "a" already exists' in shown, shown)
    check(os.path.exists(home(sut, "vma", "a")), "it is still there")


@both("dom0 copies and moves into a qube, and has no service to receive with")
def _(t, sut):
    sut.write("file", b"from dom0")
    status, out, err = run(t, sut, "qvm-copy-to-vm", "vmb", "file", qube=None)
    equal((status, out, err), (0, b"", b""))
    equal(arrived(sut, "file", "dom0"), b"from dom0")
    status, _, err = run(t, sut, "qvm-move-to-vm", "vmb", "file", qube=None)
    check(status == 17 and os.path.exists(sut.path("file")), err)
    os.unlink(home(sut, "vmb", "QubesIncoming/dom0/file"))
    equal(run(t, sut, "qvm-move-to-vm", "vmb", "file", qube=None)[0], 0)
    check(not os.path.exists(sut.path("file")), "it was moved")
    equal(arrived(sut, "file", "dom0"), b"from dom0")
    for command in ("qvm-copy", "qvm-move"):
        status, _, err = run(t, sut, command, "x", qube=None)
        check(status == 1 and b"not supported" in err, err)
    status, _, err = run(t, sut, "qvm-copy-to-vm", "vmb", "missing", qube=None)
    check(status != 0 and b"stat missing" in err, err)
    home(sut, "vma", "a", b"x")
    equal(run(t, sut, "qvm-copy-to-vm", "dom0", "a")[0], REFUSED)
    equal(run(t, sut, "qvm-copy-to-vm", "@adminvm", "a")[0], REFUSED)


@both("dom0 fetches from a qube by its own receiver")
def _(t, sut):
    home(sut, "vmb", "d/a", b"x" * 100000)
    os.mkdir(t.path("into"), 0o777)
    os.chmod(t.path("into"), 0o777)
    account = str(sut.account.pw_uid)
    here_in, there_out = os.pipe()
    there_in, here_out = os.pipe()
    call = sut.popen([sut.program("qrexec-client"), "-d", "vmb",
                      f"DEFAULT:exec {QUBE}qfile-agent '{home(sut, 'vmb', 'd')}'"], stdin=there_in, stdout=there_out)
    receiver = sut.popen([DOM0 + "qfile-dom0-unpacker", account, t.path("into/new")], stdin=here_in, stdout=here_out)
    for fd in (here_in, there_out, there_in, here_out):
        os.close(fd)
    equal((receiver.wait(), call.wait()), (0, 0))
    equal(len(t.read("into/new/d/a")), 100000)


if __name__ == "__main__":
    main()
