# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, a qube or a mirror could put an old or a foreign system in dom0's place, or a power cut leave none.
"""Images of dom0: out of a package that qubes.ReceiveUpdates took into the slots of a disk, and what is refused."""

import random
import signal
import time

from images_common import *
from rpm_common import text as text_of
from updates_common import *

SLOTS = "run/skerry-slots"
IMAGE = os.path.join(BUILD, "services/dom0/skerry-image")
SLOT_BYTES = 1 << 20


def package(payload, place=[0]):
    """Each time with the payload at another place within 8 bytes: what is aligned counts from its beginning."""
    place[0] += 1
    return keys().package("ours", payload, more=[(1004, text_of("x" * (place[0] % 8)))])


def disk(sut):
    """A disk with slots, and keys of which two must sign."""
    sut.folder("etc/skerry/image-keys")
    for name in ("one", "two", "three"):
        with open(f"{signers()}/{name}.pub", encoding="ascii") as file:
            sut.write(f"etc/skerry/image-keys/{name}.pub", file.read())
    sut.write("etc/skerry/image-keys/needed", "2\n")
    sut.folder(SLOTS)
    for name, size in (("a", SLOT_BYTES), ("b", SLOT_BYTES), ("state", 1 << 20)):
        with open(sut.path(SLOTS, name), "wb") as file:
            file.truncate(size)
        os.chmod(sut.path(SLOTS, name), 0o666)


def prepare(t, sut):
    system(t, sut)
    disk(sut)


def command(sut, *words):
    return sut.run(None, IMAGE, *words)


def shown(sut, *words):
    deadline = time.monotonic() + HANG
    got = command(sut, *(words or ("show",)), "--json")
    # A child of one that was killed may take a moment to die, and holds the lock with it.
    while b"under way" in got.stderr and time.monotonic() < deadline:
        got = command(sut, *(words or ("show",)), "--json")
    return json.loads(got.stdout)


def summary(sut):
    """good, trying, tries, floor, version in each slot (None: no whole image)."""
    now = shown(sut)
    return now["good"], now["trying"], now["tries"], now["floor"], [s["version"] if s["whole"] else None for s in now["slots"]]


def receive(sut, payload):
    """As the update qube sends it; then the command that installs it."""
    got = send(sut, {"skerry-dom0.rpm": package(payload)})
    equal(got.returncode, 0, got.stderr)
    return command(sut, "install")


def install(sut, version, **words):
    got = receive(sut, image(version, **words))
    equal(got.returncode, 0, got.stderr)


def boot(sut, slot=""):
    """GRUB started dom0 from this slot, and it came up; what GRUB would choose, if none is said."""
    sut.write(SLOTS + "/running", slot or grub(sut))
    equal(command(sut, "confirm", "--start").returncode, 0)


def block(sut):
    with open(sut.path(SLOTS, "state"), "rb") as file:
        return file.read(2048)


def grub(sut, count=True):
    """The menu of image/iso, with its own eyes: archives, the environment block, the sums. The slot that it would start."""
    def found(slot):
        with open(sut.path(SLOTS, slot), "rb") as file:
            data = file.read()
        at, files = 0, {}
        while data[at:at + 6] == b"070701":
            size, name_len = int(data[at + 54:at + 62], 16), int(data[at + 94:at + 102], 16)
            name = data[at + 110:at + 110 + name_len].split(b"\0")[0].decode()
            begin = (at + 110 + name_len + 3) // 4 * 4
            if name == "TRAILER!!!":
                break
            files[name] = data[begin:begin + size]
            at = (begin + size + 3) // 4 * 4
        if f"skerry/slot-{slot}" not in files:
            return False
        return all(hashlib.sha256(files[name]).hexdigest() == digest for digest, name in
                   (line.split("  ") for line in files["skerry/sums"].decode().splitlines()))

    data = block(sut)
    if data[110:121] != b"skerry/env\0":
        return ""
    env = dict(line.split("=") for line in data[512:1536].decode().split("#", 2)[1].split("\n", 1)[1].split("\n")
               if "=" in line) if data[512:1024].count(b"#") else {}
    if env.get("try") and env.get("tries", "0") != "0":
        if count:
            changed = data[512:1536].replace(b"tries=%s\n" % env["tries"].encode(), b"tries=%d\n" % (int(env["tries"]) - 1))
            with open(sut.path(SLOTS, "state"), "r+b") as file:
                file.seek(512)
                file.write(changed)
        if found(env["try"]):
            return env["try"]
    return env["good"] if env.get("good") and found(env["good"]) else ""


