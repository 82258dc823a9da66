# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, a file or address could not be looked at elsewhere, or would come back as something else.
"""OpenInVM and OpenURL, both ends; split GPG and split SSH."""

import struct
import threading

from services_common import *

POLICY = """
qubes.OpenInVM  *  work  disp  allow
qubes.OpenURL   *  work  disp  allow
qubes.OpenInVM  *  work  @dispvm  allow target=disp
qubes.OpenURL   *  work  @dispvm  allow target=disp
qubes.Gpg       *  work  disp  allow
qubes.GpgImportKey  *  work  disp  allow
qubes.SshAgent  +work  work  disp  allow
"""
QUBES = ("work", "disp")


def opener(sut, script):
    """What opens files in the disposable, instead of the user's programs."""
    os.unlink(sut.inside("disp", "usr/bin/qubes-open"))
    sut.write("q/disp/usr/bin/qubes-open", "#!/bin/sh\necho \"$1\" >>\"$HOME/opened\"\n" + script, 0o755)


def opened(sut):
    with open(sut.inside("disp", "home/user/opened"), encoding="utf-8") as file:
        return file.read().splitlines()


def home(sut, name, content=None, mode=0o644):
    if content is not None:
        sut.write("q/work/home/user/" + name, content, mode)
    with open(sut.inside("work", "home/user", name), "rb") as file:
        return file.read()


# If this failed, an edited file would be lost, or an unchanged one overwritten.
@services("services-009 OpenInVM: edited, only looked at, unchanged", qubes=QUBES, policy=POLICY)
def _(t, sut):
    opener(sut, 'sleep 0.01; echo edited >>"$1"; echo "chatter of the editor"\n')
    home(sut, "a b.txt", "text\n", 0o640)
    for words in (("qvm-open-in-vm", "disp", "a b.txt"), ("qvm-open-in-dvm", "a b.txt")):
        home(sut, "a b.txt", "text\n", 0o640)
        got = sut.run("work", *words)
        equal((got.returncode, got.stdout), (0, b""), got.stderr)
        equal(home(sut, "a b.txt"), b"text\nedited\n")
        equal(os.stat(sut.inside("work", "home/user/a b.txt")).st_mode & 0o777, 0o640)
    check(re.search(r"/work-\w{6}/a_b\.txt$", opened(sut)[0]), opened(sut))
    check(not os.path.exists(os.path.dirname(opened(sut)[0])), "the folder is left behind")
    home(sut, "a b.txt", "text\n")
    equal(sut.run("work", "qvm-open-in-vm", "--view-only", "disp", "a b.txt").returncode, 0)
    equal(home(sut, "a b.txt"), b"text\n", "view only")
    opener(sut, 'exit 1\n')
    before = os.stat(sut.inside("work", "home/user/a b.txt"))
    equal(sut.run("work", "qvm-open-in-vm", "disp", "a b.txt").returncode, 0)
    equal(os.stat(sut.inside("work", "home/user/a b.txt")).st_ino, before.st_ino, "unchanged")
    # A launcher that returns at once: the editor it leaves behind is waited for.
    sut.write("q/disp/usr/bin/editor", "#!/bin/sh\nsleep 1\necho late >>\"$1\"\n", 0o755)
    opener(sut, f'setsid {sut.inside("disp", "usr/bin/editor")} "$1" >/dev/null 2>&1 </dev/null &\n')
    equal(sut.run("work", "qvm-open-in-vm", "disp", "a b.txt").returncode, 0)
    equal(home(sut, "a b.txt"), b"text\nlate\n")
    equal(sorted(os.listdir(sut.inside("work", "home/user"))), ["a b.txt"], "nothing is left behind")
    equal(sut.run("work", "qvm-open-in-vm", "disp").returncode, 2)
    equal(sut.run("work", "qvm-open-in-vm", "disp", "nosuch").returncode, 1)


# If this failed, a name could be a path, or be shown as another one.
@services("services-009 OpenInVM: hostile requests", qubes=QUBES, policy=POLICY)
def _(t, sut):
    opener(sut, "")

    def request(name, data=b"data"):
        got = sut.call("work", "disp", "qubes.OpenInVM", name.ljust(256, b"\0") + data)
        return got.returncode, got.stdout
    equal(request(b"a" * 256), (0, b""))
    equal(os.path.basename(opened(sut)[-1]), "a" * 255)
    equal(request(b"x;\x1b$(id) \xc3\xa9@+-"), (0, b""))
    equal(os.path.basename(opened(sut)[-1]), "x____id____@+-")
    n = len(opened(sut))
    for name in (b"a/b", b"/etc/passwd", b"", b".", b"..", b"view-only-", b"view-only-..", b"\0a"):
        equal(request(name), (1, b""), name)
    equal(sut.call("work", "disp", "qubes.OpenInVM", b"a" * 255).returncode, 1, "short")
    equal(len(opened(sut)), n, "nothing was opened")
    sut.service("disp", "qubes.Answer", "")
    # A service that sends nothing, or fails, changes nothing here.
    home(sut, "f", "mine")
    os.unlink(sut.inside("disp", "etc/qubes-rpc/qubes.OpenInVM"))
    sut.service("disp", "qubes.OpenInVM", "#!/bin/sh\ncat >/dev/null\nprintf half\nexit 1\n")
    equal(sut.run("work", "qvm-open-in-vm", "disp", "f").returncode, 1)
    equal(home(sut, "f"), b"mine")


