# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, a qube's applications could not be started from dom0, or a qube could write dom0's menus.
"""Menus: from a qube's .desktop files to checked entries in dom0, and `skerry apps`."""

from services_common import *

MENUS = "var/lib/qubes/appmenus"


def system(t, sut, classes=None):
    """dom0's side: the admin service, and a folder for the menus that the services' user may write to."""
    sut.folder("var/lib/qubes")
    classes = classes or {"debian": "TemplateVM", "work": "AppVM"}

    def listed(_, dest, __):
        return b"0\0" + f"{dest} class={classes[dest]} state=Running uuid=x\n".encode()
    os.symlink(sut.program("skerry"), sut.path("usr/bin/skerry"))
    return Qubesd(sut, "qubesd.sock", {
        "admin.vm.List+": listed, "admin.vm.Start+": b"2\0QubesVMNotHaltedError\0\0running\0",
        "admin.vm.property.Get+template": b"0\0default=False type=vm debian"})


def entries(sut, qube, folder="apps.templates"):
    try:
        return sorted(os.listdir(sut.path(MENUS, qube, folder)))
    except FileNotFoundError:
        return []


def entry(sut, qube, name):
    with open(sut.path(MENUS, qube, "apps.templates", name + ".desktop"), encoding="ascii") as file:
        return file.read()


def desktop(sut, qube, name, text):
    sut.folder("q", qube, "usr/share/applications")
    sut.write(f"q/{qube}/usr/share/applications/{name}.desktop", "[Desktop Entry]\n" + text)


QUBES = (Qube("debian", 1, kind="TemplateVM"), "work")


# If this failed, new applications of a template would never show up, or those that are gone would stay.
@services("SyncAppMenus: a template tells, dom0 keeps, a qube based on it starts them", qubes=QUBES)
def _(t, sut):
    system(t, sut)
    icons = sut.folder("q", "debian", "usr/share/icons/hicolor/48x48/apps")
    pixels = bytes(range(2 * 3 * 4))
    sut.write("q/debian/usr/share/icons/hicolor/48x48/apps/mark.png", png(2, 3, pixels))
    desktop(sut, "debian", "mark", "Name=Mark\nComment=Leaves a mark\nIcon=mark\nExec=x\nCategories=Utility;Nonsense;\n")
    desktop(sut, "debian", "other", "Name=Other\nExec=x\n")
    desktop(sut, "debian", "bad", "Name=$(reboot)\nExec=x\n")
    told = sut.run("debian", "/bin/sh", sut.inside("debian", "etc/qubes/post-install.d/20-appmenus.sh"))
    equal(told.returncode, 0, told.stderr)
    equal(entries(sut, "debian"), ["mark.desktop", "other.desktop"])
    wanted = ("[Desktop Entry]\nVersion=1.0\nType=Application\nTerminal=false\nX-Qubes-VmName=%VMNAME%\n"
              "X-Qubes-AppName=mark\nIcon=" + ("%XDGICON%" if NEEDS else "%VMDIR%/apps.icons/mark.png") +
              "\nName=%VMNAME%: Mark\nComment=Leaves a mark\nCategories=Utility;X-Qubes-VM;\n"
              "Exec=qvm-run -q -a --service -- %VMNAME% qubes.StartApp+mark\n"
              "X-Qubes-DispvmExec=qvm-run -q -a --service --dispvm=%VMNAME% -- qubes.StartApp+mark\n")
    equal(entry(sut, "debian", "mark"), wanted)
    if not NEEDS:
        with open(sut.path(MENUS, "debian/apps.tempicons/mark.png"), "rb") as file:
            equal(read_png(file.read()), (2, 3, pixels), "the icon")
    shown = sut.run(None, "skerry", "apps", "work").stdout.decode()
    check(re.search(r"^mark\s+Mark\s+Leaves a mark$", shown, re.M) and "other" in shown, shown)
    line = json.loads(sut.run(None, "skerry", "--json", "apps", "work").stdout.splitlines()[0])
    equal(line, {"qube": "work", "app": "mark", "name": "Mark", "comment": "Leaves a mark",
                 "categories": "Utility;X-Qubes-VM;"})
    equal(sut.run(None, "skerry", "apps").stdout, b"debian\n")
    # It is started in the qube that is based on the template, by the same id.
    script = sut.write("q/work/usr/bin/mark", "#!/bin/sh\n: >\"$HOME/started\"\n", 0o755)
    desktop(sut, "work", "mark", f"Name=Mark\nExec={script}\n")
    got = sut.run(None, "skerry", "apps", "work", "--launch", "mark")
    equal(got.returncode, 0, got.stderr)
    wait_for(lambda: os.path.exists(sut.inside("work", "home/user/started")), "the application")
    for name in ("nosuch", "../mark", "mark;id", ""):
        equal(sut.run(None, "skerry", "apps", "work", "--launch", name).returncode, 1, name)
    # One goes; what is the same is not written again; dom0 asks by itself.
    os.unlink(sut.inside("debian", "usr/share/applications/other.desktop"))
    shutil.rmtree(icons)
    before = os.stat(sut.path(MENUS, "debian/apps.templates/mark.desktop")).st_ino
    got = sut.run(None, "skerry", "apps", "debian", "--sync")
    equal(got.returncode, 0, got.stderr)
    equal(entries(sut, "debian"), ["mark.desktop"])
    equal(os.stat(sut.path(MENUS, "debian/apps.templates/mark.desktop")).st_ino, before, "written again")
    equal(entries(sut, "debian", "apps.tempicons"), [] if NEEDS else ["mark.png"], "an older icon stays")