def read_by_grub(sut, slot, contents):
    """What GRUB's own code finds in a slot, and the environment block."""
    def said(partition, *words):
        run = subprocess.run(["grub-fstest", sut.path(SLOTS, partition), *words], capture_output=True, timeout=HANG, check=False)
        equal(run.returncode, 0, run.stderr)
        return run.stdout

    equal(said(slot, "ls", "(loop0)/skerry/").split(), [b"slot-" + slot.encode(), b"release", b"release.sig", b"sums"])
    for name, data in contents.items():
        equal(said(slot, "cat", f"(loop0)/{name}"), data, name)
    equal(said("state", "cat", "(loop0)/skerry/env"), block(sut)[512:1536])
    with open(os.path.join(SOURCE, "image/iso"), encoding="utf-8") as file:
        menu = re.search(r'MENU = """(.*?)"""', file.read(), re.S).group(1)
    run = subprocess.run(["grub-script-check"], input=menu.encode(), capture_output=True, timeout=HANG, check=False)
    equal(run.returncode, 0, run.stderr)


def images(name):
    why = NEEDS_TOOLS or NEEDS_SIGNIFY
    if why:
        return lambda function: case(name, skip=why)(lambda t: None)
    return services(name, qubes=("sys-net",))


def refused_image(sut, payload, said, what, before=None):
    """Nothing of the disk has changed but a slot that is nobody's, and why is said with the file's name."""
    before = before or summary(sut)
    state = block(sut)
    got = receive(sut, payload)
    equal(got.returncode, 1, (what, got.stderr))
    check(b"skerry-dom0.rpm: " in got.stderr and said.encode() in got.stderr, (what, got.stderr))
    equal((summary(sut), block(sut)), (before, state), what)


# If this failed, a good image would not arrive, or not be started.
@images("dom0-updates: an image from the update qube to the slot that is started next, and the next one to the other")
def _(t, sut):
    prepare(t, sut)
    equal(summary(sut), (None, None, 0, 0, [None, None]))
    equal(grub(sut), "", "nothing was installed yet")
    install(sut, 7)
    equal(summary(sut), (None, "a", 3, 0, [7, None]))
    if shutil.which("grub-fstest"):
        read_by_grub(sut, "a", parts(7))
    boot(sut)
    equal(summary(sut), ("a", None, 0, 7, [7, None]))
    equal(shown(sut)["running"], "a")
    install(sut, 9, by=("three", "one"), after=7)
    equal(summary(sut), ("a", "b", 3, 7, [7, 9]))
    equal(command(sut, "verify").returncode, 0)
    boot(sut)
    equal(summary(sut), ("b", None, 0, 9, [7, 9]))
    install(sut, 10)
    equal(summary(sut), ("b", "a", 3, 9, [10, 9]))
    got = command(sut)
    check(b"on trial, 3 starts left" in got.stdout and b"good, runs" in got.stdout, got.stdout)
    check(b"dom0 runs from" not in got.stdout and got.stdout.isascii(), got.stdout)
    # What was offered once more while it is tried, and by the command that is for everything.
    got = receive(sut, image(10))
    equal(got.returncode, 0, got.stderr)
    check(b"is here already" in got.stdout, got.stdout)
    got = sut.run(None, os.path.join(BUILD, "tools/skerry"), "image", "--json")
    equal(json.loads(got.stdout)["trying"], "a", got.stderr)
    boot(sut)
    equal(command(sut, "back").returncode, 0)
    equal((summary(sut), grub(sut)), (("b", None, 0, 10, [10, 9]), "b"), "by the owner's own wish")
    got = receive(sut, image(11))
    check(got.returncode == 1 and b"dom0 runs from slot a" in got.stderr, got.stderr)