# If this failed, an address could start something else than a browser, with words of its own.
@services("services-010 OpenURL: only addresses of the web", qubes=QUBES, policy=POLICY)
def _(t, sut):
    opener(sut, "")
    for url in ("https://example.org/a?b=c&d=%20#e", "http://x/", "ftp://x/y"):
        equal(sut.run("work", "qvm-open-in-dvm", url).returncode, 0, url)
        equal(opened(sut)[-1], url)
    n = len(opened(sut))
    for line in (b"file:///etc/passwd\n", b"HTTP://x\n", b"\n", b"", b"http://\n", b"--help\n", b"https://a b\n",
                 b"https://a\x1b]0;x\x07\n", b"javascript:alert(1)\n", b"http://x/" + b"a" * 9000 + b"\n",
                 b" http://x\n", b"http://x\0y\n"):
        equal(sut.call("work", "disp", "qubes.OpenURL", line).returncode, 1, line[:40])
    equal(sut.run("work", "qvm-open-in-dvm", "file:///etc/passwd").returncode, 1)
    equal(len(opened(sut)), n)


GNUPG = None if shutil.which("gpg") else "gnupg is not installed"


def block(*args):
    data = b"".join(b"\0" + raw(a) for a in args)
    return struct.pack("<I", len(data)) + data.ljust(1024, b"\0")


def keys(sut):
    """A key in the disposable, made there, with no word to ask for; who may use it."""
    folder = sut.folder("q", "disp", "home/user/.gnupg")
    os.chmod(folder, 0o700)
    sut.folder("q", "disp", "run/qubes-gpg-split")
    sut.write("q/disp/run/qubes-gpg-split/stat.work", "")
    got = sut.run("disp", "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "Test <test@example.org>",
                  "ed25519", "sign,cert", "never")
    equal(got.returncode, 0, got.stderr)


def gpg(sut, *words, stdin=b""):
    return sut.run("work", "qubes-gpg-client", *words, stdin=stdin, env={"QUBES_GPG_DOMAIN": "disp"})


# If this failed, mail could not be signed with keys that are kept apart.
@services("split GPG: keys of another qube sign and verify", qubes=QUBES, policy=POLICY)
def _(t, sut):
    if GNUPG:
        raise Skip(GNUPG)
    keys(sut)
    text = os.urandom(300000)
    listed = gpg(sut, "--with-colons", "-K")
    check(listed.returncode == 0 and b"test@example.org" in listed.stdout, listed)
    signed = gpg(sut, "--armor", "--detach-sign", "-u", "test@example.org", stdin=text)
    check(signed.returncode == 0 and signed.stdout.startswith(b"-----BEGIN PGP SIGNATURE"), signed.stderr)
    sut.write("q/work/home/user/text", text)
    sut.write("q/work/home/user/text.asc", signed.stdout)
    verified = gpg(sut, "--status-fd", "1", "--verify", "text.asc", "text")
    check(verified.returncode == 0 and b"GOODSIG" in verified.stdout, verified)
    sut.write("q/work/home/user/text", text + b"x")
    equal(gpg(sut, "--verify", "text.asc", "text").returncode, 1, "another text")
    clear = gpg(sut, "--clearsign", stdin=b"hello\n")
    check(b"hello" in clear.stdout and clear.returncode == 0, clear.stderr)
    exported = gpg(sut, "--armor", "--export", "test@example.org")
    check(b"PUBLIC KEY" in exported.stdout, exported.stderr)
    equal(sut.run("work", "qubes-gpg-client", "-K").returncode, 2, "no qube is named")
    # Without the user's consent nothing is done.
    os.unlink(sut.inside("disp", "run/qubes-gpg-split/stat.work"))
    os.unlink(sut.inside("disp", "usr/lib/qubes/gpg-confirm"))
    sut.write("q/disp/usr/lib/qubes/gpg-confirm", "#!/bin/sh\nexit 1\n", 0o755)
    got = gpg(sut, "-K")
    equal((got.returncode, got.stdout), (2, b""))
    sut.write("q/disp/usr/lib/qubes/gpg-confirm", "#!/bin/sh\n[ \"$1\" = work ]\n", 0o755)
    equal(gpg(sut, "-K").returncode, 0)
    check(os.path.exists(sut.inside("disp", "run/qubes-gpg-split/stat.work")), "remembered")


