# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile, broken and stalled peers of qubes.Filecopy.

If one of these failed, a stream could change something outside of its folder, leave a half-written
file that looks like a whole one, or end a program otherwise than by a decision of its own.
"""

import ctypes
import fcntl
import json
import random
import termios
import traceback

from filecopy_common import *

VECTORS = os.path.join(SOURCE, "tests/vectors/filecopy")
SEED = 4
CONFINED = b"__asan" not in open(QUBE + "qfile-unpacker", "rb").read()
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine)

CONTENT = {b"a": b"first file\n", b"d/b": bytes(30), b"d/e/c": b"inner"}
SAMPLE = (entry("a", data=CONTENT[b"a"]) +
          folder("d", entry("d/b", data=CONTENT[b"d/b"]),
                 folder("d/e", entry("d/e/c", data=CONTENT[b"d/e/c"]), link("d/e/s", "../b")), mode=FOLDER | 0o500) +
          END)


def hostile_streams():
    """(options, stream): the recorded ones, their kind, and broken variants of all."""
    chosen = random.Random(SEED)
    with open(os.path.join(VECTORS, "index.json"), encoding="utf-8") as file:
        for one in json.load(file)["cases"]:
            with open(os.path.join(VECTORS, one["stream"]), "rb") as stream:
                if one["unpacker"] == "vm" and one["stream_size"] < 20000:
                    yield one["options"], stream.read()
    for flag in ([], ["--allow-all-names", "--allow-unsafe-symlinks"]):
        for up in ("..", "/", "/tmp/x", ".", "d/../.."):
            for name in (up, up + "/pwned", "d/" + up, "d/" + up + "/pwned"):
                yield flag, folder("d", entry(name, data=b"pwned")) + END
                yield flag, folder("d", entry(name, FOLDER)) + END
                yield flag, folder("d", link("d/s", name), entry("d/s/pwned", data=b"pwned")) + END
                yield flag, link("s", name) + entry("s", FOLDER) + entry("s/pwned", data=b"pwned") + END
                yield flag, link("s", name) + entry("s", data=b"pwned") + END
    for _ in range(100):
        broken = bytearray(SAMPLE)
        for _ in range(chosen.randrange(1, 6)):
            broken[chosen.randrange(len(broken))] = chosen.choice((0, 1, 0x2e, 0x2f, 0xff, chosen.randrange(256)))
        yield chosen.choice(([], ["--allow-all-names"], ["--allow-unsafe-symlinks"])), bytes(broken)


# --- a small world of its own, all of it writable ---------------------------------------------------

def build_world(t):
    """A root that holds the receiver, what it needs to start, and things to be tempted by."""
    root = t.path("world")
    needed = subprocess.run(["ldd", QUBE + "qfile-unpacker"], stdout=subprocess.PIPE, check=True).stdout.decode()
    for path in re.findall(r"(/\S+)", needed):
        os.makedirs(root + os.path.dirname(path), exist_ok=True)
        shutil.copy(path, root + path)
    for name in ("bin", "etc", "home/into", "home/.ssh", "tmp", "proc", "dev"):
        os.makedirs(os.path.join(root, name), exist_ok=True)
    shutil.copy(QUBE + "qfile-unpacker", root + "/bin/qfile-unpacker")
    for name, text in (("etc/passwd", "root:x:0:0::/home:/bin/sh\n"), ("home/.ssh/authorized_keys", "mine\n"),
                       ("home/.bashrc", "true\n"), ("tmp/x", "x\n"), ("b", "b\n"), ("home/b", "b\n"),
                       ("dev/null", "")):
        with open(os.path.join(root, name), "w", encoding="ascii") as file:
            file.write(text)
    for above, folders, files in os.walk(root):
        for name in folders + files:
            os.chmod(os.path.join(above, name), 0o777)
    return root


def enter_world(root):
    """This process, which owns everything in its new root, sees nothing else."""
    libc = ctypes.CDLL(None, use_errno=True)

    def must(result):
        if result:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    uid, gid = os.geteuid(), os.getegid()
    must(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open("/proc/self/" + name, "w", encoding="ascii") as file:
            file.write(text)
    must(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    path = os.fsencode(root)
    must(libc.mount(path, path, None, MS_BIND, None))
    must(libc.mount(b"/proc", path + b"/proc", None, MS_BIND | MS_REC, None))
    os.chdir(root)
    must(libc.syscall(PIVOT_ROOT, b".", b"."))
    must(libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def snapshot():
    """Everything there is but the destination and /proc: any change shows, that of a time as well."""
    found = {}
    for above, folders, files in os.walk(b"/"):
        if above == b"/":
            folders.remove(b"proc")
        if above == b"/home":
            folders.remove(b"into")
        for path in [above] + [os.path.join(above, name) for name in files]:
            st = os.lstat(path)
            found[path] = (st.st_ino, st.st_mode, st.st_uid, st.st_nlink, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return found


def clear(place):
    for name in os.listdir(place):
        path = os.path.join(place, name)
        if os.path.isdir(path) and not os.path.islink(path):
            for above, _, _ in os.walk(path):
                os.chmod(above, 0o700)
            shutil.rmtree(path)
        else:
            os.unlink(path)


def in_world(root, streams):
    """Run each; a text about the first that did what it must not, or how many there were."""
    enter_world(root)
    before, n = snapshot(), 0
    for options, stream in streams:
        done = subprocess.run(["/bin/qfile-unpacker", *options, "", "/home/into"], input=stream, env={},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/tmp")
        after = snapshot()
        if after != before:
            changed = [p for p in set(before) | set(after) if before.get(p) != after.get(p)]
            return f"changed {changed}: {options} {stream[:200]!r}"
        if done.returncode < 0 or b"abnormally" in done.stderr or b"Sanitizer" in done.stderr:
            return f"ended with {done.returncode} {done.stderr[-2000:]!r}: {options} {stream[:200]!r}"
        clear(b"/home/into")
        n += 1
    return str(n)


@case("no stream of any kind changes anything outside of the destination",
      None if PIVOT_ROOT else "the number of a system call is not known here")
def _(t):
    root = build_world(t)
    streams = list(hostile_streams())
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = in_world(root, streams)
        except PermissionError as error:
            text = f"skip {error}"
        except BaseException:
            text = traceback.format_exc()
        os.write(write_end, text.encode()[:4000])
        os._exit(0)
    os.close(write_end)
    said = b""
    while more := os.read(read_end, 4096):
        said += more
    os.close(read_end)
    os.waitpid(pid, 0)
    said = said.decode()
    if said.startswith("skip"):
        raise Skip("no user namespaces: " + said)
    equal(said, str(len(streams)))


@case("cut at every byte, what is visible is whole, or in dom0 has mode 0, and the sender is told")
def _(t):
    for cut, dom0 in ((cut, dom0) for cut in range(0, len(SAMPLE), 1 if CONFINED else 7) for dom0 in (False, True)):
        r = receive(t, SAMPLE[:cut], dom0=dom0)
        check(r.status in (118, 121), (cut, r.status, r.err))
        for path, (kind, mode, size) in r.tree().items():
            if kind == FILE and not (dom0 and mode == 0):
                equal(size, len(CONTENT[os.fsencode(path)]), (cut, path))
                with open(os.path.join(r.place, path), "rb") as file:
                    equal(file.read(), CONTENT[os.fsencode(path)], (cut, path))
        for above, _, _ in os.walk(r.place):
            os.chmod(above, 0o700)
        shutil.rmtree(r.place)


@case("in pieces of a byte it is the same stream")
def _(t):
    place = t.path("to")
    os.mkdir(place)
    receiver = t.start(QUBE + "qfile-unpacker", "", place)
    for at in range(len(SAMPLE)):
        receiver.write(SAMPLE[at:at + 1])
    equal(receiver.wait(), 0)
    equal(struct.unpack("<IIQ", receiver.stdout[:16]), (0, 0, zlib.crc32(SAMPLE)))
    os.chmod(place + "/d", 0o700)


@case("a sender that stalls shows nothing half-written, and its end is noticed")
def _(t):
    place = t.path("to")
    os.mkdir(place)
    receiver = t.start(QUBE + "qfile-unpacker", "", place)
    receiver.write(SAMPLE[:32 + 2 + 5])
    wait_for(lambda: children_wait(receiver), "the receiver waits for more")
    equal(os.listdir(place), [])
    receiver.close_stdin()
    equal((receiver.wait(), os.listdir(place)), (118, []))


def children_wait(program_started):
    """Does the child that receives sleep in a read?"""
    for pid in descendants(program_started.pid):
        with open(f"/proc/{pid}/stat", "rb") as file:
            if file.read().rsplit(b")", 1)[1].split()[0] == b"S":
                return True
    return False


@case("kill -9 of the receiver, of its child, of the sender: nothing half-written is left")
def _(t):
    t.file("from/big", bytes(8 << 20))
    t.file("from/small", b"x")
    for victim in ("receiver", "child", "sender"):
        place = t.path("to-" + victim)
        os.mkdir(place)
        # Through a pipe that takes some of the big file and then stands.
        gate_read, gate_write = os.pipe()
        sender = t.start(QUBE + "qfile-agent", t.path("from/small"), t.path("from/big"), stdout=gate_write)
        os.close(gate_write)
        receiver = t.start(QUBE + "qfile-unpacker", "", place)
        passed = 0
        while passed < 3 << 20:
            part = os.read(gate_read, 1 << 16)
            receiver.write(part)
            passed += len(part)
        wait_for(lambda: os.path.exists(place + "/small"), "the first file")
        if victim == "sender":
            sender.kill()
            receiver.close_stdin()
            equal(receiver.wait(), 118)
        elif victim == "child":
            for pid in descendants(receiver.pid):
                os.kill(pid, signal.SIGKILL)
            equal(receiver.wait(), 1)
            check(b"Child process exited abnormally: Killed" in receiver.stderr, receiver.stderr)
        else:
            child = descendants(receiver.pid)
            receiver.kill()
            receiver.wait()
            wait_for(lambda: not any(os.path.exists(f"/proc/{pid}/fd/3") for pid in child), "the child's end")
        os.close(gate_read)
        if victim != "sender":
            sender.close_stdin()
            equal((sender.wait(), sender.stderr), (1, b"EOF\n"))
        equal(os.listdir(place), ["small"], victim)


@case("a receiver that is full says so at once, and leaves nothing of the file")
def _(t):
    place = t.path("to")
    os.mkdir(place)
    script = t.script("small", 'mount -t tmpfs -o size=1m small "$3" && "$1" "$2" "$3"; r=$?; ls "$3" >&2; exit $r\n')
    probe = t.start("/usr/bin/unshare", "-rm", "/bin/true")
    if probe.wait():
        raise Skip("no user namespaces")
    there_in, here_out = os.pipe()
    here_in, there_out = os.pipe()
    t.file("from/a", os.urandom(5000))
    t.file("from/b", os.urandom(9 << 20))
    sender = t.start(QUBE + "qfile-agent", t.path("from/a"), t.path("from/b"), stdin=here_in, stdout=here_out)
    receiver = t.start("/usr/bin/unshare", "-rm", script, QUBE + "qfile-unpacker", "", place, stdin=there_in,
                       stdout=there_out)
    for fd in (there_in, here_out, here_in, there_out):
        os.close(fd)
    equal((sender.wait(), receiver.wait()), (1, errno.ENOSPC), receiver.stderr)
    check(b'No space left on device; Last file: b"' in sender.stderr, sender.stderr)
    check(receiver.stderr.endswith(b"a\n") and b"\nb" not in receiver.stderr, receiver.stderr)


@case("with --wait-for-space a file waits until it fits and the margin stays free")
def _(t):
    place = t.path("to")
    os.mkdir(place)
    script = t.script("small", f"""mount -t tmpfs -o size=4m small "$4" && head -c 3m /dev/zero >"$4/filler" || exit 90
