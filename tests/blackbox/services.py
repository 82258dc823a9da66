# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, programs that call services of qubes by their known names would not work.
"""Services without a desktop: commands, applications, time, ports. As installed, under the default policy."""

import threading

from services_common import *

TEST_POLICY = """
qubes.VMShell     *  vma  vmb  allow
qubes.VMExec      *  vma  vmb  allow
qubes.ConnectTCP  *  vma  vmb  allow
"""


def put(sut, qube, name, content, mode=0o644):
    sut.folder("q", qube, os.path.dirname(name))
    return sut.write(f"q/{qube}/{name}", content, mode)


# If this failed, a command would run with other arguments than the caller spelled, or through a shell.
@services("services-001 VMExec: words as spelled, bad spelling refused", policy=TEST_POLICY)
def _(t, sut):
    for argument, wanted in (("printf+-25s-7C+a-20b+--la", b"a b|-la|"), ("printf+-5B-25s-5D++", b"[][]"),
                             ("printf+-25s+-24HOME-60id-60", b"$HOME`id`")):
        got = sut.call("vma", "vmb", "qubes.VMExec+" + argument)
        equal((got.returncode, got.stdout), (0, wanted), argument)
    for argument in ("a-2G", "a-2b", "a-", "a-2", "---"):
        got = sut.call("vma", "vmb", "qubes.VMExec+" + argument)
        equal((got.returncode, got.stdout), (1, b""), argument)
        check(b"'-' can be used only" in got.stderr, got.stderr)
    equal(sut.rpc("vmb", "qubes.VMExec").returncode, 1, "no argument")
    equal(sut.run("vmb", sut.inside("vmb", "etc/qubes-rpc/qubes.VMExec"), "true", "x").returncode, 1, "two")
    equal(sut.call("vma", "vmb", "qubes.VMExec+a-00b").returncode, 1, "NUL")
    equal(sut.call("vma", "vmb", "qubes.VMExec++").returncode, 127, "two empty words")
    equal(sut.call("vma", "vmb", "qubes.VMExec+nosuch").returncode, 127)
    equal(sut.call("vma", "vmb", "qubes.VMExec+-2Fetc-2Fpasswd").returncode, 126)
    equal(sut.call("vma", "vmb", "qubes.VMExec+cat", b"input").stdout, b"input")
    equal(sut.call("vma", "vmb", "qubes.VMExec+sh+--c+exit-209").returncode, 9)


# If this failed, dom0 could not run commands in a qube, or any qube could in any other.
@services("VMShell: commands on the input; by default for nobody else's qube")
def _(t, sut):
    equal(sut.call("vma", "vmb", "qubes.VMShell", b"echo $((6*7)); exit 3\n").returncode, REFUSED, "default")
    equal(sut.call("vma", "vmb", "qubes.VMExec+true").returncode, REFUSED, "default")
    equal(sut.call("vma", "vmb", "qubes.VMRootShell", b"true\n").returncode, REFUSED, "default")
    got = sut.call(None, "vmb", "DEFAULT:QUBESRPC qubes.VMShell dom0", b"echo $((6*7)); cat; exit 3\nrest")
    equal((got.returncode, got.stdout), (3, b"42\nrest"))
    got = sut.call(None, "vmb", "DEFAULT:QUBESRPC qubes.VMShell+WaitForSession dom0", b"echo here\n")
    equal((got.returncode, got.stdout), (0, b"here\n"))
    got = sut.call(None, "vmb", "DEFAULT:QUBESRPC qubes.VMExecGUI+echo+hi dom0")
    equal((got.returncode, got.stdout), (0, b"hi\n"), "waits for a session that is none")


DESKTOP = """# a comment
[Desktop Entry]
Type=Application
Name=Mark
Name[de]=Marke
Icon=mark-icon
Exec=%s "an \\\\"argument\\\\"" %%U 100%%%% %%i
[Desktop Action other]
Name=Not listed
Exec=false
"""


def applications(t, sut, qube):
    script = put(sut, qube, "usr/bin/mark", "#!/bin/sh\nfor a in \"$@\"; do echo \"$a\"; done >\"$HOME/mark.new\"\n"
                                            "mv \"$HOME/mark.new\" \"$HOME/mark\"\n", 0o755)
    share = "usr/share/applications"
    put(sut, qube, share + "/mark.desktop", DESKTOP % script)
    put(sut, qube, share + "/sub/deep-mark.desktop", DESKTOP % script)
    put(sut, qube, share + "/hidden.desktop", "[Desktop Entry]\nName=H\nExec=h\nNoDisplay=true\n")
    put(sut, qube, share + "/saver.desktop", "[Desktop Entry]\nName=S\nExec=s\nCategories=Screensaver;\n")
    put(sut, qube, share + "/broken.desktop", "[Desktop Entry]\nName=B\nExec=\"no end\n")
    put(sut, qube, "home/user/.local/share/applications/mark.desktop", (DESKTOP % script).replace("=Mark", "=Own"))