# If this failed, another qube could read files of the qube with the keys, or run programs there.
@services("services-013 split GPG: requests that are refused", qubes=QUBES, policy=POLICY)
def _(t, sut):
    sut.folder("q", "disp", "run/qubes-gpg-split")
    sut.write("q/disp/run/qubes-gpg-split/stat.work", "")
    sut.write("q/disp/usr/bin/gpg", "#!/bin/sh\necho \"$@\" >\"$HOME/ran\"\n", 0o755)
    ran = sut.inside("disp", "home/user/ran")

    def ask(data):
        return sut.call("work", "disp", "qubes.Gpg", data)
    for data in (b"", b"\0" * 1027, struct.pack("<I", 1024) + b"\0" * 1024, struct.pack("<I", 5) + b"\0-K\0xx".ljust(
            1024, b"\1")):
        equal(ask(data).returncode, 1, data[:10])
    for args in (("--verif",), ("--output", "x"), ("-ox",), ("-o", "x"), ("--homedir=/tmp",), ("--keyserver", "x"),
                 ("--photo-viewer=x",), ("-K", "-s"), ("--status-fd", "01"), ("--status-fd", "1024"), ("--status-fd",),
                 ("--status-fd", "0"), ("--status-fd", "3", "--status-fd", "4"), ("--verify", "file"),
                 ("--verify", "/dev/fd/2"), ("--verify", "/dev/fd/03"), ("--verify", "/dev/fd/3", "x"), ("-s", "file"),
                 ("-s", "-", "-"), ("-s", "x", "--output=y"), ("--list-options=show-keyring", "-k"), ("-a\x1bb",),
                 ("\xff\xfe",), ("--export-options=backup2", "--export"), ("--command-fd", "0"), ("-z",),
                 ("--armor=x",), ("--verify", "/dev/fd/3", "--status-fd", "3")):
        equal(ask(block(*args)).returncode, 1, args)
        check(not os.path.exists(ran), args)
    equal(gpg(sut, "-K", "--", "-x").returncode, 0)
    with open(ran, encoding="ascii") as file:
        equal(file.read(), "--no-tty --disable-dirmngr --photo-viewer=/bin/true --batch "
                           "--exit-on-status-write-error -K -- -x\n")
    sut.write("q/disp/usr/bin/gpg", "#!/bin/sh\ncat\nexit 3\n", 0o755)
    got = gpg(sut, "-s", stdin=b"hello")
    equal((got.returncode, got.stdout), (3, b"hello"))
    for frame in (struct.pack("<iI", 0, 4097), struct.pack("<iI", 1, 1) + b"x", struct.pack("<iI", -1, 0)):
        got = ask(block("-s") + frame + b"\0" * 5000)
        check(b"hello" not in got.stdout, frame)


# If this failed, the qube with the keys could make the asking one do more than write what gpg said.
@services("services-013 split GPG: answers that are refused", qubes=QUBES, policy=POLICY)
def _(t, sut):
    os.unlink(sut.inside("disp", "etc/qubes-rpc/qubes.Gpg"))
    answer = sut.inside("disp", "home/user/answer")
    sut.service("disp", "qubes.Gpg", f"#!/bin/sh\nhead -c 1028 >/dev/null\ncat {answer}\n")
    end = struct.pack("<iI", -4, 0)
    for data, status, out in ((struct.pack("<iI", 0, 2) + b"hi" + end, 3, b"hi"), (end, 3, b""), (b"", 2, b""),
                              (struct.pack("<iI", 0, 4097), 2, b""), (struct.pack("<iI", 2, 1) + b"x", 2, b""),
                              (struct.pack("<iI", -300, 0), 2, b""), (struct.pack("<iI", -1, 1) + b"x", 2, b""),
                              (struct.pack("<iI", 0, 5) + b"cut", 2, b"")):
        sut.write("q/disp/home/user/answer", data)
        got = gpg(sut, "-K")
        equal((got.returncode, got.stdout), (status, out), data)


# If this failed, keys for SSH would have to lie where they are used.
@services("split SSH: the agent of another qube, each qube its own", qubes=QUBES, policy=POLICY)
def _(t, sut):
    folder = sut.folder("q", "disp", "home/user/.split-ssh")
    server = t.listen(os.path.join(folder, "work"))

    def serve():
        channel = server.accept()
        channel.send(b"answer to " + channel.recv(4))
        channel.close()
    threading.Thread(target=serve, daemon=True).start()
    path = sut.inside("work", "home/user/agent")
    equal(sut.run("work", "qvm-connect-tcp", "--service=qubes.SshAgent+work", path + ":disp").returncode, 0)
    channel = t.connect(path)
    channel.send(b"sign")
    equal(channel.recv_to_eof(), b"answer to sign")
    equal(os.stat(path).st_mode & 0o777, 0o600)
    equal(sut.call("work", "disp", "qubes.SshAgent+other").returncode, REFUSED)


if __name__ == "__main__":
    main()