# If this failed, dom0 would take what too few have signed, or what was changed on its way.
@images("dom0-updates-013 refused: signatures, versions, dates, sizes, hashes; the image that runs stays")
def _(t, sut):
    prepare(t, sut)
    install(sut, 20)
    boot(sut)
    good = parts(21)
    text = release(21, good)
    with_parts = lambda **changed: {**good, **changed}
    now = int(time.time())
    unsigned = "is not signed by enough of the keys"
    members = lambda text, sig, contents: archive(sorted({"release": text, "release.sig": sig, **contents}.items()))
    both = signed(text, "one", "two")
    flipped = bytearray(both)
    flipped[-30] ^= 1
    cut = image(21)
    cases = {
        "no signature": (members(text, b"", good), unsigned),
        "one of two": (image(21, by=("one",)), "(1 have, 2 must)"),
        "the same one twice": (image(21, by=("one", "one")), "(1 have, 2 must)"),
        "a foreign key": (image(21, by=("one", "other")), "(1 have, 2 must)"),
        "signatures of another text": (members(text, signed(text + b"\n", "one", "two"), good), "(0 have, 2 must)"),
        "one bit of a signature": (members(text, bytes(flipped), good), "release"),
        "one bit of what is signed": (members(text.replace(b"version 21", b"version 31"), both, good), "(0 have, 2 must)"),
        "no signatures": (archive(sorted({"release": text, **good}.items())), "release.sig"),
        "nothing signed": (archive(sorted(good.items())), "it has no release"),
        "older": (image(19), "version 19 is older than 20"),
        "expired": (image(21, created=now - 91 * DAY), "was to be taken until"),
        "needs one between": (image(22, after=21), "needs 21 or later before it"),
        "another kernel": (members(text, both, with_parts(vmlinuz=parts(22)["vmlinuz"])), "vmlinuz is not what was signed"),
        "a smaller kernel": (members(text, both, with_parts(vmlinuz=good["vmlinuz"][:-1])), "vmlinuz is not what was signed"),
        "no kernel": (members(text, both, {k: v for k, v in good.items() if k != "vmlinuz"}), "it has no vmlinuz"),
        "one file more": (members(text, both, with_parts(more=b"x")), "it holds more"),
        "a file elsewhere": (member("./etc/shadow", b"x") + image(21), "it holds ./etc/shadow"),
        "a link": (member(PREFIX + "a", b"/etc/shadow", 0o120777) + image(21), "which is no part of an image"),
        "a file twice": (member(PREFIX + "vmlinuz", good["vmlinuz"]) + image(21), "it holds vmlinuz"),
        "up and out": (member(PREFIX + "../a", b"x") + image(21), "it holds ../a"),
        "not understood": (image(21, text=text.replace(b"skerry-image 1", b"skerry-image 2")), "is signed, and not understood"),
        "text behind it": (image(21, text=text + b"more\n"), "is signed, and not understood"),
        "packed": (b"\x1f\x8b" + cut, "or a packed one"),
        "no archive": (b"", "it ends within"),
        "too large": (image(21, contents=with_parts(**{"xen.gz": b"x" * SLOT_BYTES})), "larger than a slot"),
    }
    cases.update({f"cut off at {at}": (cut[:at], "it ends within") for at in
                  (1, 109, 115, 400, len(cut) // 2, len(cut) - 200, len(cut) - 130)})
    for what, (payload, said) in cases.items():
        refused_image(sut, payload, said, what)
        equal(grub(sut), "a", what)
    # Folders, which some builders put in, are no mistake; and after all that a good one is taken.
    got = receive(sut, member("./usr/share/skerry", b"", 0o40755) + cut)
    equal(got.returncode, 0, got.stderr)
    equal(summary(sut), ("a", "b", 3, 20, [20, 21]))


# If this failed, who holds updates back, or dom0's clock, could bring an old image in.
@images("dom0-updates-013 freshness: nothing older, ever; a clock that is behind; who says that nothing newer is there")
def _(t, sut):
    prepare(t, sut)
    now = int(time.time())
    install(sut, 30, created=now + 50 * DAY)
    boot(sut)
    refused_image(sut, image(31, created=now - 41 * DAY), "was to be taken until", "expired when 30 was made, by any clock")
    install(sut, 32)
    # On trial, not yet good: what is between it and the good one is old.
    refused_image(sut, image(31), "version 31 is older than 32", "older than the one on trial")
    boot(sut)
    equal(command(sut, "back").returncode, 0)
    boot(sut, "a")
    refused_image(sut, image(31), "version 31 is older than 32", "going back lowers nothing")
    before = shown(sut)
    equal(before["stale"], False)
    got = receive(sut, image(32, created=now + 100 * DAY))
    check(got.returncode == 0 and b"is the newest until" in got.stdout, (got.stdout, got.stderr))
    check(shown(sut)["newest_until"] > before["newest_until"] and summary(sut)[:4] == ("a", None, 0, 32), shown(sut))


# If this failed, a user would not see that no updates come any more.
@images("dom0-updates: an image that nothing newer followed in time is called stale")
def _(t, sut):
    prepare(t, sut)
    now = int(time.time())
    install(sut, 5, created=now - 10, expires=now + 3)
    boot(sut)
    while time.time() < now + 4:
        time.sleep(0.2)
    equal(shown(sut)["stale"], True)
    got = command(sut)
    check(b"updates may be withheld" in got.stdout, got.stdout)


# If this failed, an image that does not come up would leave a machine that does not.
@images("dom0-updates-015 an image that does not come up is tried three times; then the one before goes on")
def _(t, sut):
    prepare(t, sut)
    install(sut, 1)
    boot(sut)
    install(sut, 2)
    equal([grub(sut) for _ in range(5)], ["b", "b", "b", "a", "a"])
    boot(sut, "a")
    equal(summary(sut), ("a", None, 0, 1, [1, 2]))
    install(sut, 2)
    equal(grub(sut), "b")
    boot(sut, "b")
    equal(summary(sut), ("b", None, 0, 2, [1, 2]), "the second time it has come up")
    # One that was damaged on the disk is not even loaded.
    install(sut, 3)
    with open(sut.path(SLOTS, "a"), "r+b") as file:
        file.seek(SLOT_BYTES // 4)
        file.write(b"damaged")
    got = command(sut, "verify")
    check(got.returncode == 1 and b"slot a: initramfs.gz is not what was signed" in got.stderr, got.stderr)
    equal(grub(sut), "b")
    equal(command(sut, "back").returncode, 1, "nothing to go back to")


# If this failed, power that goes, or a kill, would leave a machine that starts half an image, or none.
@images("dom0-updates-014 killed at any moment, the one that runs is started, or the new one, whole")
def _(t, sut):
    prepare(t, sut)
    install(sut, 1)
    boot(sut)
    first = {name: open(sut.path(SLOTS, name), "rb").read() for name in ("a", "b", "state")}
    got = send(sut, {"skerry-dom0.rpm": package(image(2))})
    equal(got.returncode, 0, got.stderr)

    def again():
        for name, data in first.items():
            with open(sut.path(SLOTS, name), "r+b") as file:
                file.write(data)

    def whole(what):
        slot = grub(sut, count=False)
        now = summary(sut)
        check((slot, now[0], now[3], now[4][0]) == ("a", "a", 1, 1) or (slot == "b" and now[1] == "b" and now[4] == [1, 2]), (what, slot, now))
        return slot

    began = time.monotonic()
    equal(command(sut, "install").returncode, 0)
    equal(grub(sut, count=False), "b")
    takes = time.monotonic() - began
    seen, pick = [], random.Random(1)
    rounds = 400 if os.environ.get("LONG") else 40
    for i in range(rounds):
        again()
        proc = t_start(sut)
        time.sleep(takes * 1.2 * pick.random())
        os.killpg(proc.pid, signal.SIGKILL)
        proc.wait()
        seen.append(whole(i))
    print("# killed %d times in up to %.2f s: the old one %d times, the new one %d times" %
          (rounds, takes * 1.2, seen.count("a"), seen.count("b")))
    again()
    equal(command(sut, "install").returncode, 0, "and after all that it is installed")


def t_start(sut):
    more = {"user": sut.account.pw_uid, "group": sut.account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.Popen([IMAGE, "install"], env=sut.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True, **more)


# If this failed, the disk could hold half of a write whose other half the power took.
@images("dom0-updates-014 what is written, in its order: each prefix of the writes leaves an image that is started, whole")
def _(t, sut):
    if not shutil.which("strace") or option("b_sanitize") != "none":
        return
    prepare(t, sut)
    install(sut, 1)
    boot(sut)
    first = {name: open(sut.path(SLOTS, name), "rb").read() for name in ("a", "b", "state")}
    got = send(sut, {"skerry-dom0.rpm": package(image(2))})
    equal(got.returncode, 0, got.stderr)
    log = sut.path("writes")
    run = sut.run(None, "strace", "-f", "-y", "-s", "0", "-e", "trace=pwrite64,fsync", "-o", log, IMAGE, "install")
    equal(run.returncode, 0, run.stderr)
    with open(log, encoding="utf-8") as file:
        # Of a confined process strace is not told the names; it has the new slot alone.
        events = [line for line in file if SLOTS in line or "pwrite64(" in line]
    last = {name: open(sut.path(SLOTS, name), "rb").read() for name in ("a", "b", "state")}
    equal(first["a"], last["a"], "the slot that runs is not touched")
    check(not any("skerry-slots/a>" in line for line in events), events)
    writes, groups, synced, pending = [], [], 0, {}
    for line in events:
        known = re.search(r"skerry-slots/(\w+)>", line)
        name = known.group(1) if known else "b"
        if "pwrite64" in line:
            size, at = (int(x) for x in re.search(r", (\d+), (\d+)\)", line).groups())
            pending.setdefault(name, []).append((at, size))
            # Another file is only written when all of this one is on the disk.
            check(set(pending) == {name}, (line, pending))
            writes.append((name, at, size))
            groups.append(synced)
        else:
            pending.pop(name, None)
            synced += 1
    check(synced >= 4 and not pending, (synced, pending))
    equal([w for w in writes if w[0] == "state"], [("state", 512, 512)] * 2, "one sector each time")
    # The head by which GRUB knows the slot: gone first, there last.
    heads = [i for i, w in enumerate(writes) if w[0] == "b" and w[1] == 0]
    body = [i for i, w in enumerate(writes) if w[0] == "b" and w[1] > 0]
    check(len(heads) == 2 and heads[0] < min(body) and heads[1] > max(body), (heads, min(body), max(body)))
    check(writes.index(("state", 512, 512)) < heads[0] and writes[-1] == ("state", 512, 512), "the state says so last")
    # Each of them cut off, and before each sync any of the writes that were not yet safe.
    pick = random.Random(2)
    seen = [replay(sut, first, last, writes[:i], groups[:i], pick) for i in range(len(writes) + 1) for _ in range(3)]
    check(seen[:3] == ["a"] * 3 and seen[-1] == "b", seen)
    print("# %d writes cut off at %d places: the old one %d times, the new one %d times" %
          (len(writes), len(seen), seen.count("a"), seen.count("b")))


def replay(sut, first, last, writes, groups, pick):
    """The disk after the power went: what was synced, and of the writes since the last sync some. What is started then, whole."""
    files = {name: bytearray(data) for name, data in first.items()}
    for i, (name, at, size) in enumerate(writes):
        if groups[i] == groups[-1] and pick.random() < 0.3 and i < len(writes) - 1:
            continue
        # The first write of a head, and of the state, takes the new image away; the last one says that it is there.
        early = (at == 0 and groups[i] == min(g for g, w in zip(groups, writes) if w == (name, at, size))) or (
            name == "state" and groups[i] == groups[0])
        files[name][at:at + size] = (bytes(size) if name != "state" else first["state"][at:at + size]) if early else last[name][at:at + size]
    for name, data in files.items():
        with open(sut.path(SLOTS, name), "r+b") as file:
            file.write(data)
    slot, now = grub(sut, count=False), summary(sut)
    good = slot == "a" and now[0] == "a" and now[4][0] == 1 or slot == "b" and now[1] == "b" and now[4] == [1, 2]
    check(good and now[3] == 1, (len(writes), slot, now))
    return slot


# If this failed, a mistake in the files around images would stop everything, or be passed over.
@images("dom0-updates: keys, slots and state that are missing, wrong or in use: said with the file and what to do")
def _(t, sut):
    prepare(t, sut)
    install(sut, 4)
    boot(sut)
    before = summary(sut)

    def said(text, *words):
        got = command(sut, *words)
        check(got.returncode == 1 and text.encode() in got.stderr, (words, text, got.stderr))

    folder = "etc/skerry/image-keys"
    for needed in ("0\n", "4\n", "2", "02\n", "x\n", ""):
        sut.write(folder + "/needed", needed)
        said("image-keys/needed: not a line with a number from 1 to 3", "install")
    sut.write(folder + "/needed", "2\n")
    with open(f"{signers()}/one.pub", encoding="ascii") as file:
        one = file.read()
    sut.write(folder + "/again.pub", one)
    said("again.pub: this key is in another file already" if os.listdir(sut.path(folder)).index("again.pub") >
         os.listdir(sut.path(folder)).index("one.pub") else "this key is in another file already", "install")
    sut.write(folder + "/again.pub", "nonsense\n")
    said("again.pub: not a public key", "install")
    os.unlink(sut.path(folder, "again.pub"))
    os.unlink(sut.path(folder, "needed"))
    got = receive(sut, image(5))
    check(got.returncode == 1 and b"(2 have, 3 must)" in got.stderr, got.stderr)
    os.rename(sut.path(folder), sut.path(folder + "-away"))
    said("no key *.pub of who may sign images", "install")
    os.rename(sut.path(folder + "-away"), sut.path(folder))
    sut.write(folder + "/needed", "2\n")
    equal(summary(sut), before)
    # Two at once.
    with open(sut.path(SLOTS, "state"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said("another change of dom0's images is under way", "install")
    # The state: damaged, and made anew from the slots.
    with open(sut.path(SLOTS, "state"), "r+b") as file:
        file.seek(600)
        file.write(b"\0")
    for words in (["install"], ["show"], ["confirm"], ["back"]):
        said("skerry image reset", *words)
    equal(command(sut, "confirm", "--start").returncode, 0, "the machine goes on")
    equal(command(sut, "reset").returncode, 0)
    equal(summary(sut), before)
    got = receive(sut, image(3))
    check(b"version 3 is older than 4" in got.stderr, got.stderr)
    equal(send(sut, {"one.rpm": package(image(5)), "two.rpm": package(image(6))}).returncode, 0)
    said("more than one package of dom0: say which", "install")
    equal(command(sut, "install", sut.path(UPDATES, "rpm/two.rpm")).returncode, 0)
    equal(summary(sut), ("a", "b", 3, 4, [4, 6]))
    equal(command(sut, "install", sut.path(UPDATES, "rpm/one.rpm")).returncode, 1)
    equal(send(sut, {"one.rpm": package(image(5))}).returncode, 0)
    # No slots.
    os.rename(sut.path(SLOTS), sut.path(SLOTS + "-away"))
    said("this disk has no slots", "install")
    equal(command(sut, "confirm", "--start").returncode, 0)
    os.rename(sut.path(SLOTS + "-away"), sut.path(SLOTS))
    said("cannot be read, or is too short" if os.truncate(sut.path(SLOTS, "state"), 1000) is None else "", "install")
    # What there is to install.
    shutil.rmtree(sut.path(UPDATES))
    said("fetch one with qubes-dom0-update", "install")
    said("no-such-file", "install", sut.path("no-such-file"))
    for words in (["nonsense"], ["show", "x"], ["back", "--json"], ["install", "a", "b"], ["confirm", "--end"]):
        equal(command(sut, *words).returncode, 2, words)
    equal(command(sut, "--help").returncode, 0)


# If this failed, a user would fetch an update and nothing would happen.
@images("dom0-updates: qubes-dom0-update fetches the package that image/package made, and installs it")
def _(t, sut):
    update_system(t, sut)
    disk(sut)
    folder = t.path("image")
    os.mkdir(folder)
    contents = parts(50)
    manifest = {"epoch": 1700000000, "parts": {n: {"size": len(d), "sha256": hashlib.sha256(d).hexdigest()}
                                               for n, d in contents.items() if n != "manifest.json"}}
    contents["manifest.json"] = json.dumps(manifest).encode()
    for name, data in contents.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    tool = os.path.join(SOURCE, "image/package")

    def make(*words, by=("one", "two")):
        secrets = [f"{signers()}/{name}.sec" for name in by]
        return subprocess.run([tool, folder, *secrets, "--gpg", "ours", "-o", sut.inside("sys-net", "repository"), *words], capture_output=True,
                              timeout=HANG, check=False, env=dict(os.environ, GNUPGHOME=keys().folder))

    if not shutil.which("rpmbuild"):
        return
    made = make("--version", "50")
    equal(made.returncode, 0, (made.stdout, made.stderr))
    got = run_update(sut)
    equal(got.returncode, 0, got.stderr)
    check(b"version 50 is in slot a, and is tried at the next start" in got.stdout, got.stdout)
    boot(sut)
    equal(summary(sut), ("a", None, 0, 50, [50, None]))
    with open(os.path.join(sut.inside("sys-net", "var/lib/qubes/dom0-updates"), "etc/skerry-dom0-version"), encoding="ascii") as file:
        equal(file.read(), "0.1.0\n", "before there was an image")
    # The mirror has nothing newer, then only something older.
    got = run_update(sut, "--just-print-progress")
    equal(got.returncode, 0, got.stderr)
    check(all(line.startswith(b"dom0:out: ") for line in got.stdout.splitlines()), got.stdout)
    with open(os.path.join(sut.inside("sys-net", "var/lib/qubes/dom0-updates"), "etc/skerry-dom0-version"), encoding="ascii") as file:
        equal(file.read(), "50\n")
    for name in os.listdir(sut.inside("sys-net", "repository")):
        os.unlink(sut.inside("sys-net", "repository/" + name))
    equal(make("--version", "49").returncode, 0)
    got = run_update(sut)
    check(got.returncode == 1 and b"version 49 is older than 50" in got.stderr, got.stderr)
    equal(summary(sut), ("a", None, 0, 50, [50, None]))
    with open(os.path.join(folder, "vmlinuz"), "ab") as file:
        file.write(b"x")
    made = make("--version", "51")
    check(made.returncode == 1 and b"vmlinuz" in made.stderr, made.stderr)


if __name__ == "__main__":
    main()