# If this failed, menu entries would start nothing, something else, or a command that another qube chose.
@services("StartApp: an application of the qube, by its id only")
def _(t, sut):
    applications(t, sut, "vmb")
    mark = sut.inside("vmb", "home/user/mark")
    for name in ("mark", "sub-deep-mark"):
        got = sut.call(None, "vmb", f"DEFAULT:QUBESRPC qubes.StartApp+{name} dom0")
        equal((got.returncode, got.stdout), (0, b""), name)
        wait_for(lambda: os.path.exists(mark), "the application's mark")
        with open(mark, encoding="utf-8") as file:
            equal(file.read(), "an \"argument\"\n100%\n--icon\nmark-icon\n", name)
        os.unlink(mark)
    for name in ("nosuch", "..", "sub-nosuch", "hidden-x", "broken"):
        got = sut.call(None, "vmb", f"DEFAULT:QUBESRPC qubes.StartApp+{name} dom0")
        equal(got.returncode, 1, name)
        check(got.stdout, "a message")
    got = sut.run("vmb", "qubes-desktop-run", "mark.desktop")
    equal((got.returncode, got.stdout), (0, b""))
    wait_for(lambda: os.path.exists(mark), "the application's mark")


# If this failed, files that an application opens would stay in a qube whose owner wants them in disposables.
@services("StartApp: what dom0 says in QubesDB of where an application's files are opened")
def _(t, sut):
    script = put(sut, "vmb", "usr/bin/mark", "#!/bin/sh\necho \"$XDG_DATA_DIRS\" >\"$HOME/mark.new\"\n"
                                             "mv \"$HOME/mark.new\" \"$HOME/mark\"\n", 0o755)
    put(sut, "vmb", "usr/share/applications/mark.desktop", DESKTOP % script)
    entries, mark = {}, sut.inside("vmb", "home/user/mark")

    def serve(channel):
        def send(kind, path, value=b""):
            channel.send(struct.pack("<B64s3xI", kind, path.encode(), len(value)) + value)
        while head := channel.recv_up_to(72):
            kind, path, size = struct.unpack("<B64s3xI", head)
            path = path.rstrip(b"\0").decode()
            equal(size, 0, "a question has no data")
            if kind == 0:
                send(*((10, path, entries[path]) if path in entries else (8, path)))
            else:
                for name in sorted(entries):
                    if name.startswith(path):
                        send(11, name, entries[name])
                send(11, "")
    sut.folder("q/vmb/run/qubes")
    t.respond(sut.inside("vmb", "run/qubes/qubesdb.sock"), serve)
    for given, there in (({}, False), ({"/hash-app-dispvm/0123": b"other", "/hash-app-dispvm/4567": b"mark"}, True),
                         ({"/hash-app-dispvm/0123": b"mark2"}, False), ({"/qubes-service/app-dispvm.mark": b"1"}, True),
                         ({"/qubes-service/app-dispvm.mark2": b"1"}, False)):
        entries.clear()
        entries.update(given)
        equal(sut.call(None, "vmb", "DEFAULT:QUBESRPC qubes.StartApp+mark dom0").returncode, 0, given)
        wait_for(lambda: os.path.exists(mark), "the application's mark")
        with open(mark, encoding="utf-8") as file:
            equal(file.read() == "/usr/share/qubes/xdg-override\n", there, given)
        os.unlink(mark)


# If this failed, dom0's menus would lack applications, or list those that belong to none.
@services("GetAppmenus: what is listed, and that one folder that is missing hides no other", start=False)
def _(t, sut):
    applications(t, sut, "vmb")
    got = sut.rpc("vmb", "qubes.GetAppmenus").stdout.decode().splitlines()
    check("mark.desktop:Name=Own" in got, "the user's own first")
    check("mark.desktop:Name=Mark" not in got, "a file that another one replaces")
    check("mark.desktop:Exec=qubes-desktop-run mark.desktop" in got, got)
    check("sub-deep-mark.desktop:Exec=qubes-desktop-run sub-deep-mark.desktop" in got, got)
    check(not any("hidden" in line or "saver" in line or "Not listed" in line for line in got), got)
    shutil.rmtree(sut.inside("vmb", "home/user/.local"))
    got = sut.rpc("vmb", "qubes.GetAppmenus").stdout.decode().splitlines()
    check("mark.desktop:Name=Mark" in got, "without the user's folder")
    put(sut, "vmb", "run/qubes/persistent-none", "")
    equal(sut.rpc("vmb", "qubes.GetAppmenus").stdout, b"", "nothing persists")