def sync(sut, qube, data):
    return sut.call(qube, "dom0", "qubes.SyncAppMenus", data)


# If this failed, a qube could write into dom0 what it likes, or fill its disk.
@services("services-004 SyncAppMenus: what is hostile changes nothing that is good", qubes=QUBES)
def _(t, sut):
    system(t, sut)
    good = b"a.desktop:Name=A\na.desktop:Comment=$(x)\nb.desktop:Name=B\nqubes-start.desktop:Name=Evil\n"
    equal(sync(sut, "debian", good).returncode, 0)
    equal(entries(sut, "debian"), ["a.desktop", "b.desktop"])
    check("Comment" not in entry(sut, "debian", "a"), "a bad value")
    sut.write(MENUS + "/debian/apps.templates/qubes-start.desktop", "ours")
    for data, why in ((b"x\n" * 100000, "100,000 lines"), (b"", "nothing"), (b"a.desktop:Foo=1\n", "nothing taken"),
                      (b"c.desktop:Name=C\nd.desktop:Name=\xff\n", "not UTF-8"), (b"x" * (9 << 20), "9 MiB"),
                      (b"a.desktop:Name=\x1b[2J\n", "only bad values")):
        got = sync(sut, "debian", data)
        equal(got.returncode, 1, why)
        equal(entries(sut, "debian"), ["a.desktop", "b.desktop", "qubes-start.desktop"], why)
    equal(sync(sut, "debian", b"b.desktop:Name=B\n").returncode, 0)
    equal(entries(sut, "debian"), ["b.desktop", "qubes-start.desktop"], "removed")
    many = b"".join(b"app%d.desktop:Name=N\n" % i for i in range(3000))
    equal(sync(sut, "debian", many).returncode, 0)
    equal(len(entries(sut, "debian")), 2001, "at most 2000, and dom0's own")
    names = b"..desktop:Name=X\n../../etc/x.desktop:Name=Y\n/z.desktop:Name=Z\n" + b"n" * 900 + b".desktop:Name=L\n"
    equal(sync(sut, "debian", names).returncode, 0)
    equal(entries(sut, "debian"), ["..desktop", "qubes-start.desktop", "x.desktop", "z.desktop"])
    # An app qube may have none, and has its own list.
    equal(sync(sut, "work", b"own.desktop:Name=Own\n").returncode, 0)
    equal(entries(sut, "work"), ["own.desktop"])
    equal(sync(sut, "work", b"").returncode, 0)
    equal(entries(sut, "work"), [])
    equal(sut.call("work", "debian", "qubes.SyncAppMenus", b"x").returncode, REFUSED)


# If this failed, a list cut anywhere on its way would leave something else than its whole lines.
@services("SyncAppMenus: cut at every byte", qubes=QUBES)
def _(t, sut):
    system(t, sut)
    whole = b"ab.desktop:Name=Ab\ncd.desktop:Name=Cd\ncd.desktop:Comment=x\n"
    for length in range(len(whole) + 1):
        got = sync(sut, "work", whole[:length])
        equal(got.returncode, 0, (length, got.stderr))
        names = {e[:-len(".desktop")] for e in entries(sut, "work")}
        check(names <= {"ab", "cd", "c"}, (length, names))
    equal(entries(sut, "work"), ["ab.desktop", "cd.desktop"])