(until [ -e {t.path('go')} ]; do sleep 0.05; done; rm "$4/filler") &
"$@"; r=$?; ls "$4" >&2; exit $r
""")
    if t.start("/usr/bin/unshare", "-rm", "/bin/true").wait():
        raise Skip("no user namespaces")
    stream = entry("a", data=os.urandom(100000)) + END
    receiver = t.start("/usr/bin/unshare", "-rm", script, QUBE + "qfile-unpacker", f"-w{1 << 20}", "", place)
    receiver.write(stream)
    wait_for(lambda: unread(receiver) == 0 and children_wait(receiver), "it waits with all of the file in its hands")
    equal(receiver.stdout, b"")
    t.file("go")
    equal((receiver.wait(), receiver.stderr), (0, b"a\n"))
    equal(struct.unpack("<IIQ", receiver.stdout[:16]), (0, 0, zlib.crc32(stream)))


def unread(program_started):
    """Bytes on the way to it."""
    return struct.unpack("i", fcntl.ioctl(program_started.popen.stdin, termios.FIONREAD, bytes(4)))[0]


@case("what the user moves out of the destination meanwhile gets nothing more (QSB-014)")
def _(t):
    place = t.path("to")
    os.mkdir(place)
    receiver = t.start(QUBE + "qfile-unpacker", "", place)
    receiver.write(entry("d", FOLDER) + entry("d/e", FOLDER) + entry("d/e/one", data=b"x"))
    wait_for(lambda: os.path.exists(place + "/d/e/one"), "the first file")
    os.rename(place + "/d/e", t.path("moved"))
    receiver.write(entry("d/e/two", data=b"x") + END)
    receiver.close_stdin()
    check(receiver.wait() in (errno.EACCES, errno.ENOENT), receiver.stderr)
    equal(os.listdir(t.path("moved")), ["one"])


@case("a tree deeper than a path can be long")
def _(t):
    levels, at = 900, os.open(t.dir, os.O_RDONLY | os.O_DIRECTORY)
    os.mkdir("from", dir_fd=at)
    for name in ["from"] + ["folder%d" % (i % 10) for i in range(levels)]:
        try:
            os.mkdir(name, dir_fd=at)
        except FileExistsError:
            pass
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    with open(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=at), "wb") as file:
        file.write(b"bottom")
    os.close(at)
    os.mkdir(t.path("to"))
    sender, receiver = copy(t, ["from"], t.path("to"), cwd=t.dir)
    equal((sender.wait(), receiver.wait()), (0, 0), sender.stderr + receiver.stderr)
    at = os.open(t.path("to"), os.O_RDONLY | os.O_DIRECTORY)
    for name in ["from"] + ["folder%d" % (i % 10) for i in range(levels)]:
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    with open(os.open("end", os.O_RDONLY, dir_fd=at), "rb") as file:
        equal(file.read(), b"bottom")
    os.close(at)
    subprocess.run(["rm", "-rf", t.path("to"), t.path("from")], check=True)


@case("memory stays the same, for one big file and for many small ones")
def _(t):
    os.mkdir(t.path("from"))
    for i in range(3000):
        t.file(f"from/{i}", b"x" * (i % 50))
    t.file("big", b"x" * (100 << 20))
    peaks = []
    for name in ("from", "big"):
        place = t.path("to-" + name)
        os.mkdir(place)
        gate_read, gate_write = os.pipe()
        sender = t.start(QUBE + "qfile-agent", t.path(name), stdout=gate_write)
        os.close(gate_write)
        receiver = t.start(QUBE + "qfile-unpacker", "", place)
        held = part = b""
        while not held.endswith(END) or len(held) < 32:
            receiver.write(part)
            part = os.read(gate_read, 1 << 16)
            held = (held + part)[-32:]
        peaks.append((sender.rss_kib(), max(kib_of(pid) for pid in descendants(receiver.pid))))
        receiver.write(part)
        equal(receiver.wait(), 0)
        os.close(gate_read)
    if CONFINED:
        for peak in peaks:
            check(max(peak) < 8192, f"KiB: {peaks}")
    for one, other in zip(*peaks):
        check(abs(one - other) < 4096, f"KiB: {peaks}")


def kib_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1))


@case("holes arrive as zeros, and take no space")
def _(t):
    with open(t.path("sparse"), "wb") as file:
        for at in (0, 1 << 20, (5 << 20) + 17):
            file.seek(at)
            file.write(b"data")
        file.truncate(64 << 20)
    place = t.path("to")
    os.mkdir(place)
    sender, receiver = copy(t, ["sparse"], place, cwd=t.dir)
    equal((sender.wait(), receiver.wait()), (0, 0))
    equal(digest_of(place)["sparse"][2], hashlib.sha256(t.read("sparse")).hexdigest())
    check(os.stat(place + "/sparse").st_blocks * 512 < 4 << 20, "space taken")


if __name__ == "__main__":
    main()