# If this failed, a qube could not learn the time, or learn more of the clock than it should.
@services("services-003 GetDate and GetRandomizedTime: forms, and what the consumer takes", start=False)
def _(t, sut):
    date = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
    check(re.fullmatch(date + rb"\+00:00\n", sut.rpc("vma", "qubes.GetDate").stdout), "seconds")
    check(re.fullmatch(date + rb"\+00:00\n", sut.rpc("vma", "qubes.GetDate", "").stdout), "empty argument")
    check(re.fullmatch(date + rb",\d{9}\+00:00\n", sut.rpc("vma", "qubes.GetDate", "nanoseconds").stdout), "ns")
    for _ in range(20):
        got = sut.rpc("vma", "qubes.GetRandomizedTime").stdout
        check(re.fullmatch(rb"\d+\.\d{9}\n", got), got)
        check(abs(float(got) - time.time()) < 190, got)
    for answer, status, said in ((b"2030-05-01T10:11:12+00:00\n", 0, b""),
                                 (b"2030-05-01T10:11:12,123456789+00:00\nmore", 0, b""),
                                 (b"2030-05-01T10:11:12+00:00\n\n", 1, b"27"),
                                 (b"2030-05-01T10:11:12,12345678+00:00\n", 1, b"35"),
                                 (b"2022-07-10T17:08:31+00:00\n", 1, b"older"),
                                 (b"2030-13-01T10:11:12+00:00\n", 1, b"no such"),
                                 (b"", 1, b"got 0")):
        sut.write("q/vma/usr/bin/answer", answer)
        client = sut.inside("vma", "usr/bin/qrexec-client-vm")
        os.unlink(client)
        sut.write("q/vma/usr/bin/qrexec-client-vm", f"#!/bin/sh\ncat {sut.inside('vma', 'usr/bin/answer')}\n", 0o755)
        got = sut.run("vma", "qvm-sync-clock", "--print")
        equal(got.returncode, status, answer)
        check(said in got.stderr, got.stderr)
        if status == 0:
            check(got.stdout.startswith(b"2030-05-01T10:11:12,"), got.stdout)
        if os.geteuid() != 0 or sut.account.pw_uid != 0:
            equal(sut.run("vma", "qvm-sync-clock").returncode, 1, "an ordinary user sets no clock")


# If this failed, dom0 would correct clocks that are right, or take nonsense for a time.
@services("SetDateTime: near enough changes nothing", start=False)
def _(t, sut):
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00\n", time.gmtime()).encode()
    equal(sut.rpc("vma", "qubes.SetDateTime", stdin=now).returncode, 0, "our own time")
    for text in (b"", b"yesterday\n", b"2030-02-30T00:00:00+00:00\n", b"2030-01-01T00:00:00+00:00 ; reboot\n"):
        got = sut.rpc("vma", "qubes.SetDateTime", stdin=text)
        equal(got.returncode, 1, text)
        check(b"not a time" in got.stderr, got.stderr)
    if sut.account.pw_uid != 0:
        got = sut.rpc("vma", "qubes.SetDateTime", stdin=b"2030-01-01T00:00:00+00:00\n")
        check(got.returncode == 1 and b"cannot be set" in got.stderr, got.stderr)