# If this failed, an icon could be another file, larger than allowed, or keep dom0 waiting for ever.
@services("services-005 SyncAppMenus: hostile icons", qubes=QUBES)
def _(t, sut):
    system(t, sut)
    os.unlink(sut.inside("work", "etc/qubes-rpc/qubes.GetImageRGBA"))
    asked, answer = sut.inside("work", "home/user/asked"), sut.inside("work", "home/user/answer")
    sut.service("work", "qubes.GetImageRGBA", f"#!/bin/sh\ncat >>{asked}\ncat {answer}\n")
    good = b"2 1\n" + bytes(range(8))
    for data, kept in ((good, True), (good + b"more", True), (good[:-1], False), (b"2049 1\n", False), (b"1 2049\n", False),
                       (b"0 5\n", False), (b"5 5 \n", False), (b"+5 5\n", False), (b"55555555555", False), (b"", False),
                       (b"\x89PNG\r\n\x1a\n", False)):
        shutil.rmtree(sut.path(MENUS), ignore_errors=True)
        sut.write("q/work/home/user/answer", data)
        equal(sync(sut, "work", b"a.desktop:Name=A\na.desktop:Icon=i\nb.desktop:Name=B\n").returncode, 0, data)
        equal(entries(sut, "work"), ["a.desktop", "b.desktop"], data)
        equal(entries(sut, "work", "apps.tempicons"), ["a.png"] if kept else [], data)
        check(("apps.icons" in entry(sut, "work", "a")) == kept, data)
    os.unlink(asked)
    icons = b"a.desktop:Name=A\na.desktop:Icon=%s\n"
    for name, line in ((b"/usr/share/x.png", b"/usr/share/x.png\n"), (b"plain", b"xdgicon:plain\n"),
                       (b"../../etc", b"xdgicon:../../etc\n")):
        equal(sync(sut, "work", icons % name).returncode, 0)
        with open(asked, "rb") as file:
            equal(file.read(), line, name)
        os.unlink(asked)
    for name in (b"a b", b"a;b", b"x" * 300):
        equal(sync(sut, "work", icons % name).returncode, 0)
        check(not os.path.exists(asked), name)


# If this failed, looking at a log would let a qube write to the administrator's terminal.
@services("skerry log: what qubes wrote, on any terminal", qubes=QUBES, start=False)
def _(t, sut):
    os.symlink(sut.program("skerry"), sut.path("usr/bin/skerry"))
    every = bytes(c for c in range(256) if c != 10)
    sut.write("var/log/qubes/guid.work.log", b"first\n\x1b]0;evil\x07 \xc2\x9b31m caf\xc3\xa9 \xe2\x80\xae\n" + every +
              b"\n" + b"z" * 20000 + b"\nlast")
    sut.write("var/log/qubes/qrexec.workshop.log", "not ours\n")
    sut.write("var/log/qubes/qrexec.work.log", "".join(f"line {i}\n" for i in range(1000)))

    def log(*words, lang="C"):
        return sut.run(None, "skerry", "log", *words, env={"LC_ALL": lang})
    for lang in ("C", "C.UTF-8"):
        out = log("work", lang=lang).stdout
        for line in out.split(b"\n"):
            text = line.decode("utf-8" if lang == "C.UTF-8" else "ascii")
            check(all(c.isprintable() for c in text) and "\u202e" not in text, line)
        check(b"\\x1b]0;evil\\x07" in out and b"not ours" not in out and b"last" in out, out[:200])
        check((b"caf\xc3\xa9" in out) == (lang == "C.UTF-8"), "letters where the terminal has them")
        check(max(len(line) for line in out.split(b"\n")) <= 8192, "a line that is too long")
        check(b"==> guid.work.log <==" in out and b"line 999" in out and b"line 949\n" not in out, "the last 50")
    equal(log("--lines=2", "qrexec.work.log").stdout, b"line 998\nline 999\n")
    equal(log("--lines=0", "qrexec.work.log").stdout, b"")
    names = [line.split()[1] for line in log().stdout.splitlines()]
    equal(names, [b"guid.work.log", b"qrexec.work.log", b"qrexec.workshop.log"])
    got = sut.run(None, "skerry", "--json", "log", "--lines=1", "qrexec.work.log")
    equal(json.loads(got.stdout), {"file": "qrexec.work.log", "line": "line 999"})
    equal(log("nosuch").returncode, 1)
    equal(log("--bad").returncode, 2)
    # What is added shows up, in a file that starts again too.
    follower = t.start(sut.program("skerry"), "log", "-f", "--lines=1", sut.path("var/log/qubes/qrexec.work.log"),
                       env=sut.env())
    follower.wait_output(b"line 999\n")
    with open(sut.path("var/log/qubes/qrexec.work.log"), "ab") as file:
        file.write(b"new \x1b[2J\npart")
    follower.wait_output(b"new \\x1b[2J\n")
    with open(sut.path("var/log/qubes/qrexec.work.log"), "ab") as file:
        file.write(b"ly\n")
    follower.wait_output(b"partly\n")
    with open(sut.path("var/log/qubes/qrexec.work.log"), "wb") as file:
        file.write(b"again\n")
    follower.wait_output(b"again\n")