# If this failed, qubes would get no time, or one from a qube that the user did not choose for it.
@services("GetDate of dom0: from the clock's qube, dom0 itself, or nobody", policy="")
def _(t, sut):
    date = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
    state = {"clockvm": "vmb"}
    Qubesd(sut, "qubesd.sock", {
        "admin.property.Get+clockvm": lambda *_: b"0\0default=False type=vm " + state["clockvm"].encode(),
        "admin.vm.CurrentState+": lambda _, dest, __: b"0\0mem=1 mem_static_max=1 cputime=0 power_state="
                                                      + (b"Running" if dest == "vmb" else b"Halted")})
    sut.service("vmb", "qubes.GetDate", "#!/bin/sh\necho from vmb $1\n")
    for target in ("dom0", "vmb", "@default"):
        got = sut.call("vma", target, "qubes.GetDate+nanoseconds")
        equal((got.returncode, got.stdout), (0, b"from vmb nanoseconds\n") if target != "dom0"
              else (REFUSED, b""), target)
    equal(sut.call("vma", "@default", "qubes.GetDate").stdout, b"from vmb\n")
    for clockvm in ("dom0", "vma"):
        state["clockvm"] = clockvm
        got = sut.call("vma", "@default", "qubes.GetDate")
        check(got.returncode == 0 and re.fullmatch(date + rb"\+00:00\n", got.stdout), (clockvm, got))
    state["clockvm"] = ""
    got = sut.call("vma", "@default", "qubes.GetDate")
    equal((got.returncode, got.stdout), (0, b""), "no clockvm")
    check(abs(float(sut.call("vma", "dom0", "qubes.GetRandomizedTime").stdout) - time.time()) < 200, "randomized")
    # The whole way: the client checks what came through dom0 from vmb.
    state["clockvm"] = "vmb"
    os.unlink(sut.inside("vmb", "etc/qubes-rpc/qubes.GetDate"))
    os.symlink("../../usr/lib/qubes/get-date", sut.inside("vmb", "etc/qubes-rpc/qubes.GetDate"))
    got = sut.run("vma", "qvm-sync-clock", "--print")
    check(re.fullmatch(date + rb",\d{9}\+00:00\n", got.stdout), got)


# If this failed, the qubes' news of updates and features would be lost, or count as another qube's.
@services("services-006 NotifyUpdates, NotifyTools, FeaturesRequest reach the admin service in the caller's name")
def _(t, sut):
    good = b"0\0"
    misc = Qubesd(sut, "qubesd.misc.sock", {"qubes.NotifyUpdates+": good, "qubes.NotifyTools+": good,
                                            "qubes.FeaturesRequest+": b"2\0ProtocolError\0\0Value outside\0"})
    for text, sent in ((b"1\n", b"1"), (b" 12 \n", b"1"), (b"0\n", b"0"), (b"000", b"0")):
        equal(sut.call("vma", "dom0", "qubes.NotifyUpdates", text).returncode, 0, text)
        equal(misc.asked.pop(), ("qubes.NotifyUpdates+", "vma", "name", "dom0", sent), text)
    for text in (b"x\n", b"", b"-1\n", b"1 2", b"1\0", b"9" * 65, b"1" * 100000):
        equal(sut.call("vma", "dom0", "qubes.NotifyUpdates", text).returncode, 1, text[:10])
    equal(misc.asked, [], "what is no number goes nowhere")
    equal(sut.call("vmb", "dom0", "qubes.NotifyTools").returncode, 0)
    equal(misc.asked.pop(), ("qubes.NotifyTools+", "vmb", "name", "dom0", b""))
    equal(sut.call("vmb", "dom0", "qubes.FeaturesRequest").returncode, 1, "refused there")
    misc.responder.close()
    equal(sut.call("vma", "dom0", "qubes.NotifyUpdates", b"1\n").returncode, 1, "nobody there")
    equal(sut.call("vma", "vmb", "qubes.NotifyUpdates", b"1\n").returncode, REFUSED, "not between qubes")


def echo_server(t):
    """A TCP server that gives back in capitals what it was told; its port."""
    server = t.own(socket.create_server(("127.0.0.1", 0)))

    def serve(connection):
        with connection:
            data = b""
            while part := connection.recv(65536):
                data += part
            connection.sendall(data.upper())
    def loop():
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
    return server.getsockname()[1]


def ask(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=HANG) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# If this failed, a port of another qube could not be used from here, or by anybody without being allowed.
@services("ConnectTCP by qvm-connect-tcp", policy=TEST_POLICY)
def _(t, sut):
    remote, local = echo_server(t), free_port()
    got = sut.run("vma", "qvm-connect-tcp", f"{local}:vmb:{remote}")
    equal(got.returncode, 0, got.stderr)
    for size in (1, 300000):
        equal(ask(local, b"a" * size), b"A" * size)
    answers = []
    threads = [threading.Thread(target=lambda i=i: answers.append(ask(local, b"%d" % i))) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(sorted(answers), sorted(b"%d" % i for i in range(20)))
    got = sut.run("vma", "qvm-connect-tcp", f"{local}:vmb:{remote}")
    equal(got.returncode, 1, "the port is taken")
    check(b"in use" in got.stderr, got.stderr)
    other = free_port()
    equal(sut.run("vmb", "qvm-connect-tcp", f"{other}:vma:{remote}").returncode, 0)
    equal(ask(other, b""), b"", "refused by policy: closed without a byte")
    for bad in ("", "1", ":vmb", "1:vmb", "x:vmb:1", "1:vmb:0", "1:vmb:65536", ":vmb:1 2", "0:vmb:80"):
        equal(sut.run("vma", "qvm-connect-tcp", bad).returncode, 2, bad)


# If this failed, templates could not be updated, or every qube would get a way to the network.
@services("services-020 UpdatesProxy: for templates by default, for no other qube",
          qubes=("work", Qube("debian", 2, kind="TemplateVM"), "sys-net"))
def _(t, sut):
    port, local = echo_server(t), free_port()
    link = sut.inside("sys-net", "etc/qubes-rpc/qubes.UpdatesProxy")
    equal(os.readlink(link), "/dev/tcp/127.0.0.1/8082")
    os.unlink(link)
    os.symlink(f"/dev/tcp/127.0.0.1/{port}", link)
    equal(sut.call("work", "@default", "qubes.UpdatesProxy").returncode, REFUSED)
    equal(sut.call("work", "sys-net", "qubes.UpdatesProxy").returncode, REFUSED)
    equal(sut.run("debian", "qvm-connect-tcp", "--service=qubes.UpdatesProxy", f"{local}:").returncode, 0)
    equal(ask(local, b"connect example.org"), b"CONNECT EXAMPLE.ORG")


# If this failed, a qube would wait for a network that it has not, or not for one that is coming.
@services("services-017 WaitForNetworkUplink and the other waits, without a desktop", start=False)
def _(t, sut):
    equal(sut.rpc("vma", "qubes.WaitForNetworkUplink").returncode, 0, "no interface")
    put(sut, "vma", "sys/class/net/eth0/operstate", "up\n")
    if not os.path.isdir("/run/systemd/system"):
        equal(sut.rpc("vma", "qubes.WaitForNetworkUplink").returncode, 0, "up")
    put(sut, "vma", "sys/class/net/eth0/operstate", "down\n")
    equal(sut.rpc("vma", "qubes.WaitForNetworkUplink").returncode, 3, "does not come up")
    if not os.path.isdir("/run/systemd/system"):
        equal(sut.rpc("vma", "qubes.WaitForRunningSystem").returncode, 0)
        equal(sut.rpc("vma", "qubes.WaitForSession").returncode, 0)


# If this failed, one hook that fails would keep the others from running, or its failure would be lost.
@services("suspend and installation hooks", start=False)
def _(t, sut):
    for name, folder in (("qubes.SuspendPreAll", "suspend-pre.d"), ("qubes.SuspendPostAll", "suspend-post.d"),
                         ("qubes.PostInstall", "post-install.d")):
        shutil.rmtree(sut.inside("vma", "etc/qubes", folder), ignore_errors=True)
        equal(sut.rpc("vma", name).returncode, 0, "no hooks")
        put(sut, "vma", f"etc/qubes/{folder}/20-b.sh", "#!/bin/sh\necho second\n", 0o755)
        put(sut, "vma", f"etc/qubes/{folder}/30-not-executable.sh", "#!/bin/sh\necho third\n")
        put(sut, "vma", f"etc/qubes/{folder}/other.txt", "#!/bin/sh\necho fourth\n", 0o755)
        got = sut.rpc("vma", name)
        equal((got.returncode, got.stdout), (0, b"second\n"), name)
        put(sut, "vma", f"etc/qubes/{folder}/10-a.sh", "#!/bin/sh\necho first\nexit 7\n", 0o755)
        got = sut.rpc("vma", name)
        equal((got.returncode, got.stdout), (1, b"first\nsecond\n"), name)
        check(b"10-a.sh failed with status 7" in got.stderr, got.stderr)


# If this failed, dom0 could be talked into what no program of it asks for.
@services("what root's services take as their line", start=False)
def _(t, sut):
    for name, texts in (("qubes.ResizeDisk", (b"", b"other\n", b"private; reboot\n", b"/dev/sda\n")),
                        ("qubes.DetachPciDevice", (b"", b"../../x\n", b"00:1f.8\n", b"0000:00:1f.1\n"))):
        for text in texts:
            equal(sut.rpc("vma", name, stdin=text).returncode, 1, text)
    equal(sut.rpc("vma", "qubes.DetachPciDevice", stdin=b"00:1f.1\n").returncode, 0, "has no driver")
    device = "sys/bus/pci/devices/0000:00:1f.1"
    put(sut, "vma", device + "/driver/unbind", "")
    equal(sut.rpc("vma", "qubes.DetachPciDevice", stdin=b"00:1f.1\n").returncode, 0)
    with open(sut.inside("vma", device, "driver/unbind"), encoding="ascii") as file:
        equal(file.read(), "0000:00:1f.1")


if __name__ == "__main__":
    main()