# If this failed, dom0 would wait for a window that nobody sees, or take a message for a path.
@services("services of a desktop: with one they show it, without one they say so", qubes=("work",), start=False)
def _(t, sut):
    def fake(name, text):
        sut.write("q/work/usr/bin/" + name, "#!/bin/sh\n" + text, 0o755)
    none = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
    for name in ("qubes.SelectFile", "qubes.SelectDirectory", "qubes.ShowInTerminal"):
        got = sut.rpc("work", name, stdin=b"x", env=none)
        equal((got.returncode, got.stdout), (1, b""), name)
        check(b"no graphical session" in got.stderr, got.stderr)
    fake("zenity", 'echo "$@"\n')
    equal(sut.rpc("work", "qubes.SelectFile", env={"DISPLAY": ":9"}).stdout, b"--file-selection\n")
    equal(sut.rpc("work", "qubes.SelectDirectory", env={"DISPLAY": ":9"}).stdout, b"--file-selection --directory\n")
    # A terminal whose user types what he sees in capitals.
    fake("xterm", 'shift; exec "$@" <"$HOME/typed" >"$HOME/shown"\n')
    sut.write("q/work/home/user/typed", b"typed there" * 1000)
    got = sut.rpc("work", "qubes.ShowInTerminal", stdin=b"shown there" * 1000, env={"DISPLAY": ":9"})
    equal((got.returncode, got.stdout), (0, b"typed there" * 1000), got.stderr)
    with open(sut.inside("work", "home/user/shown"), "rb") as file:
        equal(file.read(), b"shown there" * 1000)
    equal(glob.glob("/tmp/qubes-terminal-*"), [], "left behind")
    for name in ("qubes.UpdateAppMenusFor", "qubes.RemoveAppMenusFor"):
        for argument in (None, "", "-x", "a/b", "a b"):
            equal(sut.rpc("work", name, argument).returncode, 2, (name, argument))
        equal(sut.rpc("work", name, "vault").returncode, 1, "no GUI domain")
    fake("qvm-appmenus", 'echo "$@"\n')
    equal(sut.rpc("work", "qubes.UpdateAppMenusFor", "vault").stdout, b"--update --force --quiet -- vault\n")
    equal(sut.rpc("work", "qubes.RemoveAppMenusFor", "vault").stdout, b"--remove --quiet -- vault\n")


SALT = """#!/bin/sh
for word; do case $word in --config-dir=*) dir=${word#*=} ;; esac; last=$word; done
cat "$dir/master" >"$HOME/master"
echo "$@" >"$HOME/words"
echo "a file" >"$HOME/a file"
ssh -o A=b -p 22 -l root work 'echo it is "$((6*7))"; cat' <<END
the input's end
END
scp -o A=b "$HOME/a file" "work:$HOME/there's"
scp "work:$HOME/there's" "$HOME/back"
ssh -q root@work -- "exit 5"
"""


# If this failed, dom0 could not configure qubes through a management disposable, or would run words of it in a shell there.
@services("SaltLinuxVM: salt-ssh over calls", qubes=("mgmt", "work"), policy="qubes.VMRootShell * mgmt work allow\n")
def _(t, sut):
    # Whose agent cannot become root.
    os.unlink(sut.inside("work", "etc/qubes/rpc-config/qubes.VMRootShell"))
    call = ("DEFAULT:QUBESRPC qubes.SaltLinuxVM dom0",)
    equal(sut.call(None, "mgmt", *call, b"work\nstate.apply\n").returncode, 1, "no salt-ssh")
    sut.write("q/mgmt/usr/bin/salt-ssh", SALT, 0o755)
    got = sut.call(None, "mgmt", *call, b"work\nstate.apply\n")
    equal(got.returncode, 1, "no states")
    sut.folder("q/mgmt/home/user/QubesIncoming/dom0/srv/salt")
    for text in (b"", b"\n", b"-x\ny\n", b"a b\ny\n"):
        equal(sut.call(None, "mgmt", *call, text).returncode, 1, text)
    mark = sut.inside("mgmt", "home/user/mark")
    got = sut.call(None, "mgmt", *call, f"work\nstate.apply $(touch {mark}) *\ntest=True\n".encode())
    equal((got.returncode, got.stdout), (5, b"it is 42\nthe input's end\n"), got.stderr)
    with open(sut.inside("mgmt", "home/user/words"), encoding="utf-8") as file:
        check(file.read().endswith(f" -w work state.apply $(touch {mark}) * test=True\n"), "words as they are")
    with open(sut.inside("mgmt", "home/user/back"), encoding="utf-8") as file:
        equal(file.read(), "a file\n")
    equal([os.path.exists(mark), glob.glob("/tmp/qubes-salt-*")], [False, []], "left behind")


if __name__ == "__main__":
    main()
